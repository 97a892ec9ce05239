package bounds

import (
	"context"
	"errors"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// use is when an entry was used last.
type use struct {
	key driver.Key
	at  time.Time
}

// maxUses is how many uses of a table wait at most to be recorded. They are recorded
// before entries leave, now and then, and when there are so many.
const maxUses = 50_000

// used takes note of the keys that were found.
func (t *table) used(keys []driver.Key, found []bool) {
	at := t.keeper.opts.Now().UTC().Truncate(time.Microsecond)
	var space [256]byte
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.uses == nil {
		t.uses = make(map[string]use)
	}
	for i, key := range keys {
		if !found[i] {
			continue
		}
		encoded := driver.AppendKey(space[:0], key)
		if known, ok := t.uses[string(encoded)]; ok {
			known.at = at
			t.uses[string(encoded)] = known
		} else if len(t.uses) < maxUses {
			t.uses[string(encoded)] = use{append(driver.Key(nil), key...), at}
		}
	}
	if len(t.uses) >= maxUses {
		t.keeper.kick()
	}
}

// takeUses returns the uses that are not recorded, and forgets them.
func (t *table) takeUses() map[string]use {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.uses
	t.uses = nil
	return taken
}

// flushUses records the uses of all tables.
func (k *Keeper) flushUses(ctx context.Context) error {
	var errs []error
	for _, t := range k.snapshot() {
		errs = append(errs, t.flushUses(ctx))
	}
	return errors.Join(errs...)
}

// useStep is how exactly uses are recorded: those within a step are recorded together. It
// is enough to tell them from those before and behind a round.
const useStep = 16

func (t *table) flushUses(ctx context.Context) error {
	taken := t.takeUses()
	if len(taken) == 0 {
		return nil
	}
	var first, last time.Time
	for _, u := range taken {
		if first.IsZero() || u.at.Before(first) {
			first = u.at
		}
		if u.at.After(last) {
			last = u.at
		}
	}
	width := last.Sub(first)/useStep + 1
	var steps [useStep + 1][]driver.Key
	var ends [useStep + 1]time.Time
	for _, u := range taken {
		i := u.at.Sub(first) / width
		steps[i] = append(steps[i], u.key)
		if u.at.After(ends[i]) {
			ends[i] = u.at
		}
	}
	for i, keys := range steps {
		if len(keys) == 0 {
			continue
		}
		if err := t.Use(ctx, keys, ends[i]); err != nil {
			return err
		}
	}
	return nil
}

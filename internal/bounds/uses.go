package bounds

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// use is when an entry was used last.
type use struct {
	key driver.Key
	at  time.Time
}

// mostUses is how many uses of a table wait at most to be recorded. They are recorded
// before entries leave, every minute, and when there are so many.
const mostUses = 50_000

// used takes note of the keys that were found.
func (t *table) used(keys []driver.Key, found []bool) {
	if t.kept.noteUses(keys, found, t.keeper.now()) {
		t.keeper.kick()
	}
}

// noteUses reports whether the uses are to be recorded soon.
func (t *kept) noteUses(keys []driver.Key, found []bool, at time.Time) (full bool) {
	var space [256]byte
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.uses == nil {
		t.uses = make(map[string]*use)
	}
	for i, key := range keys {
		if !found[i] {
			continue
		}
		encoded := driver.AppendKey(space[:0], key)
		if known, ok := t.uses[string(encoded)]; ok {
			known.at = at
		} else if len(t.uses) < 2*mostUses { // more come while some are recorded
			t.uses[string(encoded)] = &use{slices.Clone(key), at}
			full = full || len(t.uses) == mostUses
		}
	}
	return full
}

// takeUses returns the uses that are not recorded, if there are so many, and forgets them.
func (t *kept) takeUses(least int) map[string]*use {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.uses) < least {
		return nil
	}
	taken := t.uses
	t.uses = nil
	return taken
}

// flushUses records the uses of tables that have so many.
func (k *Keeper) flushUses(ctx context.Context, least int) error {
	var errs []error
	for _, t := range k.snapshot() {
		errs = append(errs, t.flushUses(ctx, least))
	}
	return errors.Join(errs...)
}

// useStep is how exactly uses are recorded: those within a step are recorded together. It
// is enough to tell them from those before and behind a round.
const useStep = 16

func (t *kept) flushUses(ctx context.Context, least int) error {
	taken := t.takeUses(least)
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

package memory

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIf(ctx, entries, c, bytes.Clone)
}

// PutIfKept implements [driver.KeepingTable].
func (t *table) PutIfKept(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIf(ctx, entries, c, func(payload []byte) []byte { return payload })
}

func (t *table) putIf(ctx context.Context, entries []driver.Entry, c driver.Condition, own func([]byte) []byte) ([]bool, error) {
	if err := t.rlock(ctx); err != nil {
		return nil, t.error("save to", err)
	}
	t.mu.RUnlock()
	if err := c.Validate(); err != nil {
		return nil, t.error("save to", err)
	}
	var buf []byte
	all := make([]*entry, len(entries))
	for i, e := range entries {
		all[i], buf = newEntry(t, e, buf, own)
		if err := t.checkSize(all[i]); err != nil {
			return nil, t.error("save to", err)
		}
	}
	stored, err := t.exchangeAll(ctx, len(all), func(i int) string { return all[i].id.key }, func(i int, old *entry) (*entry, error) {
		if old == nil && c.If == driver.IfUnchanged || old != nil && !c.Allows(old.Entry, all[i].Entry) {
			return nil, nil
		}
		return all[i], nil
	})
	if err != nil {
		return nil, t.error("save to", err)
	}
	return stored, nil
}

func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	keys := make([]string, len(renewals))
	var buf []byte
	for i := range renewals {
		buf = driver.AppendKey(buf[:0], renewals[i].Key)
		keys[i] = string(buf)
	}
	renewed, err := t.exchangeAll(ctx, len(keys), func(i int) string { return keys[i] }, func(i int, old *entry) (*entry, error) {
		if old == nil || !old.CachedAt.Equal(renewals[i].Seen) {
			return nil, nil
		}
		e := old.renewed(&renewals[i])
		return e, t.checkSize(e)
	})
	if err != nil {
		return nil, t.error("renew in", err)
	}
	return renewed, nil
}

// Use implements [driver.Table].
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	_, err := t.exchangeAll(ctx, len(keys), func(i int) string { return string(driver.AppendKey(nil, keys[i])) },
		func(_ int, old *entry) (*entry, error) {
			if old == nil || !old.UsedAt.Before(at) {
				return nil, nil
			}
			return old.used(at), nil
		})
	if err != nil {
		return t.error("use of", err)
	}
	return nil
}

// replacement returns the i-th entry of an operation where old is there, which is
// nil for none, or nil if old stays.
type replacement = func(i int, old *entry) (*entry, error)

// exchangeAll replaces entries by their keys and reports by index which it has
// replaced.
func (t *table) exchangeAll(ctx context.Context, n int, key func(i int) string, with replacement) ([]bool, error) {
	if t.bounds != nil {
		if err := t.rlock(ctx); err != nil {
			return nil, err
		}
		t.mu.RUnlock()
		return t.bounds.exchangeAll(t, n, key, with)
	}
	if err := t.lock(ctx); err != nil {
		return nil, err
	}
	defer t.mu.Unlock()
	replaced := make([]bool, n)
	for i := range n {
		e, err := t.exchange(key(i), i, with)
		if err != nil {
			return nil, err
		}
		replaced[i] = e != nil
	}
	return replaced, nil
}

// exchange replaces the entry of a key and returns the new one, or nil where the old
// one stays. The table is locked.
func (t *table) exchange(key string, i int, with replacement) (*entry, error) {
	if t.entries == nil {
		return nil, driver.ErrClosed
	}
	e, err := with(i, t.entries[key])
	if err != nil || e == nil {
		return nil, err
	}
	t.entries[key] = e
	return e, nil
}

// checkSize fails where the store cannot hold e.
func (t *table) checkSize(e *entry) error {
	if t.bounds == nil || e.size() <= t.bounds.maxEntry {
		return nil
	}
	return fmt.Errorf("%w: it takes %d bytes of at most %d", driver.ErrTooLarge, e.size(), t.bounds.maxEntry)
}

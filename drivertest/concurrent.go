package drivertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// goroutines is how many [together] runs.
const goroutines = 8

// patience is how long work may take before it counts as blocked, however slow the
// server and busy the machine.
const patience = 5 * time.Minute

// together runs work in many goroutines and reports their errors.
func together(t *testing.T, work func(ctx context.Context, g int) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := work(ctx, g); err != nil {
				t.Errorf("goroutine %d: %v", g, err)
			}
		}()
	}
	wg.Wait()
}

func testConcurrent(t *testing.T, h Harness) {
	t.Run("no reader sees half an entry", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, 20)
		const writers = 3
		var writing atomic.Int32
		writing.Store(writers)
		together(t, func(ctx context.Context, g int) error {
			if g < writers {
				defer writing.Add(-1)
				for round := range rounds(30) {
					if err := table.Put(ctx, versions(keys, 1+g*1_000+round)); err != nil {
						return err
					}
				}
				return nil
			}
			for round := 0; writing.Load() > 0; round++ {
				var err error
				switch g {
				case writers: // a deleter
					_, err = table.Delete(ctx, keys[:round%len(keys)])
				case writers + 1: // a counter
					var n int
					if n, err = table.Count(ctx, driver.Filter{State: driver.Live, Now: now}); n > len(keys) {
						err = fmt.Errorf("count is %d of %d keys", n, len(keys))
					}
				case writers + 2: // an iterator
					for e, iterErr := range table.Entries(ctx, everything) {
						if err = iterErr; err == nil {
							err = whole(e)
						}
						if err != nil {
							break
						}
					}
				default: // readers
					var torn atomic.Pointer[error]
					err = table.Get(ctx, keys, everything, func(_ int, e driver.Entry) {
						if err := whole(e); err != nil {
							torn.Store(&err)
						}
					})
					if p := torn.Load(); p != nil {
						err = errors.Join(err, *p)
					}
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})

	t.Run("what a goroutine has saved it reads, whatever others do", func(t *testing.T) {
		table := h.ids(t)
		together(t, func(ctx context.Context, g int) error {
			keys := ids(g*100, 10)
			for v := range 10 {
				if err := table.Put(ctx, versions(keys, v)); err != nil {
					return err
				}
				var right atomic.Int32
				err := table.Get(ctx, keys, everything, func(_ int, e driver.Entry) {
					if diff(version(nil, v), e) == "" {
						right.Add(1)
					}
				})
				if n := right.Load(); err == nil && n != 10 {
					err = fmt.Errorf("%d of 10 entries are as they were just saved", n)
				}
				if err != nil {
					return err
				}
			}
			if n, err := table.Delete(ctx, keys[:5]); err != nil || n != 5 {
				return fmt.Errorf("delete removed %d, want 5: %w", n, err)
			}
			return nil
		})
		table.wantCount(goroutines*5, driver.All, now)
	})

	t.Run("bulk puts of the same keys in opposite orders do not block each other", func(t *testing.T) {
		table := h.ids(t)
		forward := ids(0, 300)
		backward := slices.Clone(forward)
		slices.Reverse(backward)
		together(t, func(ctx context.Context, g int) error {
			keys := forward
			if g%2 == 1 {
				keys = backward
			}
			for round := range rounds(5) {
				if err := table.Put(ctx, versions(keys, 1+g*10+round)); err != nil {
					return err
				}
			}
			return nil
		})
		table.wantCount(len(forward), driver.All, now)
		for i, e := range table.get(everything, forward...) {
			if err := whole(e); err != nil {
				t.Errorf("%s: %v", describe(forward[i]), err)
			}
		}
	})

	t.Run("bulk puts and deletes of the same keys in opposite orders do not block each other", func(t *testing.T) {
		table := h.ids(t)
		forward := ids(0, 300)
		backward := slices.Clone(forward)
		slices.Reverse(backward)
		together(t, func(ctx context.Context, g int) error {
			for range rounds(5) {
				var err error
				if g%2 == 0 {
					err = table.Put(ctx, versions(forward, g))
				} else {
					_, err = table.Delete(ctx, backward)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	})

	t.Run("an entry is removed by one of many deletes", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(200))
		table.put(versions(keys, 1)...)
		var removed atomic.Int64
		together(t, func(ctx context.Context, _ int) error {
			for _, k := range keys { // all at the same one at the same time
				n, err := table.Delete(ctx, []driver.Key{k})
				if err != nil {
					return err
				}
				removed.Add(int64(n))
			}
			return nil
		})
		if n := removed.Load(); n != int64(len(keys)) {
			t.Errorf("deletes removed %d in sum, want %d", n, len(keys))
		}
		table.wantOnly()
	})

	t.Run("an entry is removed by one of many clears", func(t *testing.T) {
		table := h.ids(t)
		many := min(1_000, h.many())
		table.put(versions(ids(0, many), 1)...)
		var removed atomic.Int64
		together(t, func(ctx context.Context, _ int) error {
			n, err := table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now.Add(2 * time.Hour)})
			removed.Add(int64(n))
			return err
		})
		if n := removed.Load(); n != int64(many) {
			t.Errorf("clears removed %d in sum, want %d", n, many)
		}
		table.wantOnly()
	})

	t.Run("a clear of expired entries spares one that is renewed meanwhile", func(t *testing.T) {
		table := h.ids(t)
		keys := ids(0, rounds(200))
		then := now.Add(2 * time.Hour)
		table.put(versions(keys, 1)...)
		together(t, func(ctx context.Context, g int) error {
			if g == 0 {
				_, err := table.Clear(ctx, driver.Filter{State: driver.Expired, Now: then})
				return err
			}
			for i := g - 1; i < len(keys); i += goroutines - 1 {
				if err := table.Put(ctx, []driver.Entry{expiring(keys[i], then.Add(time.Hour))}); err != nil {
					return err
				}
			}
			return nil
		})
		table.wantCount(len(keys), driver.Live, then)
	})

	t.Run("tables of one store are written at the same time", func(t *testing.T) {
		s := h.open(t)
		tables := make([]subject, goroutines)
		for g := range tables {
			tables[g] = openTable(t, s, driver.TableSpec{Name: fmt.Sprintf("table %d", g), Key: []driver.Column{text("id")}})
		}
		together(t, func(ctx context.Context, g int) error {
			for round := range rounds(5) {
				if err := tables[g].Put(ctx, versions(ids(0, 100), 10*g+round)); err != nil {
					return err
				}
			}
			return nil
		})
		for g, table := range tables {
			table.wantOnly(versions(ids(0, 100), 10*g+rounds(5)-1)...)
		}
	})

	t.Run("gets of two stores find what is there", func(t *testing.T) { testAgree(t, h) })

	t.Run("two stores write the same data at the same time", func(t *testing.T) {
		one := h.ids(t)
		other := openTable(t, h.reopen(t, one.store), one.spec)
		together(t, func(ctx context.Context, g int) error {
			table := one
			if g%2 == 1 {
				table = other
			}
			for round := range rounds(5) {
				if err := table.Put(ctx, versions(ids(0, 100), 1+10*g+round)); err != nil {
					return err
				}
				if err := table.Put(ctx, versions(ids(1_000*(1+g)+round, 1), 1)); err != nil {
					return err
				}
			}
			return nil
		})
		for _, table := range []subject{one, other} {
			table.wantCount(100+rounds(5)*goroutines, driver.All, now)
		}
	})
}

// whole tells where the parts of an entry stem from different versions.
func whole(e driver.Entry) error {
	if d := diff(version(nil, e.Status), e); d != "" {
		return fmt.Errorf("an entry of version %d is torn: %s", e.Status, d)
	}
	return nil
}

package drivertest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testClose(t *testing.T, h Harness) {
	t.Run("every operation after a close returns ErrClosed", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, op := range operations(id(1)) {
			if err := op.run(t.Context(), table); !errors.Is(err, driver.ErrClosed) {
				t.Errorf("%s: %v, want %v", op.name, err, driver.ErrClosed)
			}
		}
		for _, name := range []string{"tracks", "albums"} {
			spec := driver.TableSpec{Name: name, Key: table.spec.Key}
			if _, err := table.store.OpenTable(t.Context(), spec); !errors.Is(err, driver.ErrClosed) {
				t.Errorf("open %q: %v, want %v", name, err, driver.ErrClosed)
			}
		}
	})

	t.Run("closing twice is not an error", func(t *testing.T) {
		s := h.ids(t).store
		for range 3 {
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})

	t.Run("closing a store without tables is not an error", func(t *testing.T) {
		if err := h.open(t).Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})

	t.Run("a store tells its traits after a close", func(t *testing.T) {
		s := h.open(t)
		before := s.Traits()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if after := s.Traits(); after != before || after.Kind == "" {
			t.Errorf("traits are %+v, before the close %+v", after, before)
		}
	})

	t.Run("operations during a close succeed or return ErrClosed", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for range 3 {
			table := h.ids(t)
			table.put(versions(ids(0, 100), 1)...)
			var running, done sync.WaitGroup
			for _, op := range operations(id(1)) {
				running.Add(1)
				done.Add(1)
				go func() {
					defer done.Done()
					for n := 0; ; n++ {
						err := op.run(ctx, table)
						if n == 0 {
							running.Done()
						}
						if errors.Is(err, driver.ErrClosed) {
							return
						}
						if err != nil {
							t.Errorf("%s: %v, want success or %v", op.name, err, driver.ErrClosed)
							return
						}
					}
				}()
			}
			running.Wait()
			for range 2 {
				done.Add(1)
				go func() {
					defer done.Done()
					if err := table.store.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}()
			}
			done.Wait()
		}
	})
}

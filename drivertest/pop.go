package drivertest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func testPop(t *testing.T, h Harness) {
	live := driver.Filter{State: driver.Live, Now: now}

	t.Run("an entry comes back whole and is gone", func(t *testing.T) {
		s := h.ids(t)
		s.put(version(id(1), 1), version(id(2), 2))
		e, ok, err := s.Pop(t.Context(), id(1), live)
		if err != nil || !ok {
			t.Fatalf("pop: %v, %v", ok, err)
		}
		if d := diff(version(id(1), 1), e); d != "" {
			t.Error(d)
		}
		if _, ok, err := s.Pop(t.Context(), id(1), live); err != nil || ok {
			t.Errorf("second pop: %v, %v", ok, err)
		}
		s.wantOnly(version(id(2), 2))
	})

	t.Run("what the filter does not select stays", func(t *testing.T) {
		s := h.ids(t)
		expired := expiring(id(1), now)
		s.put(expired)
		if _, ok, err := s.Pop(t.Context(), id(1), live); err != nil || ok {
			t.Errorf("pop of an expired entry: %v, %v", ok, err)
		}
		s.want(expired)
		before := driver.Filter{State: driver.Live, Now: now.Add(-time.Microsecond)}
		if _, ok, err := s.Pop(t.Context(), id(1), before); err != nil || !ok {
			t.Errorf("pop a microsecond before: %v, %v", ok, err)
		}
	})

	t.Run("a pop hides nothing that its filter does not select", func(t *testing.T) {
		s := h.ids(t)
		s.put(version(id(1), 1))
		const poppers = 4
		var popping atomic.Int32
		popping.Store(poppers)
		for range poppers {
			go func() {
				defer popping.Add(-1)
				for range rounds(100) {
					if _, ok, err := s.Pop(t.Context(), id(1), driver.Filter{State: driver.Expired, Now: now}); ok || err != nil {
						t.Errorf("pop of a live entry as an expired one: %v, %v", ok, err)
						return
					}
				}
			}()
		}
		for popping.Load() > 0 {
			s.want(version(id(1), 1))
		}
	})

	t.Run("whatever is put is popped once or stays", func(t *testing.T) {
		s := h.ids(t)
		const poppers = 4
		puts := rounds(200)
		var popped atomic.Int32
		var wait sync.WaitGroup
		done := make(chan struct{})
		for range poppers {
			wait.Add(1)
			go func() {
				defer wait.Done()
				for {
					_, ok, err := s.Pop(t.Context(), id(1), live)
					if err != nil {
						t.Error(err)
						return
					}
					if ok {
						popped.Add(1)
					}
					select {
					case <-done:
						return
					default:
					}
				}
			}()
		}
		// A put finds the place empty: none replaces another.
		for v := range puts {
			s.put(version(id(1), v))
			waitfor.True(t, "the entry is popped", func() bool { return !s.has(id(1)) })
		}
		close(done)
		wait.Wait()
		if n := int(popped.Load()); n != puts {
			t.Errorf("%d entries were put and %d popped", puts, n)
		}
	})
}

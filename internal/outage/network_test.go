package outage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// The network breaks: connections are reset, and new ones are refused.
func TestNetworkCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.startLoad(unhurried)
	for range times(3) {
		if !l.await(time.Now(), back) {
			t.Fatal("the load does not go on")
		}
		w.network.Stop()
		time.Sleep(300 * time.Millisecond)
		if err := w.network.Start(); err != nil {
			t.Fatal(err)
		}
		l.expectBack(back)
	}
	l.stop()
	w.expectClosed()
}

// The network swallows all packets, so that nobody hears of the failure: every call
// ends by its deadline.
func TestNetworkSwallows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const timeout = 300 * time.Millisecond
	l := w.startLoad(timeout)
	for range times(2) {
		if !l.await(time.Now(), back) {
			t.Fatal("the load does not go on")
		}
		w.toxic("timeout", `{"timeout":0}`, "upstream", "downstream")
		time.Sleep(time.Second)
		var ended sync.WaitGroup
		for name, do := range w.calls() {
			ended.Go(func() {
				err := inTime(timeout, do)
				if errors.As(err, new(wrongError)) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		ended.Wait()
		w.heal()
		l.expectBack(back)
	}
	l.stop()
	w.expectClosed()
}

// calls are the table's operations on many and on few keys.
func (w *world) calls() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"save":     func(ctx context.Context) error { return w.table.Put(ctx, entries(100, 500, 1, size)) },
		"save one": func(ctx context.Context) error { return w.table.Put(ctx, entries(100, 1, 1, size)) },
		"get":      func(ctx context.Context) error { _, err := versions(ctx, w.table, 100, 5000, size); return err },
		"get one":  func(ctx context.Context) error { _, err := versions(ctx, w.table, 100, 1, size); return err },
		"delete":   func(ctx context.Context) error { _, err := w.table.Delete(ctx, keys(100, 500)); return err },
		"pop":      func(ctx context.Context) error { _, _, err := w.table.Pop(ctx, key(100, 0), all.Filter); return err },
		"count":    func(ctx context.Context) error { _, err := w.table.Count(ctx, all.Filter); return err },
		"clear": func(ctx context.Context) error {
			_, err := w.table.Clear(ctx, driver.Filter{State: driver.Expired, Now: time.Now().UTC().Truncate(time.Microsecond)})
			return err
		},
		"iterate": func(ctx context.Context) error {
			for _, err := range w.table.Entries(ctx, all) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// A network that is slow, or delivers in small pieces, delivers all.
func TestNetworkSlow(t *testing.T) {
	t.Parallel()
	const n, much = 300, 2 << 10
	for name, test := range map[string]struct{ kind, attributes string }{
		"latency":   {"latency", `{"latency":60,"jitter":20}`},
		"bandwidth": {"bandwidth", `{"rate":2000}`},
		"pieces":    {"slicer", `{"average_size":100,"size_variation":90,"delay":10}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.toxic(test.kind, test.attributes, "upstream", "downstream")
			var found map[int]int
			if err := errors.Join(
				inTime(unhurried, func(ctx context.Context) error { return w.table.Put(ctx, entries(0, n, 1, much)) }),
				inTime(unhurried, func(ctx context.Context) (err error) {
					found, err = versions(ctx, w.table, 0, n, much)
					return err
				}),
			); err != nil || len(found) != n {
				t.Fatalf("%d of %d entries: %v", len(found), n, err)
			}
			failed := 0
			for range 5 {
				err := inTime(50*time.Millisecond, func(ctx context.Context) error {
					_, err := versions(ctx, w.table, 0, n, much)
					return err
				})
				if errors.As(err, new(wrongError)) {
					t.Error(err)
				}
				if err != nil {
					failed++
				}
			}
			if failed == 0 {
				t.Error("the network is not slow")
			}
			if err := inTime(unhurried, func(ctx context.Context) error {
				_, err := versions(ctx, w.table, 0, n, much)
				return err
			}); err != nil {
				t.Errorf("after calls that gave up: %v", err)
			}
			w.heal()
			w.expectClosed()
		})
	}
}

// Callers give up at any moment of a call: what they leave on a connection is not
// another's answer.
func TestCallersGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for owner := range workers {
		if err := w.table.Put(t.Context(), entries(owner, batch, 0, size)); err != nil {
			t.Fatal(err)
		}
	}
	w.toxic("latency", `{"latency":3,"jitter":3}`, "downstream")
	l := w.startLoad(15 * time.Millisecond)
	time.Sleep(time.Duration(times(2)) * time.Second)
	l.stop()
	w.heal()
	w.expectClosed()
}

// Connections break after any number of bytes. A save that was cut is not there or
// whole, and a get that was cut is not a shorter answer.
func TestConnectionsBreak(t *testing.T) {
	t.Parallel()
	const n, much = 30, 300
	for _, direction := range []string{"upstream", "downstream"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if err := w.table.Put(t.Context(), entries(0, n, 1, much)); err != nil {
				t.Fatal(err)
			}
			version, failures, steps := 1, 0, 8
			if testing.Short() {
				steps = 2
			}
			for limit := 50; limit < 16_000; limit += limit/steps + 1 {
				w.terminate() // or a connection would have the bytes of old ones
				w.toxic("limit_data", fmt.Sprintf(`{"bytes":%d}`, limit), direction)
				errSave := inTime(unhurried, func(ctx context.Context) error {
					return w.table.Put(ctx, entries(0, n, version+1, much))
				})
				var found map[int]int
				errGet := inTime(unhurried, func(ctx context.Context) (err error) {
					found, err = versions(ctx, w.table, 0, n, much)
					return err
				})
				w.heal()
				stored, err := versions(t.Context(), w.direct, 0, n, much)
				for _, err := range []error{errSave, errGet, err} {
					if errors.As(err, new(wrongError)) {
						t.Errorf("%d bytes: %v", limit, err)
					}
				}
				if err != nil || len(stored) != n {
					t.Fatalf("%d bytes: there are %d of %d entries: %v", limit, len(stored), n, err)
				}
				for i, v := range stored {
					if v != version && v != version+1 || errSave == nil && v == version {
						t.Errorf("%d bytes: entry %d has version %d after %d: %v", limit, i, v, version, errSave)
					}
				}
				if errGet == nil && len(found) != n {
					t.Errorf("%d bytes: a get found %d of %d", limit, len(found), n)
				}
				for _, err := range []error{errSave, errGet} {
					if err != nil {
						failures++
					}
				}
				if err := w.table.Put(t.Context(), entries(0, n, version+2, much)); err != nil {
					t.Errorf("%d bytes: when it is over: %v", limit, err)
				}
				version += 2
			}
			if failures == 0 {
				t.Error("nothing broke")
			}
			t.Logf("%d calls failed", failures)
			w.expectClosed()
		})
	}
}

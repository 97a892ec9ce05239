package outage

import (
	"context"
	"sync"
	"testing"
	"time"
)

// The server goes and comes back in the middle of a load.
func TestServer(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(w *world) error{
		"restarts": func(w *world) error { return w.server.Restart(w.Context()) },
		"crashes": func(w *world) error {
			if err := w.server.Kill(); err != nil {
				return err
			}
			time.Sleep(300 * time.Millisecond)
			return w.server.Restart(w.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			l := w.startLoad(unhurried)
			if !l.await(time.Now(), back) {
				t.Fatal("the load does not begin")
			}
			for range times(2) {
				if err := fail(w); err != nil {
					t.Fatal(err)
				}
				l.expectBack(back)
			}
			l.stop()
			w.expectClosed()
		})
	}
}

// An administrator ends all connections, again and again.
func TestConnectionsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.startLoad(unhurried)
	killed := 0
	for range times(10) {
		if !l.await(time.Now(), back) {
			t.Fatal("work does not go on")
		}
		killed += w.terminate()
	}
	l.expectBack(back)
	l.stop()
	if killed < times(10) {
		t.Errorf("only %d connections were killed", killed)
	}
	w.expectClosed()
}

// A store whose connections died while it had nothing to do does not tell its
// callers: none of them has lost anything.
func TestIdleConnectionsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, do := range map[string]func(context.Context) error{
		"save":   func(ctx context.Context) error { return w.table.Put(ctx, entries(0, batch, 2, size)) },
		"get":    func(ctx context.Context) error { _, err := versions(ctx, w.table, 0, batch, size); return err },
		"delete": func(ctx context.Context) error { _, err := w.table.Delete(ctx, keys(1, batch)); return err },
		"pop":    func(ctx context.Context) error { _, _, err := w.table.Pop(ctx, key(2, 0), all.Filter); return err },
		"count":  func(ctx context.Context) error { _, err := w.table.Count(ctx, all.Filter); return err },
		"clear":  func(ctx context.Context) error { _, err := w.table.Clear(ctx, all.Filter); return err },
	} {
		var ended sync.WaitGroup
		for owner := range workers { // so that there are many connections
			ended.Go(func() {
				for range 3 {
					if err := w.table.Put(t.Context(), entries(owner, batch, 1, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		ended.Wait()
		time.Sleep(100 * time.Millisecond)
		if n := w.terminate(); n < 2 {
			t.Fatalf("%s: there are %d connections", name, n)
		}
		time.Sleep(100 * time.Millisecond)
		if err := inTime(unhurried, do); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

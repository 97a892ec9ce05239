package sqlite

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func newTestCommitter(t *testing.T) *committer {
	t.Helper()
	s, err := OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.commits
}

func nothing(*conn) error { return nil }

// A panic is that of the caller whose write it is, and keeps nobody from writing.
func TestAPanicInAWriteIsItsCallers(t *testing.T) {
	c := newTestCommitter(t)
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			panics := i%8 == 0
			defer func() {
				if p := recover(); (p != nil) != panics {
					t.Errorf("write %d recovered %v", i, p)
				}
			}()
			err := c.write(ctx, 1, func(*conn) error {
				if panics {
					panic("oops")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	if err := c.write(ctx, 1, nothing); err != nil {
		t.Error(err)
	}
}

// Who gives up while another has the turn leaves at once, and others go on.
func TestACallerThatGivesUpIsNotWrittenFor(t *testing.T) {
	c := newTestCommitter(t)
	c.turn <- struct{}{} // somebody has the turn
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error)
	go func() {
		outcome <- c.write(ctx, 1, func(*conn) error {
			t.Error("it was written")
			return nil
		})
	}()
	for queued := 0; queued == 0; {
		c.mu.Lock()
		queued = len(c.queue)
		c.mu.Unlock()
	}
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	<-c.turn
	if err := c.write(t.Context(), 1, nothing); err != nil {
		t.Error(err)
	}
}

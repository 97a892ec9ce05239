package gate_test

import (
	"context"
	"errors"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

func TestNothingPassesAfterClose(t *testing.T) {
	var g gate.Gate
	calls := 0
	operation := func() error { calls++; return nil }
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Do(ended, operation); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
	failure := errors.New("failure")
	if err := g.Do(t.Context(), operation); err != nil {
		t.Error(err)
	}
	if err := g.Close(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Close = %v", err)
	}
	if err := g.Close(func() error { return failure }); err != nil {
		t.Errorf("a second Close = %v", err)
	}
	if err := g.Do(ended, operation); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if calls != 1 {
		t.Errorf("%d operations ran, want 1", calls)
	}
}

func TestCloseWaitsForOperationsAndEveryCloseForTheFirst(t *testing.T) {
	var g gate.Gate
	inside, goOn, shut := make(chan struct{}), make(chan struct{}), make(chan struct{})
	ran := make(chan error, 1)
	go func() {
		ran <- g.Do(t.Context(), func() error {
			close(inside)
			<-goOn
			select {
			case <-shut:
				t.Error("the store was shut down under an operation")
			default:
			}
			return nil
		})
	}()
	<-inside
	closed := make(chan bool, 2)
	for range 2 {
		go func() {
			_ = g.Close(func() error { close(shut); return nil })
			select {
			case <-shut:
				closed <- true
			default:
				closed <- false
			}
		}()
	}
	close(goOn)
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for range 2 {
		if !<-closed {
			t.Error("a Close returned before the store was shut down")
		}
	}
}

func TestWhatRunsUntilCloseEndsWithItsContextOrTheGate(t *testing.T) {
	var g gate.Gate
	run := func(ctx context.Context) (inside chan struct{}, ended chan error) {
		inside, ended = make(chan struct{}), make(chan error, 1)
		go func() {
			ended <- g.DoUntilClose(ctx, func(ctx context.Context) error {
				close(inside)
				<-ctx.Done()
				return errors.New("of something that was ended")
			})
		}()
		return inside, ended
	}
	ctx, cancel := context.WithCancel(t.Context())
	inside, ended := run(ctx)
	others, othersEnded := run(t.Context())
	<-inside
	<-others
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("its context is done: %v", err)
	}
	if err := g.Close(func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := <-othersEnded; !errors.Is(err, driver.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if err := g.DoUntilClose(t.Context(), func(context.Context) error { return nil }); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestWhatRunsUntilCloseHasItsOwnErrors(t *testing.T) {
	var g gate.Gate
	failure := errors.New("failure")
	if err := g.DoUntilClose(t.Context(), func(context.Context) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("it fails: %v", err)
	}
}

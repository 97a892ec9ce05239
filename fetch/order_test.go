package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

// Answers for one key that wait for the same save are saved in the order in which they
// came, though one is a value and the other says that there is none.
func TestAnOlderAbsenceDoesNotReplaceAValue(t *testing.T) {
	var exists atomic.Bool
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tracks/new" && !exists.Load() {
			http.NotFound(w, r)
			return
		}
		serve(w, r)
	})
	store := &wrapped{Store: inMemory(t)}
	saving, goOn := make(chan struct{}), make(chan struct{})
	store.put = func(context.Context, []driver.Entry) error {
		if store.puts.Load() == 1 {
			close(saving)
			<-goOn
		}
		return nil
	}
	s := settingsOf(byID, nil)
	s.ExpireAbsent = time.Hour
	e := fetcherIn(t, o, repositoryIn(t, store, s), nil)
	called := make(chan error, 2)
	fetchIt := func(ctx context.Context, key string, opts ...fetch.Option) {
		_, err := e.Fetch(ctx, key, opts...)
		called <- err
	}
	go fetchIt(t.Context(), "first")
	<-saving
	ctx, cancel := context.WithCancel(t.Context())
	go fetchIt(ctx, "new")
	waitfor.True(t, "the origin has answered", func() bool { return o.total() == 2 && o.idle() })
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	exists.Store(true)
	go fetchIt(t.Context(), "new", fetch.Refresh())
	waitfor.True(t, "the origin has answered again", func() bool { return o.total() == 3 && o.idle() })
	close(goOn)
	for range 2 {
		if err := <-called; err != nil {
			t.Error(err)
		}
	}
	if got, ok, err := e.Repository().Get(t.Context(), "new"); err != nil || !ok || got != titled("new") {
		t.Error(got, ok, err)
	}
}

// A caller that asks for a refresh gets no value from the store, though the key is being
// looked up once more for another caller.
func TestRefreshWhileAKeyIsLookedUpAgain(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), nil)
	refreshed := make(chan error, 1)
	store.got = func() {
		switch store.gets.Load() {
		case 2: // finds nothing, and another caller is faster
			if _, err := e.Fetch(t.Context(), "a"); err != nil {
				t.Error(err)
			}
		case 5: // finds what that has saved
			go func() {
				_, err := e.Fetch(t.Context(), "a", fetch.Refresh())
				refreshed <- err
			}()
			waitfor.True(t, "the refresh asks the origin", func() bool { return o.total() == 2 })
		}
	}
	if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") {
		t.Error(got, err)
	}
	if err := <-refreshed; err != nil {
		t.Error(err)
	}
	if o.total() != 2 {
		t.Errorf("%d requests", o.total())
	}
}

package fetch_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

var errDisk = errors.New("the disk is full")

// A store that fails is no reason to have no answer.
func TestStoreThatFails(t *testing.T) {
	fails := func(context.Context) error { return errDisk }
	for name, breakIt := range map[string]func(*wrapped){
		"get": func(w *wrapped) { w.get = fails },
		"put": func(w *wrapped) { w.put = func(ctx context.Context, _ []driver.Entry) error { return fails(ctx) } },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, answering)
			store := &wrapped{Store: inMemory(t)}
			breakIt(store)
			var log logged
			e := cachedIn(t, o, store, settingsOf(byID, batchOf(10)), cache.Options{Logger: log.logger()}, nil)
			if got, err := e.Fetch(t.Context(), "a", fetch.With(policy.Policy{StaleIfError: time.Hour})); err != nil || got != titled("a") {
				t.Error(got, err)
			}
			if got, _, err := e.FetchEntry(t.Context(), "b"); err != nil || string(got.Payload) != trackBody("b") {
				t.Error(got, err)
			}
			if got := statuses(fetchMany(t, e, []string{"x", "gone", "y"}, fetch.With(policy.Policy{StaleIfError: time.Hour}))); got != "FE AB FE" {
				t.Error(got)
			}
			if n := e.Stats().StoreErrors; n < 3 || strings.Count(log.String(), "the disk is full") != 1 || !strings.Contains(log.String(), "repository=tracks") {
				t.Errorf("%d errors are told of, and %s", n, log.String())
			}
			store.get, store.put = nil, nil
			waitfor.True(t, "the store is used again", func() bool { return statuses(fetchManyOf(t, e, "a", "b")) == "CA CA" })
		})
	}
}

// A store that hangs, whatever its context says, holds callers up for its time alone.
func TestStoreThatIsSlow(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	release := make(chan struct{})
	defer close(release)
	hang := func(context.Context) error { <-release; return nil }
	store.get, store.put = hang, func(ctx context.Context, _ []driver.Entry) error { return hang(ctx) }
	var log logged
	e := cachedIn(t, o, store, settingsOf(byID, nil), cache.Options{
		Logger: log.logger(), StoreTimeout: 50 * time.Millisecond,
	}, nil)
	if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") {
		t.Error(got, err)
	}
	if n := store.puts.Load(); n != 0 {
		t.Errorf("what was too slow to read was asked to save %d times", n)
	}
	if got, err := e.Fetch(t.Context(), "b", fetch.Refresh()); err != nil || got != titled("b") {
		t.Error(got, err)
	}
	if n := e.Stats().StoreErrors; n != 2 || strings.Count(log.String(), "did not answer in time") != 1 { // it is left alone then
		t.Errorf("%d errors are told of, and %s", n, log.String())
	}
	patient := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, nil)), nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := patient.Fetch(ctx, "c"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The entry that the store cannot hold is the only one that is not saved.
func TestEntryThatIsTooLarge(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	store.put = func(_ context.Context, entries []driver.Entry) error {
		if slices.ContainsFunc(entries, func(e driver.Entry) bool { return e.Key[0] == "large" }) {
			return driver.ErrTooLarge
		}
		return nil
	}
	var log logged
	e := cachedIn(t, o, store, settingsOf(byID, batchOf(50)), cache.Options{Logger: log.logger()}, nil)
	keys := append(numbered(20), "large")
	fetchMany(t, e, keys)
	if got := statuses(fetchMany(t, e, keys)); got != strings.Repeat("CA ", 20)+"FE" {
		t.Error(got)
	}
	if n := strings.Count(log.String(), "save failed"); n != 2 || e.Stats().StoreErrors != 0 {
		t.Errorf("%d entries that are too large are told of, %d errors of the store", n, e.Stats().StoreErrors)
	}
}

// An answer that had come when the client was closed is saved.
func TestCloseWaitsForSaves(t *testing.T) {
	o := newOrigin(t, nil)
	store := &wrapped{Store: inMemory(t)}
	saving, goOn := make(chan struct{}), make(chan struct{})
	store.put = func(context.Context, []driver.Entry) error {
		close(saving)
		<-goOn
		return nil
	}
	e := fetcherIn(t, o, repositoryIn(t, store, settingsOf(byID, batchOf(50))), nil)
	called := make(chan error)
	go func() {
		_, err := e.FetchMany(t.Context(), []string{"a", "b"})
		called <- err
	}()
	<-saving
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		e.Client().Close()
	}()
	if err := <-called; !errors.Is(err, fetch.ErrClosed) {
		t.Error(err)
	}
	select {
	case <-closed:
		t.Error("Close has not waited")
	default:
	}
	close(goOn)
	<-closed
	if n, err := e.Repository().Count(t.Context(), repository.All); n != 2 || err != nil {
		t.Errorf("%d are saved, %v", n, err)
	}
}

// panicking are settings with a function of the user's that panics for the key
// "oops".
func panicking(in string) (s ofTracks) {
	s = settingsOf(byID, batchOf(10))
	switch in {
	case "Decode", "Goexit":
		s.Payload = payload.Codec[track]("application/json", func(body []byte, v any) error {
			if strings.Contains(string(body), "oops") {
				if in == "Goexit" {
					runtime.Goexit()
				}
				panic("oops")
			}
			var err error
			*v.(*track), err = settingsOf(byID, nil).Payload.Decode(body)
			return err
		}, func(any) ([]byte, error) { panic("not called") })
	case "NameOf":
		s.NameOf = func(t track) string {
			if t.ID == "oops" {
				panic("oops")
			}
			return t.Title
		}
	case "Split":
		s.Batch = request.BatchPattern[string]("GET /tracks?ids={id}", 10, func(body []byte, ids []string) ([][]byte, error) {
			if slices.Contains(ids, "oops") {
				panic("oops")
			}
			return splitTracks(body, ids)
		}, nil)
	case "Group":
		s.Batch = request.BatchFunc(request.BatchFuncs[string]{
			MaxKeys: 10,
			Together: func(key string) (any, bool) {
				if key == "oops" {
					panic("oops")
				}
				return nil, true
			},
			Build: s.Batch.Request,
			Take:  s.Batch.Split,
		})
	}
	return s
}

// A panic of the user's code is that of the callers that wait for the key, and of no
// others.
func TestAPanicIsTheCallers(t *testing.T) {
	for _, in := range []string{"Decode", "NameOf", "Split", "Group"} {
		t.Run(in, func(t *testing.T) {
			o := newOrigin(t, nil)
			e := fetcherOf(t, o, panicking(in), &fetch.FetcherOptions{Gather: 20 * time.Millisecond})
			var panics atomic.Int32
			var callers sync.WaitGroup
			for range 5 {
				for _, keys := range [][]string{{"oops"}, {"oops", "b"}, {"c"}, {"d", "e"}} {
					callers.Go(func() {
						defer func() {
							if p := recover(); p == "oops" {
								panics.Add(1)
							} else if p != nil || keys[0] == "oops" && in != "Split" {
								t.Errorf("%s: recovered %v", keys, p)
							}
						}()
						if len(keys) == 1 {
							e.Fetch(t.Context(), keys[0])
						} else {
							e.FetchMany(t.Context(), keys)
						}
					})
				}
			}
			callers.Wait()
			if n := panics.Load(); n != 10 && in != "Split" || n == 0 { // of a batch, all keys suffer
				t.Errorf("%d panics", n)
			}
			keys := []string{"b", "c", "d", "e"}
			if got := fetchMany(t, e, keys); len(got) != 4 {
				t.Error(got)
			}
		})
	}
}

// A group that cannot be a key of a map fails its own call, and no other.
func TestGroupThatIsNotComparable(t *testing.T) {
	o := newOrigin(t, nil)
	s := settingsOf(byID, nil)
	s.Batch = request.BatchFunc(request.BatchFuncs[string]{
		MaxKeys: 10,
		Together: func(key string) (any, bool) {
			if key == "oops" {
				return []string{key}, true
			}
			return "group", true
		},
		Build: batchOf(10).Request,
		Take:  batchOf(10).Split,
	})
	e := fetcherOf(t, o, s, nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		e.FetchMany(t.Context(), []string{"a", "oops"})
	}()
	if got := statuses(fetchManyOf(t, e, "a", "b")); got != "CA FE" {
		t.Error(got)
	}
}

func TestGoroutineThatIsEndedByTheUsersCode(t *testing.T) {
	o := newOrigin(t, nil)
	s := panicking("Goexit")
	s.Batch = nil
	s.NameOf = func(t track) string {
		if t.ID == "nameless" {
			runtime.Goexit()
		}
		return t.Title
	}
	var log logged
	e := cachedIn(t, o, inMemory(t), s, cache.Options{Logger: log.logger()}, &fetch.FetcherOptions{Concurrency: 1})
	got, err := e.FetchMany(t.Context(), []string{"a", "oops", "b", "nameless", "c"})
	if err != nil || statuses(got) != "FE FA FE FA FE" || !strings.Contains(got[1].Err.Error(), "ended the request's goroutine") {
		t.Error(got, err)
	}
	if strings.Count(log.String(), "ended the request's goroutine") != 2 {
		t.Errorf("logged is %q", log.String())
	}
}

// Nobody is left to be told of a panic, so it is logged.
func TestAPanicThatNobodyWaitsFor(t *testing.T) {
	o := newOrigin(t, nil)
	var log logged
	s := settingsOf(byID, nil)
	named, goOn := make(chan struct{}), make(chan struct{})
	s.NameOf = func(track) string {
		close(named)
		<-goOn
		panic("oops")
	}
	e := cachedIn(t, o, inMemory(t), s, cache.Options{Logger: log.logger()}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	called := make(chan error)
	go func() {
		_, err := e.Fetch(ctx, "a")
		called <- err
	}()
	<-named
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(goOn)
	e.Client().Close()
	if !strings.Contains(log.String(), "oops") {
		t.Errorf("logged is %q", log.String())
	}
}

package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// A run that is cancelled does not wait for a request that goes on for others.
func TestFillThatIsCancelledLeavesTheRequestsOfOthers(t *testing.T) {
	o := newOrigin(t, nil)
	o.gate = make(chan struct{})
	e := fetcherOf(t, o, settingsOf(byID, nil), nil)
	other := make(chan error, 1)
	go func() {
		_, err := e.Fetch(t.Context(), "a")
		other <- err
	}()
	waiting(t, e, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		waitfor.True(t, "the run waits for both keys", func() bool {
			_, callers := e.Pending()
			return callers == 3
		})
		cancel()
	}()
	waitfor.End(t, "Fill, cancelled", func() {
		got, err := fill(ctx, t, e, []string{"a", "b"}, nil)
		if !errors.Is(err, context.Canceled) || got.String() != "2 cancelled" {
			t.Error(got, err)
		}
	})
	close(o.gate)
	if err := <-other; err != nil {
		t.Error(err)
	}
}

// A run ends with an error where the user's code ends one of its goroutines.
func TestFillWhoseGoroutinesAreEndedByTheUsersCode(t *testing.T) {
	keys := numbered(5000)
	exit := func(key string) {
		if key == keys[1500] {
			runtime.Goexit()
		}
	}
	batch := settingsOf(byID, request.BatchFunc(request.BatchFuncs[string]{
		MaxKeys:  10,
		Together: func(key string) (any, bool) { exit(key); return "group", true },
		Build:    batchOf(10).Request,
		Take:     batchOf(10).Split,
	}))
	for name, test := range map[string]struct {
		s    ofTracks
		each func(fetch.Filled[string])
	}{
		"function": {settingsOf(byID, nil), func(f fetch.Filled[string]) { exit(f.Key) }},
		"group":    {batch, func(fetch.Filled[string]) {}},
	} {
		t.Run(name, func(t *testing.T) {
			client := &direct{answer: func(req *http.Request, h http.Header) (int, string) {
				if ids, many := idsOf(req); many {
					return http.StatusOK, tracksBody(ids...)
				}
				return tagged(req, h)
			}}
			e := directly(t, client, inMemory(t), test.s, nil)
			waitfor.End(t, "Fill", func() {
				err := e.Fill(t.Context(), slices.Values(keys), nil, test.each)
				if err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
					t.Error(err)
				}
			})
			wantFilled(t, e, []string{"another"}, nil, "1 fetched")
		})
	}
}

// What cannot be decoded is no reason to ask the origin where a policy forbids it.
func TestOfflineAsksForNothingInPlaceOfWhatCannotBeDecoded(t *testing.T) {
	for _, use := range []policy.Use{policy.Offline, policy.OnlyIfCached} {
		o := newOrigin(t, nil)
		store := inMemory(t)
		before := repositoryIn(t, store, settings.RepositorySettings[string, string]{Name: "tracks", Version: 1, Payload: payload.String()})
		if err := before.SaveMany(t.Context(), map[string]string{"a": "no track", "b": "nor this"}); err != nil {
			t.Fatal(err)
		}
		var log logged
		tracks := settingsOf(byID, nil)
		tracks.Version = 1
		e := cachedIn(t, o, store, tracks, cache.Options{Logger: log.logger()}, nil)
		got := fetchMany(t, e, []string{"a", "b"}, fetch.With(policy.Policy{Use: use}))
		if statuses(got) != "FA FA" || !errors.Is(got[0].Err, fetch.ErrNotCached) || o.total() != 0 {
			t.Error(use, got, o.total())
		}
	}
}

// That the origin has nothing any more counts against requests that were sent before,
// whether these are answered before it or after.
func TestAnOlderValueIsNotKeptBesideANewerAbsence(t *testing.T) {
	for name, olderFirst := range map[string]bool{"the older answer first": true, "the newer answer first": false} {
		for _, use := range []policy.Use{policy.Revalidate, policy.Reload} {
			t.Run(name, func(t *testing.T) {
				var requests atomic.Int32
				older, newer := make(chan struct{}), make(chan struct{})
				o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
					if requests.Add(1) == 1 {
						<-older
						serve(w, r)
						return
					}
					<-newer
					http.NotFound(w, r)
				})
				e := fetcherOf(t, o, settingsOf(byID, nil), nil)
				ask := func(opts ...fetch.Option) chan error {
					asked := make(chan error, 1)
					n := requests.Load()
					go func() {
						_, err := e.Fetch(t.Context(), "a", opts...)
						asked <- err
					}()
					waitfor.True(t, "the origin is asked", func() bool { return requests.Load() > n })
					return asked
				}
				value, absence := ask(), ask(fetch.With(policy.Policy{Use: use}))
				haveValue := func() {
					close(older)
					if err := <-value; err != nil {
						t.Error(err)
					}
				}
				if olderFirst {
					haveValue()
				}
				close(newer)
				if err := <-absence; !errors.Is(err, fetch.ErrAbsent) {
					t.Error(err)
				}
				if !olderFirst {
					haveValue()
				}
				if _, ok, err := e.Repository().Get(t.Context(), "a"); ok || err != nil {
					t.Error("what was known before is kept", err)
				}
			})
		}
	}
}

// A request that waits for its next attempt holds no memory that others need meanwhile.
func TestAPauseBeforeARetryHoldsUpNoOthers(t *testing.T) {
	var asked atomic.Int32
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tracks/busy" && asked.Add(1) == 1 {
			http.Error(w, "busy", http.StatusInternalServerError)
			return
		}
		serve(w, r)
	})
	c := cacheOf(t, inMemory(t), cache.Options{MaxBody: 1 << 16, MaxInFlight: 1 << 16})
	client := clientOf(t, fetch.Options{BaseURL: o.URL, Retry: &polite.RetryOptions{Retries: 1, Wait: time.Minute}})
	e, err := fetch.Create(t.Context(), c, client, settingsOf(byID, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := e.Fetch(ctx, "busy")
		ended <- err
	}()
	waitfor.True(t, "the origin has refused it", func() bool { return asked.Load() == 1 && o.idle() })
	waitfor.End(t, "Fetch of another key", func() {
		for _, key := range numbered(20) {
			if got, err := e.Fetch(t.Context(), key); err != nil || got != titled(key) {
				t.Error(got, err)
			}
		}
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

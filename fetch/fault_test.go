package fetch_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/repository"
)

// fetches are the ways in which values of keys come from the origin.
var fetches = map[string]func(context.Context, *fetcher, ...string) error{
	"Fetch": func(ctx context.Context, e *fetcher, keys ...string) error {
		ended := make(chan error, len(keys))
		for _, key := range keys {
			go func() {
				_, err := e.Fetch(ctx, key)
				ended <- err
			}()
		}
		var errs []error
		for range keys {
			errs = append(errs, <-ended)
		}
		return errors.Join(errs...)
	},
	"FetchMany": func(ctx context.Context, e *fetcher, keys ...string) error {
		_, err := e.FetchMany(ctx, keys)
		return err
	},
	"Fill": func(ctx context.Context, e *fetcher, keys ...string) error {
		return e.Fill(ctx, slices.Values(keys), nil, func(fetch.Filled[string]) {})
	},
}

// An answer to a request from before a change is not saved over it: the newer value stays,
// or nothing does.
func TestAnAnswerAskedForBeforeAChangeIsNotSaved(t *testing.T) {
	newer := track{"a", "newer"}
	response := func() *http.Response {
		rec := httptest.NewRecorder()
		rec.WriteString(`{"id":"a","title":"newer"}`)
		return rec.Result()
	}
	changes := map[string]struct {
		change func(*fetcher, *origin) error
		stays  bool
	}{
		"Save": {func(e *fetcher, _ *origin) error { return e.Repository().Save(t.Context(), "a", newer) }, true},
		"SaveMany": {func(e *fetcher, _ *origin) error {
			return e.Repository().SaveMany(t.Context(), map[string]track{"a": newer})
		}, true},
		"SaveResponse": {func(e *fetcher, o *origin) error {
			req, err := http.NewRequest(http.MethodGet, o.URL+"/tracks/a", nil)
			if err != nil {
				return err
			}
			resp := response()
			defer resp.Body.Close()
			resp.Request = req
			if ok, err := e.Repository().SaveResponse(t.Context(), resp); !ok || err != nil {
				return errors.Join(errors.New("it is not saved"), err)
			}
			return nil
		}, true},
		"Delete": {func(e *fetcher, _ *origin) error { _, err := e.Repository().Delete(t.Context(), "a"); return err }, false},
		"Clear": {func(e *fetcher, _ *origin) error {
			_, err := e.Repository().Clear(t.Context(), repository.All)
			return err
		}, false},
	}
	for way, fetchIt := range fetches {
		for name, test := range changes {
			t.Run(way+" "+name, func(t *testing.T) {
				o := newOrigin(t, nil)
				o.came, o.gate = make(chan string, 10), make(chan struct{})
				e := fetcherOf(t, o, settingsOf(byID, nil), nil)
				ended := make(chan error, 1)
				go func() { ended <- fetchIt(t.Context(), e, "a") }()
				<-o.came
				if err := test.change(e, o); err != nil {
					t.Fatal(err)
				}
				close(o.gate)
				if err := <-ended; err != nil {
					t.Error(err)
				}
				got, ok, err := e.Repository().Get(t.Context(), "a")
				if err != nil || ok != test.stays || ok && got != newer {
					t.Errorf("saved is %+v, %t, %v", got, ok, err)
				}
			})
		}
	}
}

// The same for what the origin has no more, and for what it confirms.
func TestARefreshAskedForBeforeAChangeIsNotSaved(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusNotModified} {
		for way := range fetches {
			t.Run(way+" "+http.StatusText(status), func(t *testing.T) {
				var refreshing atomic.Bool
				o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/tracks/a" && refreshing.Load() {
						w.WriteHeader(status)
						return
					}
					w.Header().Set("ETag", `"1"`)
					serve(w, r)
				})
				e := fetcherOf(t, o, settingsOf(byID, nil), nil)
				fetchMany(t, e, []string{"a", "b"})
				refreshing.Store(true)
				o.came, o.gate = make(chan string, 10), make(chan struct{})
				ended := make(chan error, 1)
				go func() {
					var err error
					switch way {
					case "Fetch":
						_, err = e.Fetch(t.Context(), "a", fetch.Refresh())
					case "FetchMany":
						_, err = e.FetchMany(t.Context(), []string{"a"}, fetch.Refresh())
					case "Fill":
						_, err = fill(t.Context(), t, e, []string{"a"}, refreshingAll())
					}
					if err != nil && !errors.Is(err, fetch.ErrAbsent) {
						t.Error(err)
					}
					close(ended)
				}()
				<-o.came
				if err := e.Repository().Save(t.Context(), "a", track{"a", "newer"}); err != nil {
					t.Fatal(err)
				}
				close(o.gate)
				<-ended
				if got, ok, err := e.Repository().Get(t.Context(), "a"); err != nil || !ok || got.Title != "newer" {
					t.Errorf("saved is %+v, %t, %v", got, ok, err)
				}
			})
		}
	}
}

func refreshingAll() *fetch.FillOptions {
	return refreshing(fetch.FillOptions{BelieveAbsent: true})
}

// A refresh does not share a request that was sent before, and what it brings stays.
func TestRefreshDuringARequest(t *testing.T) {
	for _, way := range []string{"Fetch", "FetchMany", "Fill"} {
		t.Run(way, func(t *testing.T) {
			var asked atomic.Int32
			blocked := make(chan struct{})
			came := make(chan struct{}, 1)
			o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				if asked.Add(1) == 1 {
					came <- struct{}{}
					<-blocked
					w.Write([]byte(`{"id":"a","title":"old"}`))
					return
				}
				serve(w, r)
			})
			e := fetcherOf(t, o, settingsOf(byID, nil), nil)
			ended := make(chan error, 1)
			go func() { ended <- fetches[way](t.Context(), e, "a") }()
			<-came
			if got, err := e.Fetch(t.Context(), "a", fetch.Refresh()); err != nil || got != titled("a") {
				t.Error(got, err)
			}
			close(blocked)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if got, err := e.Fetch(t.Context(), "a"); err != nil || got != titled("a") || asked.Load() != 2 {
				t.Errorf("saved is %+v, %v, after %d requests", got, err, asked.Load())
			}
		})
	}
}

// A panic is that of each caller that waits.
func TestAPanicIsThatOfAllWhoWait(t *testing.T) {
	for _, in := range []string{"Decode", "NameOf"} {
		t.Run(in, func(t *testing.T) {
			o := newOrigin(t, nil)
			o.gate = make(chan struct{})
			s := panicking(in)
			s.Batch = nil
			e := fetcherOf(t, o, s, nil)
			panics := make(chan any, 10)
			for range 10 {
				go func() {
					defer func() { panics <- recover() }()
					e.Fetch(t.Context(), "oops")
				}()
			}
			waiting(t, e, 10)
			close(o.gate)
			for range 10 {
				if p := <-panics; p != "oops" {
					t.Errorf("recovered %v", p)
				}
			}
			if o.total() != 1 {
				t.Errorf("%d requests", o.total())
			}
		})
	}
}

// Closing the client ends a Fill and what goes on in the background.
func TestCloseOfTheClientEndsRenewals(t *testing.T) {
	o := newOrigin(t, nil)
	o.came, o.gate = make(chan string, 10), make(chan struct{})
	defer close(o.gate)
	for name, s := range map[string]ofTracks{"single": settingsOf(byID, nil), "batch": settingsOf(byID, batchOf(10))} {
		t.Run(name, func(t *testing.T) {
			s.Policy.StaleWhileRevalidate = 2 * time.Hour
			e := fetcherOf(t, o, s, nil)
			expired(t, e, "a")
			if got, err := e.Fetch(t.Context(), "a"); err != nil || got.Title != "old" {
				t.Error(got, err)
			}
			<-o.came
			if err := e.Client().Close(); err != nil {
				t.Error(err)
			}
			if flights, _ := e.Pending(); flights != 0 {
				t.Errorf("%d flights are left", flights)
			}
		})
	}
}

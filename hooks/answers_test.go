package hooks_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

func TestEachAnswerIsToldOnceByItsKind(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
			s.Policy.StaleIfError = 24 * time.Hour
		})
		doors := map[string]func(string, ...fetch.Option){
			"fetch": func(key string, opts ...fetch.Option) { _ = f.fetch(key, opts...) },
			"many": func(key string, opts ...fetch.Option) {
				if _, err := f.tracks.FetchMany(f.Context(), []string{key}, opts...); err != nil {
					f.Error(err)
				}
			},
			"transport": func(key string, opts ...fetch.Option) {
				p := policy.Policy{}
				for _, opt := range opts {
					opt(&p)
				}
				req, err := http.NewRequestWithContext(policy.With(f.Context(), p), http.MethodGet, f.url+"/tracks/"+key, nil)
				if err != nil {
					f.Fatal(err)
				}
				resp, err := f.http.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			},
			"prefetch": func(key string, opts ...fetch.Option) {
				if _, err := prefetch.Run(f.Context(), f.tracks, slices.Values([]string{key}), &prefetch.Options{Fetch: opts, BelieveAbsent: true}); err != nil {
					f.Error(err)
				}
			},
		}
		for door, ask := range doors {
			for i, c := range []struct {
				want  string
				serve handler
				later time.Duration
				opts  []fetch.Option
				key   string
			}{
				{want: "unanswered", serve: track200, opts: []fetch.Option{fetch.With(policy.Policy{Use: policy.OnlyIfCached})}},
				{want: "failed", serve: status(http.StatusForbidden)},
				{want: "fetched", serve: track200},
				{want: "fresh", serve: status(http.StatusInternalServerError)},
				{want: "revalidated", serve: track200, opts: []fetch.Option{fetch.Refresh()}},
				{want: "stale", serve: status(http.StatusInternalServerError), later: 2 * time.Hour},
				{want: "revalidated", serve: track200, later: 2 * time.Hour},
				{want: "fetched", serve: status(http.StatusNotFound), key: "absent"},
				{want: "absent", serve: track200, key: "absent"},
			} {
				f.serve(c.serve)
				f.later.Store(int64(c.later))
				ask(door+c.key, c.opts...)
				if d := cmp.Diff(map[string]int{"tracks " + c.want: 1}, f.answers()); d != "" {
					t.Errorf("%s, case %d, the answers differ:\n%s", door, i, d)
				}
				f.forget()
			}
			f.later.Store(0)
		}
	})
}

func TestABulkCallIsToldOnceForEachKind(t *testing.T) {
	onEveryStore(t, func(t *testing.T, store driver.Store) {
		f := newFixture(t, store, func(_ *cache.Options, s *settings.RepositorySettings[string, track]) {
			s.Batch = request.BatchPattern[string]("GET /tracks?ids={id}", 10, payload.SplitArrayBy("tracks", "id"), nil)
		})
		var first, all []string
		for i := range 25 {
			first = append(first, fmt.Sprint("a", i))
		}
		all = append(all, first...)
		for i := range 30 {
			all = append(all, fmt.Sprint("b", i))
		}
		if _, err := f.tracks.FetchMany(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		f.wantAnswers(map[string]int{})
		if _, err := f.tracks.FetchMany(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		f.forget()
		if _, err := f.tracks.FetchMany(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		if told := eventsOf[hooks.Answer](f); len(told) != 2 {
			t.Errorf("one call is told by %d events: %+v", len(told), told)
		}
		requests := eventsOf[hooks.Request](f)
		for _, r := range requests {
			if r != (hooks.Request{Repository: "tracks", Store: store.Traits().Kind, Method: http.MethodGet, Keys: 10}) {
				t.Errorf("a request is %+v", r)
			}
		}
		if len(requests) != 3 {
			t.Errorf("there are %d requests", len(requests))
		}
		f.wantAnswers(map[string]int{"tracks fresh": 25, "tracks fetched": 30})

		if _, err := prefetch.Run(t.Context(), f.tracks, slices.Values(append(all, "c")), nil); err != nil {
			t.Fatal(err)
		}
		f.wantAnswers(map[string]int{"tracks fresh": 55, "tracks fetched": 1})

		ended, cancel := context.WithCancel(t.Context())
		f.serve(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		if _, err := f.tracks.FetchMany(ended, []string{"a1", "d1", "d2"}); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
		f.wantAnswers(map[string]int{"tracks fresh": 1, "tracks cancelled": 2})
	})
}

func TestCallersThatShareARequestAreTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	f.serve(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-goOn
		track200(w, r)
	})
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.fetch("a") })
	<-arrived
	for range 3 {
		wg.Go(func() { _ = f.fetch("a") })
		wg.Go(func() { f.get("/tracks/a") })
		wg.Go(func() { _, _ = f.tracks.FetchMany(t.Context(), []string{"a"}) })
	}
	table := exchange.OfRepository(f.tracks.Repository().Responses)
	waitfor.True(t, "all wait", func() bool { _, callers := table.Pending(); return callers == 10 })
	close(goOn)
	wg.Wait()
	f.wantAnswers(map[string]int{"tracks fetched": 1, "tracks coalesced": 9})
}

func TestWhatIsNotForTheCacheIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	f.get("/albums/1")
	f.wantAnswers(map[string]int{" bypassed": 1})
	resp, err := f.http.Post(f.url+"/tracks/1", "text/plain", strings.NewReader("a"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f.wantAnswers(map[string]int{" bypassed": 1})
	req, _ := http.NewRequestWithContext(policy.With(t.Context(), policy.Policy{Use: policy.OnlyIfCached}), http.MethodGet, f.url+"/albums/1", nil)
	if resp, err = f.http.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f.wantAnswers(map[string]int{" unanswered": 1})
}

func TestAWalkThroughPagesIsTold(t *testing.T) {
	f := newFixture(t, open["memory"](t), nil)
	f.serve(func(w http.ResponseWriter, r *http.Request) {
		if id := strings.TrimPrefix(r.URL.Path, "/tracks/"); len(id) < 3 {
			_ = json.NewEncoder(w).Encode(track{ID: id, Next: id + "x"})
		} else {
			_ = json.NewEncoder(w).Encode(track{ID: id})
		}
	})
	next := func(p *pages.Page[string, track]) (string, bool, error) { return p.Value.Next, p.Value.Next != "", nil }
	for range 2 {
		for _, err := range pages.Walk(t.Context(), f.tracks, "a", next, nil) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	f.wantAnswers(map[string]int{"tracks fetched": 3, "tracks fresh": 3})
}

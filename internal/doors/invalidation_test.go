package doors

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// tagged are tracks with their id for a tag, and one that all have.
func tagged() tracks {
	return tracks{
		Expire: time.Hour, ExpireAbsent: time.Hour,
		Tags: func(id string, _ track) []string { return []string{"track:" + id, "all, of them"} },
	}
}

func invalidate(t *testing.T, h *house, tags ...string) {
	t.Helper()
	check(t, h.cache.InvalidateTags(t.Context(), tags...))
}

func TestATagMakesAnEntryOld(t *testing.T) {
	for _, mode := range []policy.Switch{policy.Off, policy.On} {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			o := option{settings: tagged(), cache: cache.Options{Policy: policy.Policy{CacheControl: mode}}}
			through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
				h.api.set("Cache-Control", "max-age=3600")
				want(t, "first", ask("a"), version(1))
				h.api.version.Store(2)
				invalidate(t, h, "track:b", "track", "track:a2")
				want(t, "with other tags", ask("a"), version(1))
				invalidate(t, h, "track:a")
				want(t, "with the tag", ask("a"), version(2))
				h.api.version.Store(3)
				want(t, "fetched since", ask("a"), version(2))
				h.clock.advance(time.Second)
				invalidate(t, h, "other", "all, of them")
				want(t, "with another of its tags", ask("a"), version(3))
				h.wantRequests(3)
			})
		})
	}
}

func TestAnEntryWithAnOldTagIsRevalidated(t *testing.T) {
	through(t, option{settings: tagged()}, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.set("Etag", "any")
		want(t, "first", ask("a"), version(1))
		invalidate(t, h, "track:a")
		want(t, "confirmed", ask("a"), version(1))
		want(t, "again", ask("a"), version(1))
		if h.api.conditional.Load() != 1 || h.api.bodies.Load() != 1 {
			t.Errorf("%d conditional requests and %d bodies, want 1 and 1", h.api.conditional.Load(), h.api.bodies.Load())
		}
		h.wantRequests(2)
		invalidate(t, h, "track:a") // which the renewed entry still has
		want(t, "confirmed again", ask("a"), version(1))
		h.wantRequests(3)
	})
}

func TestAnOldEntryDoesNotStandIn(t *testing.T) {
	s := tagged()
	s.Policy = policy.Policy{StaleIfError: time.Hour, StaleWhileRevalidate: time.Hour}
	through(t, option{settings: s}, func(t *testing.T, h *house, ask func(string) answered) {
		want(t, "first", ask("a"), version(1))
		invalidate(t, h, "track:a")
		h.api.says(http.StatusInternalServerError)
		want(t, "while the origin fails", ask("a"), failed)
	})
}

func TestARememberedAbsenceHasTags(t *testing.T) {
	through(t, option{settings: tagged()}, func(t *testing.T, h *house, ask func(string) answered) {
		h.api.says(http.StatusNotFound)
		want(t, "first", ask("a"), absent)
		h.api.works()
		want(t, "remembered", ask("a"), absent)
		invalidate(t, h, "track:a")
		want(t, "afterwards", ask("a"), version(1))
		h.wantRequests(2)
	})
}

// What was asked for before is neither joined nor kept.
func TestARequestUnderWayIsOutdatedByATag(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			h := newHouse(t, option{settings: tagged()})
			release := h.api.block()
			defer release()
			var group sync.WaitGroup
			group.Go(func() {
				if got := d.ask(t.Context(), h, "a"); got != version(1) && d.name != "prefetch" { // whose row is gone
					t.Errorf("the first is answered with %v", got)
				}
			})
			waitfor.True(t, "the request has reached the origin", func() bool { return h.api.requests.Load() == 1 })
			h.api.version.Store(2)
			invalidate(t, h, "track:b") // its answer's tags are not known yet
			group.Go(func() { want(t, "the second", d.ask(t.Context(), h, "a"), version(2)) })
			waitfor.True(t, "another request has reached the origin", func() bool { return h.api.requests.Load() == 2 })
			release()
			group.Wait()
			want(t, "the third", d.ask(t.Context(), h, "a"), version(2))
			h.wantRequests(2)
		})
	}
}

func TestWhateverSavesAnEntryGivesItItsTags(t *testing.T) {
	save := map[string]func(ctx context.Context, h *house) error{
		"Save": func(ctx context.Context, h *house) error {
			return h.fetcher.Repository().Save(ctx, "a", track{ID: "a"})
		},
		"SaveMany": func(ctx context.Context, h *house) error {
			return h.fetcher.Repository().SaveMany(ctx, map[string]track{"a": {}, "b": {}})
		},
		"SaveEntry": func(ctx context.Context, h *house) error {
			e, err := repository.NewEntry(200, repository.Head{Header: http.Header{"X": {"y"}}}, []byte(`{"id": "a"}`))
			if err != nil {
				return err
			}
			return h.fetcher.Repository().SaveEntry(ctx, "a", e)
		},
		"SaveResponse": func(ctx context.Context, h *house) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.api.URL+"/tracks/a", nil)
			if err != nil {
				return err
			}
			_, err = h.cache.SaveResponse(ctx, &http.Response{
				StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{}`)), ContentLength: 2, Request: req,
			})
			return err
		},
		"an entry of before": func(ctx context.Context, h *house) error {
			r := h.fetcher.Repository()
			if err := r.Save(ctx, "b", track{}); err != nil {
				return err
			}
			e, _, err := r.GetEntry(ctx, "b")
			if err != nil {
				return err
			}
			return r.SaveEntry(ctx, "a", e)
		},
		"pages.Into": func(ctx context.Context, h *house) error {
			none := func(*pages.Page[string, track]) (string, bool, error) { return "", false, nil }
			whole := func(page []byte) ([][]byte, error) { return [][]byte{page}, nil }
			key := func(string, track) (string, bool) { return "a", true }
			walk := pages.Walk(ctx, h.fetcher, "list", none, nil)
			for _, err := range pages.Into(ctx, walk, h.fetcher, whole, key) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, save := range save {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, option{settings: tagged()})
			r := h.fetcher.Repository()
			contains := func(want bool) {
				t.Helper()
				if ok, err := r.Contains(t.Context(), "a"); err != nil || ok != want {
					t.Errorf("it is there: %t, %v; want %t", ok, err, want)
				}
			}
			check(t, save(t.Context(), h))
			contains(true)
			invalidate(t, h, "track:b")
			contains(true)
			invalidate(t, h, "track:a")
			contains(false)
			check(t, save(t.Context(), h)) // at the same instant, by a clock that stands
			contains(name != "pages.Into") // whose page is of before
		})
	}
}

// A declared write makes old what it names, by whichever door it is asked for then.
func TestADeclaredWrite(t *testing.T) {
	for _, how := range []string{"by the transport", "by hand"} {
		for name, write := range map[string]settings.WriteSettings[string]{
			"keys": {Invalidates: []settings.Invalidation[string]{
				settings.InvalidateKeys("tracks", func(id string) []string { return []string{"x", id} }),
			}},
			"a repository": {InvalidatesAll: []string{"tracks"}},
			"tags":         {InvalidatesTags: func(id string) []string { return []string{"track:" + id} }},
		} {
			for _, tags := range []bool{true, false} {
				if name == "tags" && !tags {
					continue
				}
				t.Run(fmt.Sprint(how, " ", name, " ", tags), func(t *testing.T) {
					s := tagged()
					if !tags {
						s.Tags = nil
					}
					through(t, option{settings: s}, func(t *testing.T, h *house, ask func(string) answered) {
						write.Pattern = "POST|DELETE /playlists/{id}/tracks"
						w, err := cache.AddWrite(h.cache, write)
						check(t, err)
						want(t, "first", ask("a"), version(1))
						want(t, "another", ask("b"), version(1))
						h.api.version.Store(2)
						if how == "by hand" {
							check(t, w.Invalidate(t.Context(), "a"))
						} else {
							resp, err := h.http.Post(h.api.URL+"/playlists/a/tracks?position=1", "text/plain", strings.NewReader("b"))
							check(t, err)
							check(t, resp.Body.Close())
							h.api.requests.Add(-1)
						}
						want(t, "afterwards", ask("a"), version(2))
						if name == "a repository" {
							want(t, "another afterwards", ask("b"), version(2))
							h.wantRequests(4)
						} else {
							want(t, "another afterwards", ask("b"), version(1))
							h.wantRequests(3)
						}
					})
				})
			}
		}
	}
}

func TestADeclaredWriteThatFailsChangesNothing(t *testing.T) {
	h := newHouse(t, option{settings: tagged()})
	_, err := cache.AddWrite(h.cache, settings.WriteSettings[struct{}]{Pattern: "POST /playlists", InvalidatesAll: []string{"tracks"}})
	check(t, err)
	want(t, "first", doors[0].ask(t.Context(), h, "a"), version(1))
	post := func() {
		resp, err := h.http.Post(h.api.URL+"/playlists", "text/plain", strings.NewReader("b"))
		check(t, err)
		check(t, resp.Body.Close())
	}
	h.api.version.Store(2)
	h.api.says(http.StatusConflict)
	post()
	h.api.works()
	want(t, "after a failure", doors[0].ask(t.Context(), h, "a"), version(1))
	post()
	want(t, "afterwards", doors[0].ask(t.Context(), h, "a"), version(2))
}

// The key of a write can be in its body, which the origin still gets.
func TestAWriteMayHaveItsKeyInItsBody(t *testing.T) {
	type about struct {
		Track string `body:"track.id"`
	}
	h := newHouse(t, option{settings: tagged(), base: func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost {
				body, err := io.ReadAll(req.Body)
				if err != nil || string(body) != `{"track": {"id": "a"}, "other": null}` {
					t.Errorf("the origin gets %q, %v", body, err)
				}
				req.Body = io.NopCloser(strings.NewReader(string(body)))
			}
			return base.RoundTrip(req)
		})
	}})
	_, err := cache.AddWrite(h.cache, settings.WriteSettings[about]{
		Pattern:         "POST /changes",
		InvalidatesTags: func(a about) []string { return []string{"track:" + a.Track} },
	})
	check(t, err)
	want(t, "first", doors[0].ask(t.Context(), h, "a"), version(1))
	h.api.version.Store(2)
	for _, body := range []io.Reader{
		strings.NewReader(`{"track": {"id": "a"}, "other": null}`),
		io.MultiReader(strings.NewReader(`{"track": {"id": "a"}, "other": null}`)), // which cannot be read twice
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.api.URL+"/changes", body)
		check(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := h.http.Do(req)
		check(t, err)
		check(t, resp.Body.Close())
		want(t, "afterwards", doors[0].ask(t.Context(), h, "a"), version(int(h.api.version.Load())))
		h.api.version.Add(1)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// The values of one response have each their own tags.
func TestTheItemsOfABatchHaveTheirOwnTags(t *testing.T) {
	s := tagged()
	s.Batch = request.BatchPattern[string]("GET /tracks?ids={id}", 50, payload.SplitArrayBy("", "id"), nil)
	h := newHouse(t, option{settings: s})
	ids := []string{"a", "b", "c"}
	_, err := h.fetcher.FetchMany(t.Context(), ids)
	check(t, err)
	h.wantRequests(1)
	invalidate(t, h, "track:b")
	missing, err := h.fetcher.Repository().Missing(t.Context(), ids)
	if err != nil || len(missing) != 1 || missing[0] != "b" {
		t.Errorf("%q are missing, %v", missing, err)
	}
}

package doors

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// hiding are settings that hide the version of a track, and the cache's that hide a header.
func hiding(p policy.Policy) option {
	return option{
		settings: tracks{
			Expire: time.Minute, Redact: redact.Rules{JSON: []string{"version"}},
			NameOf: func(v track) string { return fmt.Sprint("version ", v.Version) },
		},
		cache: cache.Options{Policy: p, Redact: redact.Rules{Headers: []string{"X-Own"}, Query: []string{"mine"}}},
	}
}

// The caller who fetches has the response as it came; what is stored has no secret.
func TestWhatIsRedactedIsNotStored(t *testing.T) {
	for name, p := range map[string]policy.Policy{"by the clock": {}, "by Cache-Control": {CacheControl: policy.On}} {
		t.Run(name, func(t *testing.T) {
			through(t, hiding(p), func(t *testing.T, h *house, ask func(string) answered) {
				secrets := []string{
					"X-Own", "s3cret", "Authorization", "s3cret", "X-Auth-Token", "s3cret", "Refresh-Token", "s3cret",
					"Authentication-Info", "s3cret", "Link", `</a?token=s3cret&mine=s3cret&page=2>; rel="next"`,
					"Content-Location", "/a?code=s3cret", "Etag", "any", "Cache-Control", "max-age=60",
				}
				h.api.set(secrets...)
				first := version(1)
				if strings.HasSuffix(t.Name(), "prefetch") {
					first = version(0) // it reads what is stored
				}
				want(t, "first", ask("a"), first)
				want(t, "again", ask("a"), version(0))
				h.clean("a")
				h.clock.advance(time.Minute)
				want(t, "confirmed", ask("a"), version(0))
				h.wantRequests(2)
				h.clean("a")
				h.clock.advance(time.Minute)
				h.api.version.Store(2)
				if first != version(0) {
					first = version(2)
				}
				want(t, "changed", ask("a"), first)
				h.clean("a")
				h.wantRequests(3)
			})
		})
	}
}

// clean tells what of secrets is stored for a key.
func (h *house) clean(id string) {
	h.t.Helper()
	h.settle()
	row := h.row(id)
	if strings.Contains(row, "s3cret") || !strings.Contains(row, `{"id":"`+id+`","version":null}`) {
		h.t.Errorf("the row is %s", row)
	}
	e, _, err := h.fetcher.Repository().GetEntry(h.t.Context(), id, repository.AllowExpired())
	check(h.t, err)
	if e.Name != "version 0" {
		h.t.Errorf("the name is %q", e.Name)
	}
}

func TestVariantsAndBatchesAreRedacted(t *testing.T) {
	o := hiding(policy.Policy{CacheControl: policy.On})
	o.settings.Batch = request.BatchPattern[string]("GET /tracks?ids={id}", 10, payload.SplitArray(""), nil)
	h := newHouse(t, o)
	h.api.set("X-Own", "s3cret", "X-Auth-Token", "s3cret", "Cache-Control", "max-age=60", "Vary", "X-Kind")
	for _, kind := range []string{"a", "b", "a"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api.URL+"/tracks/v", nil)
		check(t, err)
		req.Header.Set("X-Kind", kind)
		resp, err := h.http.Do(req)
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		hit := resp.Header.Get("X-Own") == ""
		if hit != strings.Contains(string(body), "null") || hit == (resp.Header.Get("X-Auth-Token") != "") {
			t.Errorf("%q with the header %v", body, resp.Header)
		}
	}
	h.wantRequests(2)
	h.clean("v")
	h.api.set("X-Own", "s3cret", "X-Auth-Token", "s3cret", "Cache-Control", "max-age=60")
	results, err := h.fetcher.FetchMany(t.Context(), []string{"c", "d", "e"})
	check(t, err)
	for _, r := range results {
		if r.Value.Version != 1 {
			t.Errorf("%s has the version %d", r.Key, r.Value.Version)
		}
		h.clean(r.Key)
	}
	h.wantRequests(3)
}

// Credentials of a response belong to the caller who asked for it, not to those who share
// it.
func TestCredentialsAreNotShared(t *testing.T) {
	h := newHouse(t, option{settings: expiring(time.Minute)})
	for _, status := range []int{200, 304} {
		h.api.set("X-Auth-Token", "s3cret", "Etag", "any")
		h.clock.advance(time.Minute)
		before := h.api.requests.Load()
		release := h.api.block()
		given := make(chan bool, 8)
		for range cap(given) {
			go func() {
				resp, err := h.http.Get(h.api.URL + "/tracks/a")
				if err != nil {
					t.Error(err)
					given <- false
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				given <- resp.Header.Get("X-Auth-Token") != ""
			}()
		}
		h.awaitCallers(cap(given))
		release()
		n := 0
		for range cap(given) {
			if <-given {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d: %d callers have the credentials of one", status, n)
		}
		h.wantRequests(before + 1)
	}
}

// A redirect to a secret would lead elsewhere if it was stored without.
func TestRedirectsToSecretsAreNotStored(t *testing.T) {
	h := newHouse(t, option{cache: cache.Options{}})
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.CatchAll("rest", nil))
	check(t, err)
	h.api.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/from" {
			http.Redirect(w, r, "/to?token=s3cret", http.StatusMovedPermanently)
			return
		}
		fmt.Fprint(w, r.URL.RequestURI())
	}
	for range 2 {
		resp, err := h.http.Get(h.api.URL + "/from")
		check(t, err)
		body, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		if string(body) != "/to?token=s3cret" {
			t.Errorf("the redirect leads to %s", body)
		}
	}
	h.wantRequests(3)
}

// What cannot be redacted is not stored, and still answers.
func TestWhatCannotBeRedactedIsNotStored(t *testing.T) {
	h := newHouse(t, option{cache: cache.Options{Redact: redact.Rules{JSON: []string{"token"}}}})
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.CatchAll("rest", nil))
	check(t, err)
	for i, body := range []string{`{"token":"s3cret"`, `{"token":"s3cret"`, "[] s3cret"} {
		h.api.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		}
		resp, err := h.http.Get(h.api.URL + "/other")
		check(t, err)
		got, err := io.ReadAll(resp.Body)
		check(t, err)
		check(t, resp.Body.Close())
		if string(got) != body {
			t.Errorf("%d: %q", i, got)
		}
	}
	h.wantRequests(3)
}

func TestSavesAreRedacted(t *testing.T) {
	h := newHouse(t, hiding(policy.Policy{}))
	repo := h.fetcher.Repository()
	check(t, repo.Save(t.Context(), "typed", track{"typed", 1}))
	h.clean("typed")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api.URL+"/tracks/response", nil)
	check(t, err)
	header := http.Header{"X-Auth-Token": {"s3cret"}, "X-Own": {"s3cret"}, "Content-Length": {"27"}}
	entry := func(id string) repository.Entry {
		e, err := repository.NewEntry(200, repository.Head{Header: header}, []byte(`{"id":"`+id+`","version":1}`))
		check(t, err)
		return e
	}
	resp, err := entry("response").Response(req)
	check(t, err)
	saved, err := h.cache.SaveResponse(t.Context(), resp)
	if err != nil || !saved {
		t.Errorf("SaveResponse: %t, %v", saved, err)
	}
	h.clean("response")
	check(t, repo.SaveEntry(t.Context(), "entry", entry("entry")))
	h.clean("entry")
	moved, err := repository.NewEntry(301, repository.Head{Header: http.Header{"Location": {"/a?token=s3cret"}}}, nil)
	check(t, err)
	if err := repo.SaveEntry(t.Context(), "moved", moved); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a redirect to a secret is saved: %v", err)
	}
}

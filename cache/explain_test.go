package cache_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

// origin counts what it is asked for.
type origin struct {
	mu           sync.Mutex
	plain, asked int // without a condition, and with one
	answer       func(*http.Request) (status int, header http.Header, body string)
}

func (o *origin) RoundTrip(req *http.Request) (*http.Response, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if req.Header.Get("If-None-Match")+req.Header.Get("If-Modified-Since") != "" {
		o.asked++
	} else {
		o.plain++
	}
	status, header, body := o.answer(req)
	return &http.Response{
		StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
		Request: req, ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

func (o *origin) counts() (plain, asked int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.plain, o.asked
}

// headers are pairs of name and value.
func headers(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// world is a cache whose clock stands still, in front of an origin.
type world struct {
	*cache.ResponseCache
	now    time.Time
	origin origin
	client *http.Client
}

func newWorld(t *testing.T, store driver.Store, opts cache.Options) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	opts.Now = func() time.Time { return w.now }
	var err error
	w.ResponseCache, err = cache.New(store, &opts)
	check(t, err)
	t.Cleanup(func() { check(t, w.Close()) })
	w.client = &http.Client{Transport: transport.New(w.ResponseCache, &transport.Options{Base: &w.origin})}
	return w
}

func (w *world) ask(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	req := get(t, url)
	maps.Copy(req.Header, header)
	resp, err := w.client.Do(req)
	check(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	return resp
}

// only is the only stored response.
func (w *world) only(t *testing.T) cache.Stored {
	t.Helper()
	all := entriesOf(t, w.Contents(), cache.Query{})
	if len(all) != 1 {
		t.Fatalf("%d responses are stored", len(all))
	}
	return all[0]
}

// did is what a request of the transport brought about.
func (w *world) did(t *testing.T, url string) cache.Verdict {
	t.Helper()
	return w.does(t, get(t, url))
}

func (w *world) does(t *testing.T, req *http.Request) cache.Verdict {
	t.Helper()
	plain, asked := w.origin.counts()
	renewals := w.Stats().Renewed
	own := req.Header.Get("If-None-Match") != ""
	resp, err := w.client.Do(req)
	check(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	check(t, err)
	check(t, resp.Body.Close())
	if strings.Contains(resp.Header.Get("Cache-Status"), "; hit") {
		if w.Stats().Renewed == renewals {
			return cache.Serve
		}
		waitfor.True(t, "the renewal", func() bool {
			p, a := w.origin.counts()
			return p+a > plain+asked
		})
		return cache.ServeAndRenew
	}
	now, nowAsked := w.origin.counts()
	switch {
	case now+nowAsked == plain+asked:
		return cache.Unanswered
	case nowAsked > asked && (!own || strings.Contains(resp.Header.Get("Cache-Status"), "fwd=stale") || strings.Contains(resp.Header.Get("Cache-Status"), "fwd=request")):
		return cache.Revalidate
	default:
		return cache.Fetch
	}
}

// What is explained is what a transport does then.
func TestExplanationsAreWhatTheTransportDoes(t *testing.T) {
	controls := policy.Policy{CacheControl: policy.On}
	with := func(change func(*policy.Policy)) policy.Policy {
		p := controls
		change(&p)
		return p
	}
	policies := map[string]policy.Policy{
		"none": {}, "headers": controls,
		"swr":        {StaleWhileRevalidate: time.Hour},
		"sie":        {StaleIfError: 5 * time.Hour},
		"ahead":      {RefreshAhead: 0.6},
		"offline":    {Use: policy.Offline},
		"cached":     {Use: policy.OnlyIfCached},
		"reload":     {Use: policy.Reload},
		"revalidate": {Use: policy.Revalidate},
		"disabled":   {Use: policy.Disabled},
		"refuses":    {Serve: func(*policy.Exchange) bool { return false }},
		"immutable":  with(func(p *policy.Policy) { p.Use = policy.Revalidate }),
		"no swr":     with(func(p *policy.Policy) { p.StaleWhileRevalidate = -1 }),
	}
	responses := map[string]http.Header{
		"plain":     headers("Cache-Control", "max-age=7200"),
		"tagged":    headers("Etag", `"1"`, "Cache-Control", "max-age=7200"),
		"dated":     headers("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT", "Cache-Control", "max-age=7200"),
		"no-cache":  headers("Etag", `"1"`, "Cache-Control", "no-cache"),
		"must":      headers("Etag", `"1"`, "Cache-Control", "max-age=7200, must-revalidate"),
		"swr":       headers("Etag", `"1"`, "Cache-Control", "max-age=7200, stale-while-revalidate=7200"),
		"immutable": headers("Etag", `"1"`, "Cache-Control", "max-age=7200, immutable"),
	}
	for policyName, p := range policies {
		for responseName, h := range responses {
			for _, later := range []time.Duration{0, time.Hour, 2*time.Hour + 30*time.Minute, 72 * time.Hour} {
				for _, outdate := range []bool{false, true} {
					t.Run(fmt.Sprint(policyName, responseName, later, outdate), func(t *testing.T) {
						store, err := memory.New(nil)
						check(t, err)
						w := newWorld(t, store, cache.Options{KeepExpired: -1})
						w.origin.answer = func(req *http.Request) (int, http.Header, string) {
							if req.Header.Get("If-None-Match")+req.Header.Get("If-Modified-Since") != "" {
								return http.StatusNotModified, h.Clone(), ""
							}
							return http.StatusOK, h.Clone(), "body"
						}
						s := endpoint("tracks", "GET api.test/tracks/{id}")
						s.Expire, s.Policy = 2*time.Hour, p
						s.Tags = func(string, string) []string { return []string{"all"} }
						tracks := create(t, w.ResponseCache, s)
						entry, err := repository.NewEntry(200, repository.Head{Header: h}, []byte("body"))
						check(t, err)
						life := 2 * time.Hour
						if responseName == "no-cache" && p.CacheControl == policy.On {
							life = time.Nanosecond
						}
						check(t, tracks.SaveEntry(t.Context(), "1", entry, repository.ExpireIn(life)))
						if outdate {
							check(t, w.InvalidateTags(t.Context(), "all"))
						}
						w.now = w.now.Add(later)
						e := w.only(t)
						told, err := w.Contents().Explain(t.Context(), e)
						check(t, err)
						if got := w.did(t, "https://api.test/tracks/1"); told.Verdict != got {
							t.Errorf("%v is explained: %q; it was %v", told.Verdict, told.Reasons, got)
						}
						if !told.Declared || told.Outdated != outdate || told.Age != later || !told.CachedAt.Equal(e.CachedAt) {
							t.Errorf("the explanation is %+v", told)
						}
					})
				}
			}
		}
	}
}

func TestExplanationsInWords(t *testing.T) {
	plain := policy.Policy{}
	controls := policy.Policy{CacheControl: policy.On}
	for name, tt := range map[string]struct {
		policy    policy.Policy
		status    int
		header    http.Header
		life      time.Duration
		later     time.Duration
		undeclare bool // it is explained by a cache without the repository
		outdate   bool
		verdict   cache.Verdict
		reasons   []string
	}{
		"fresh":        {plain, 200, nil, 4 * time.Hour, 40 * time.Minute, false, false, cache.Serve, []string{"It is fresh for another 3h20m."}},
		"never":        {plain, 200, nil, settings.NeverExpire, 40 * time.Minute, false, false, cache.Serve, []string{"It never expires."}},
		"expires soon": {plain, 200, nil, time.Hour, 56*time.Minute + 55*time.Second, false, false, cache.Serve, []string{"It is fresh for another 3m5s."}},
		"for days":     {plain, 200, nil, 7 * 24 * time.Hour, 40 * time.Minute, false, false, cache.Serve, []string{"It is fresh for another 6d23h."}},
		"hardly fresh": {plain, 200, nil, time.Hour, time.Hour - time.Second/2, false, false, cache.Serve, []string{"It is fresh for another moment."}},
		"expired":      {plain, 200, nil, time.Hour, 50 * time.Hour, false, false, cache.Fetch, []string{"It expired 2d1h ago, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew."}},
		"just expired": {plain, 200, nil, time.Hour, time.Hour, false, false, cache.Fetch, []string{"It has just expired, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew."}},
		"to be confirmed": {plain, 200, headers("Etag", `"1"`), time.Hour, 49*time.Hour + 1, false, false, cache.Revalidate, []string{
			"It expired 2d ago, and it has an ETag: the origin is asked whether it still holds.",
		}},
		"absent": {plain, 404, nil, time.Hour, time.Minute, false, false, cache.Serve, []string{
			"It is fresh for another 59m.", "It says that the origin has nothing: its status is 404.",
		}},
		"renewed": {policy.Policy{StaleWhileRevalidate: 10 * time.Minute}, 200, nil, time.Hour, 63 * time.Minute, false, false, cache.ServeAndRenew, []string{
			"It expired 3m ago, and may be served for another 7m while it is renewed in the background.",
		}},
		"stands in": {policy.Policy{StaleIfError: 24 * time.Hour}, 200, nil, time.Hour, 4 * time.Hour, false, false, cache.Fetch, []string{
			"It expired 3h ago, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew.",
			"Where the origin cannot be reached, it stands in for another 21h.",
		}},
		"no-cache": {controls, 200, headers("Etag", `"1"`, "Cache-Control", "no-cache"), time.Microsecond, time.Hour, false, false, cache.Revalidate, []string{
			"The response says no-cache, and it has an ETag: the origin is asked whether it still holds.",
		}},
		"varies": {controls, 200, headers("Vary", "Accept-Language"), time.Hour, 0, false, false, cache.Serve, []string{
			"It is fresh for another 1h.", "It varies by Accept-Language: requests that differ in that get another response.",
		}},
		"outdated": {plain, 200, nil, time.Hour, 5 * time.Minute, false, true, cache.Fetch, []string{
			`An invalidation of the tag "artist:1" made it old 5m ago, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew.`,
		}},
		"outdated for all": {plain, 200, nil, time.Hour, 5 * time.Minute, true, true, cache.Fetch, []string{
			`An invalidation of the tag "artist:1" made it old 5m ago, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew.`,
			"This is by its times and headers: the policy of the program that has the repository may differ.",
		}},
		"of a program that is not known": {plain, 200, headers("Cache-Control", "stale-while-revalidate=600"), time.Hour, 65 * time.Minute, true, false, cache.ServeAndRenew, []string{
			"It expired 5m ago, and may be served for another 5m while it is renewed in the background.",
			"This is by its times and headers: the policy of the program that has the repository may differ.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/x.db"
			store, err := sqlite.Open(t.Context(), path, nil)
			check(t, err)
			w := newWorld(t, store, cache.Options{KeepExpired: -1})
			s := endpoint("tracks", "GET api.test/tracks/{id}")
			s.Policy, s.ExpireAbsent = tt.policy, time.Hour
			s.Tags = func(string, string) []string { return []string{"artist:1"} }
			tracks := create(t, w.ResponseCache, s)
			entry, err := repository.NewEntry(tt.status, repository.Head{Header: tt.header}, []byte("body"))
			check(t, err)
			check(t, tracks.SaveEntry(t.Context(), "1", entry, repository.ExpireIn(tt.life)))
			if tt.outdate {
				check(t, w.InvalidateTags(t.Context(), "artist:1"))
			}
			w.now = w.now.Add(tt.later)
			asking := w.ResponseCache
			if tt.undeclare {
				asking = openFile(t, path, &cache.Options{Now: func() time.Time { return w.now }})
			}
			told, err := asking.Contents().Explain(t.Context(), entriesOf(t, asking.Contents(), cache.Query{})[0])
			check(t, err)
			if told.Verdict != tt.verdict || !slices.Equal(told.Reasons, tt.reasons) || told.Declared == tt.undeclare || told.Outdated != tt.outdate {
				t.Errorf("the explanation is %v, %q, %+v", told.Verdict, told.Reasons, told)
			}
		})
	}
}

// Times that are further away than any time.Duration are told in years.
func TestExplanationsOfFarTimes(t *testing.T) {
	store, err := sqlite.OpenTemp(t.Context(), nil)
	check(t, err)
	w := newWorld(t, store, cache.Options{})
	w.now = time.Date(2026, 11, 30, 7, 0, 0, 0, time.UTC)
	tracks := create(t, w.ResponseCache, endpoint("tracks", "GET api.test/tracks/{id}"))
	check(t, tracks.Save(t.Context(), "1", "body", repository.ExpireAt(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))))
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{w.now, "It is fresh for another 7973y."},
		{time.Date(10400, 1, 1, 0, 0, 0, 0, time.UTC), "It expired 400y ago, and it has neither an ETag nor a Last-Modified: the origin is asked for it anew."},
	} {
		w.now = tt.now
		told, err := w.Contents().Explain(t.Context(), w.only(t))
		check(t, err)
		if told.Reasons[0] != tt.want {
			t.Errorf("the explanation is %q, want %q", told.Reasons[0], tt.want)
		}
	}
}

package cache_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// Requests that bypass the cache are explained as what a transport does with them, too.
func TestLookupsOfBypassesAreWhatTheTransportDoes(t *testing.T) {
	on := policy.Policy{CacheControl: policy.On}
	for cacheName, ofCache := range map[string]policy.Policy{
		"none": {}, "on": on, "offline": {Use: policy.Offline}, "cached": {Use: policy.OnlyIfCached}, "disabled": {Use: policy.Disabled},
	} {
		for ofName, of := range map[string]policy.Policy{"none": {}, "on": on, "offline": {Use: policy.Offline}, "disabled": {Use: policy.Disabled}} {
			for callName, ofCall := range map[string]policy.Policy{"none": {}, "offline": {Use: policy.Offline}, "disabled": {Use: policy.Disabled}} {
				for askedName, ask := range map[string]http.Header{
					"plain": nil, "cached": headers("Cache-Control", "only-if-cached"), "credential": headers("Authorization", "Bearer x"),
					"cached credential": headers("Authorization", "Bearer x", "Cache-Control", "only-if-cached"), "upgrade": headers("Upgrade", "websocket"),
				} {
					for _, what := range []string{"GET /tracks/1", "GET /tracks/2", "HEAD /tracks/1", "HEAD /tracks/2", "POST /tracks/1", "GET /none/1", "HEAD /none/1", "POST /none/1", "POST /search"} {
						t.Run(fmt.Sprint(cacheName, "/", ofName, "/", callName, "/", askedName, "/", what), func(t *testing.T) {
							store, err := memory.New(nil)
							check(t, err)
							w := newWorld(t, store, cache.Options{Policy: ofCache})
							w.origin.answer = func(*http.Request) (int, http.Header, string) {
								return http.StatusOK, headers("Cache-Control", "max-age=3600"), "body"
							}
							s := endpoint("tracks", "GET api.test/tracks/{id}")
							s.Expire, s.Policy, s.Scope = time.Hour, of, settings.Undeclared
							check(t, create(t, w.ResponseCache, s).Save(t.Context(), "1", "x"))
							method, path, _ := strings.Cut(what, " ")
							req, err := http.NewRequestWithContext(policy.With(t.Context(), ofCall), method, "https://api.test"+path, http.NoBody)
							check(t, err)
							maps.Copy(req.Header, ask)
							l, err := w.Contents().Lookup(req.Context(), req)
							check(t, err)
							if got := w.does(t, req); l.Explanation.Verdict != got {
								t.Errorf("%v is explained: %q; it was %v", l.Explanation.Verdict, l.Reasons, got)
							}
						})
					}
				}
			}
		}
	}
}

// The endpoint that a request belongs to is the most specific of those that have its method.
func TestLookupsOfOtherMethods(t *testing.T) {
	store, err := memory.New(nil)
	check(t, err)
	w := newWorld(t, store, cache.Options{})
	w.origin.answer = func(*http.Request) (int, http.Header, string) { return http.StatusOK, http.Header{}, "body" }
	tracks := endpoint("tracks", "/tracks/{id}")
	tracks.Endpoint = request.Func(func(req *http.Request) (string, bool, error) {
		id, ok := strings.CutPrefix(req.URL.Path, "/tracks/")
		return id, ok, nil
	}, nil)
	tracks.Expire = time.Hour
	create(t, w.ResponseCache, tracks)
	_, err = cache.CreateRepository(t.Context(), w.ResponseCache, settings.RepositorySettings[request.AnyKey, string]{
		Name: "all", Endpoint: request.Any(nil), Payload: payload.String(), Expire: time.Hour, Policy: policy.Policy{Methods: []string{http.MethodPost}},
	})
	check(t, err)
	post := func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.test/tracks/1", http.NoBody)
		check(t, err)
		return req
	}
	for _, want := range []cache.Verdict{cache.Fetch, cache.Serve} {
		l := lookedUp(t, w.ResponseCache, post())
		if got := w.does(t, post()); l.Explanation.Verdict != want || got != want || l.Repository != "all" || l.Found != (want == cache.Serve) {
			t.Errorf("it was %v, want %v; the lookup is %+v", got, want, l)
		}
	}
}

// A router that names no repository makes the request fail.
func TestLookupsOfMisroutedRequests(t *testing.T) {
	c := newCache(t, &cache.Options{Router: func(req *http.Request) string { return req.URL.Host }})
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "one", Pattern: "/{id}"}, "1")
	l := lookedUp(t, c, get(t, "https://two/1"))
	_, err := transport.New(c, nil).RoundTrip(get(t, "https://two/1"))
	if !errors.Is(err, cache.ErrNotFound) || l.Explanation.Verdict != cache.Unanswered || !strings.Contains(strings.Join(l.Reasons, " "), "router") {
		t.Errorf("the error is %v, and the lookup %+v", err, l)
	}
}

package cache_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/policy"
)

// What a lookup tells of a request is what a transport does with it then.
func TestLookupsAreWhatTheTransportDoes(t *testing.T) {
	asked := map[string]http.Header{
		"plain": nil, "no-cache": headers("Cache-Control", "no-cache"), "pragma": headers("Pragma", "no-cache"),
		"young": headers("Cache-Control", "max-age=60"), "fresh for long": headers("Cache-Control", "min-fresh=6000"),
		"stale": headers("Cache-Control", "max-stale"), "a little stale": headers("Cache-Control", "max-stale=60"),
		"cached": headers("Cache-Control", "only-if-cached"), "german": headers("Accept-Language", "de"), "english": headers("Accept-Language", "en"),
		"french": headers("Accept-Language", "fr"), "gzip": headers("Accept-Encoding", "gzip"),
		"range": headers("Range", "bytes=0-1"), "other range": headers("Range", "bytes=5-6"), "unit": headers("Range", "lines=1-2"),
		"changed": headers("If-None-Match", `"1"`), "unchanged": headers("If-None-Match", `"2"`), "if": headers("If-Match", `"1"`),
		"head": headers("X-Method", "HEAD"), "post": headers("X-Method", "POST"),
	}
	responses := map[string]http.Header{
		"plain": headers("Etag", `"1"`), "vary": headers("Etag", `"1"`, "Vary", "Accept-Language"), "coded": headers("Content-Encoding", "gzip", "Vary", "Accept-Encoding"),
		"all": headers("Vary", "*", "Etag", `"1"`), "part": headers("Etag", `"1"`, "Content-Range", "bytes 0-3/10"), "swr": headers("Etag", `"1"`, "Cache-Control", "max-age=3600, stale-while-revalidate=7200"),
		"redirect": headers("Location", "/tracks/1"), "elsewhere": headers("Location", "/tracks/2"),
	}
	for policyName, p := range map[string]policy.Policy{"off": {}, "on": {CacheControl: policy.On}, "swr": {CacheControl: policy.On, StaleWhileRevalidate: 3 * time.Hour}} {
		for responseName, header := range responses {
			for _, later := range []time.Duration{0, 61 * time.Minute, 90 * time.Minute} {
				for askedName, ask := range asked {
					t.Run(strings.Join([]string{policyName, responseName, fmt.Sprint(later), askedName}, "/"), func(t *testing.T) {
						store, err := memory.New(nil)
						check(t, err)
						w := newWorld(t, store, cache.Options{KeepExpired: -1})
						w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
						first := true
						w.origin.answer = func(req *http.Request) (int, http.Header, string) {
							h := header.Clone()
							if h.Get("Cache-Control") == "" {
								h.Set("Cache-Control", "max-age=3600")
							}
							switch {
							case first && responseName == "part":
								first = false
								return http.StatusPartialContent, h, "0123"
							case h.Get("Location") != "":
								return http.StatusMovedPermanently, h, ""
							}
							h.Del("Content-Range")
							if req.Header.Get("If-None-Match") == `"1"` {
								return http.StatusNotModified, h, ""
							}
							return http.StatusOK, h, "0123456789"
						}
						s := endpoint("tracks", "GET api.test/tracks/{id}")
						s.Expire, s.Policy = time.Hour, p
						create(t, w.ResponseCache, s)
						saving := http.Header{}
						switch responseName {
						case "part":
							saving = headers("Range", "bytes=0-3")
						case "vary":
							w.ask(t, "https://api.test/tracks/1", headers("Accept-Language", "en"))
							saving = headers("Accept-Language", "de")
						case "coded":
							saving = headers("Accept-Encoding", "gzip")
						}
						w.ask(t, "https://api.test/tracks/1", saving)
						w.now = w.now.Add(later)

						req := get(t, "https://api.test/tracks/1")
						maps.Copy(req.Header, ask)
						if method := req.Header.Get("X-Method"); method != "" {
							req.Method = method
							req.Header.Del("X-Method")
						}
						stats, before := w.Stats(), len(entriesOf(t, w.Contents(), cache.Query{}))
						l, err := w.Contents().Lookup(t.Context(), req)
						check(t, err)
						if w.Stats() != stats {
							t.Errorf("it has counted: %+v", w.Stats())
						}
						got := w.does(t, req)
						if l.Explanation.Verdict != got {
							t.Errorf("%v is explained: %q; it was %v (%d stored)", l.Explanation.Verdict, l.Reasons, got, before)
						}
					})
				}
			}
		}
	}
}

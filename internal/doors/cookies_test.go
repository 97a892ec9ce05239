package doors

import (
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
)

// cookie is the session that an entry begins.
func cookie(t *testing.T, e repository.Entry) string {
	t.Helper()
	header, err := e.Header()
	check(t, err)
	return header.Get("Set-Cookie")
}

func TestWhichDoorsKeepCookies(t *testing.T) {
	for _, test := range []struct {
		name string
		p    policy.Policy
		kept string
	}{
		{"no", policy.Policy{}, ""},
		{"no, with Cache-Control", policy.Policy{CacheControl: policy.On}, ""},
		{"yes", policy.Policy{Cookies: policy.On}, "session=1"},
		{"yes, with Cache-Control", policy.Policy{Cookies: policy.On, CacheControl: policy.On}, "session=1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := option{cache: cache.Options{Policy: test.p, Expire: time.Minute}}
			through(t, o, func(t *testing.T, h *house, ask func(string) answered) {
				h.api.set("Set-Cookie", "session=1", "Cache-Control", "max-age=60", "Etag", "set")
				want(t, "fetched", ask("a"), version(1))
				h.clock.advance(time.Minute)
				want(t, "expired", ask("a"), version(1)) // in Cache-Control mode it is confirmed
				all := call(t, policy.Policy{Cookies: policy.On})
				e, ok, err := h.fetcher.Repository().GetEntry(all, "a", repository.AllowExpired())
				check(t, err)
				if got := cookie(t, e); !ok || got != test.kept {
					t.Errorf("stored: %v, with the cookie %q, want %q", ok, got, test.kept)
				}
				if strings.Contains(h.row("a"), "session") != (test.kept != "") {
					t.Errorf("the row is %s", h.row("a"))
				}
				fetched, cached, err := h.fetcher.FetchEntry(t.Context(), "a")
				check(t, err)
				if got := cookie(t, fetched); !cached || got != test.kept {
					t.Errorf("FetchEntry: cached %v, with the cookie %q, want %q", cached, got, test.kept)
				}
			})
		})
	}
}

func TestAnEntryHasTheCookiesThatItsCallKeeps(t *testing.T) {
	for _, test := range []struct {
		cache, call policy.Switch
		want        string
	}{
		{0, 0, ""}, {policy.On, 0, "session=1"}, {policy.On, policy.Off, ""}, {0, policy.On, "session=1"},
	} {
		h := newHouse(t, option{cache: cache.Options{Policy: policy.Policy{Cookies: test.cache}}})
		h.api.set("Set-Cookie", "session=1")
		own := fetch.With(policy.Policy{Cookies: test.call})
		for _, what := range []string{"fetched", "cached"} {
			e, _, err := h.fetcher.FetchEntry(t.Context(), "a", own)
			check(t, err)
			if got := cookie(t, e); got != test.want {
				t.Errorf("cache %d, call %d, %s: the cookie is %q, want %q", test.cache, test.call, what, got, test.want)
			}
		}
		off, _, err := h.fetcher.FetchEntry(t.Context(), "a", fetch.With(policy.Policy{Cookies: policy.Off}))
		check(t, err)
		if got := cookie(t, off); got != "" {
			t.Errorf("a call that wants none gets the cookie %q", got)
		}
	}
}

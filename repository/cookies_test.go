package repository_test

import (
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
)

func TestCookiesAreSavedOnlyIfThePolicySaysSo(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		s := tracks
		s.Endpoint = request.Pattern[trackKey]("/v1/tracks/{id}")
		r := create(t, store, s, clock)
		url := "https://api.example.com/v1/tracks/a"
		on := policy.With(t.Context(), policy.Policy{Cookies: policy.On})
		begin := func() *http.Response {
			resp := response(get(t, url), http.StatusOK, "{}")
			resp.Header = http.Header{"Set-Cookie": {"", "session=1"}, "Set-Cookie2": {"a=b"}, "X": {"1"}}
			return resp
		}
		wantCookies := func(what string, h http.Header, want int) {
			t.Helper()
			if n := len(h["Set-Cookie"]) + len(h["Set-Cookie2"]); n != want || h.Get("X") != "1" {
				t.Errorf("%s: %v, want %d cookies", what, h, want)
			}
		}
		saved := func(what string, kept, replayed int) {
			t.Helper()
			resp, ok, err := r.GetResponse(on, get(t, url))
			if err != nil || !ok {
				t.Fatalf("%s: %v, %v", what, ok, err)
			}
			wantCookies(what, resp.Header, kept)
			resp, _, err = r.GetResponse(t.Context(), get(t, url))
			check(t, err)
			wantCookies(what+", replayed", resp.Header, replayed)
			e, _, err := r.GetEntry(t.Context(), trackKey{ID: "a"})
			check(t, err)
			header, err := e.Header()
			check(t, err)
			wantCookies(what+", as an entry", header, replayed)
			entries, err := r.GetEntries(t.Context(), []trackKey{{ID: "a"}})
			check(t, err)
			header, err = entries[trackKey{ID: "a"}].Header()
			check(t, err)
			wantCookies(what+", as one of many", header, replayed)
			for item, err := range r.All(t.Context()) {
				check(t, err)
				header, err = item.Header()
				check(t, err)
				wantCookies(what+", in a loop", header, replayed)
			}
		}

		_, err := r.SaveResponse(t.Context(), begin())
		check(t, err)
		saved("a response", 0, 0)
		_, err = r.SaveResponse(on, begin())
		check(t, err)
		saved("a response of a call that keeps them", 3, 0)

		e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: begin().Header}, []byte("{}"))
		check(t, err)
		check(t, r.SaveEntry(t.Context(), trackKey{ID: "a"}, e))
		saved("an entry", 0, 0)
		check(t, r.SaveEntry(on, trackKey{ID: "a"}, e))
		saved("an entry of a call that keeps them", 3, 0)

		s.Name, s.Policy.Cookies = "kept", policy.On
		r = create(t, store, s, clock)
		_, err = r.SaveResponse(t.Context(), begin())
		check(t, err)
		saved("a response of a repository that keeps them", 3, 3)
	})
}

package repository_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/request"
)

func TestAnotherHostsResponseIsSavedOnlyIfItIsNamed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"title":"A"}`) }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/tracks/b", http.StatusFound)
	}))
	defer server.Close()
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		for _, test := range []struct {
			name  string
			hosts []string
			want  bool
		}{{"none", nil, false}, {"another", []string{"cdn.example.com"}, false}, {"its own", []string{other.Listener.Addr().String()}, true}} {
			s := tracks
			s.Name, s.Endpoint, s.RedirectHosts = "tracks_"+test.name[:3], request.Pattern[trackKey]("/v1/tracks/{id}"), test.hosts
			r := create(t, store, s, clock)
			req := get(t, server.URL+"/v1/tracks/a")
			resp, err := server.Client().Do(req)
			check(t, err)
			saved, err := r.SaveResponse(t.Context(), resp)
			check(t, err)
			_, found, err := r.GetResponse(t.Context(), req)
			if err != nil || saved != test.want || found != test.want {
				t.Errorf("with the hosts %q: saved %v, found %v, %v", test.hosts, saved, found, err)
			}
			if body := readAll(t, resp); body != `{"title":"A"}` {
				t.Errorf("the body is %q", body)
			}
		}
	})
}

func TestACacheCountsWhatOtherHostsAnswer(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store, clock *clock) {
		c, err := cache.New(unclosed{store}, &cache.Options{Now: clock.Now})
		check(t, err)
		defer c.Close()
		s := tracks
		s.Endpoint = request.Pattern[trackKey]("GET api.example.com/v1/tracks/{id}")
		_, err = cache.CreateRepository(t.Context(), c, s)
		check(t, err)
		first := get(t, "https://api.example.com/v1/tracks/a")
		led := get(t, "http://api.example.com/v1/tracks/a")
		led.Response = response(first, http.StatusFound, "")
		n, err := c.SaveResponses(t.Context(), []*http.Response{response(led, http.StatusOK, "{}"), response(first, http.StatusOK, "{}")})
		if err != nil || n != 1 || c.Stats().Foreign != 1 {
			t.Errorf("%d are saved, %d are another's, %v", n, c.Stats().Foreign, err)
		}
	})
}

// unclosed is a store that the test closes.
type unclosed struct{ driver.Store }

func (unclosed) Close() error { return nil }

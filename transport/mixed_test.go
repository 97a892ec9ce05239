package transport_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Two equal requests at one time, of which the second has another policy: it must
// not get what its policy forbids.
func TestCallersThatShareAFetchKeepTheirOwnPolicy(t *testing.T) {
	for _, test := range []struct {
		name          string
		first, second policy.Policy
		status        int // of the origin, after 200
		want          int // for the second
	}{
		{"the first takes what is stale", policy.Policy{StaleIfError: time.Hour}, policy.Policy{StaleIfError: -1}, 503, 503},
		{"the second takes what is stale", policy.Policy{StaleIfError: -1}, policy.Policy{StaleIfError: time.Hour}, 503, 200},
		{"the first takes what is stale, in Cache-Control mode", policy.Policy{StaleIfError: time.Hour, CacheControl: policy.On}, policy.Policy{StaleIfError: -1, CacheControl: policy.On}, 503, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}}, "Cache-Control", "max-age=60")
			h.get("/a")
			h.clock.Advance(time.Minute)
			o.answer(test.status)
			asked, goOn := make(chan struct{}, 8), make(chan struct{})
			o.hook = func(http.ResponseWriter, *http.Request) bool {
				asked <- struct{}{}
				<-goOn
				return false
			}
			statuses := make([]chan int, 2)
			for i, p := range []policy.Policy{test.first, test.second} {
				statuses[i] = make(chan int, 1)
				req := with(h.request(http.MethodGet, "/a", ""), p)
				go func() {
					resp, err := h.transport.RoundTrip(req)
					if err != nil {
						statuses[i] <- 0
						return
					}
					_, _ = copyAll(io.Discard, resp)
					statuses[i] <- resp.StatusCode
				}()
				if i == 0 {
					<-asked
				}
			}
			waitfor.Blocked(t, 2, "exchange.(*Flight).wait")
			close(goOn)
			<-statuses[0]
			if got := <-statuses[1]; got != test.want {
				t.Errorf("the second gets %d, want %d", got, test.want)
			}
		})
	}
}

// One caller asks for gzip itself and gets it as it is; others have not asked for
// bytes that they do not understand.
func TestACodedBodyIsNotServedToThoseWhoDidNotAskForIt(t *testing.T) {
	var coded bytes.Buffer
	w := gzip.NewWriter(&coded)
	io.WriteString(w, "plain")
	w.Close()
	for name, opts := range map[string]*options{"by the policy": nil, "in Cache-Control mode": controlled()} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Vary", "Accept-Encoding")
				if r.Header.Get("Accept-Encoding") == "gzip" {
					w.Header().Set("Content-Encoding", "gzip")
					w.Write(coded.Bytes())
					return
				}
				io.WriteString(w, "plain")
			}, opts)
			_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, string]{
				Name: "tracks", Endpoint: request.Pattern[string]("/tracks/{id}"), Payload: payload.String(),
			})
			check(t, err)
			if _, body := h.get("/tracks/a", "Accept-Encoding", "gzip"); body != coded.String() {
				t.Fatalf("%q", body)
			}
			for range 2 {
				if resp, body := h.get("/tracks/a", "Accept-Encoding", "identity"); body != "plain" {
					t.Errorf("%v %q with Content-Encoding: %s", hit(resp), body, resp.Header.Get("Content-Encoding"))
				}
			}
			if _, body := h.get("/tracks/a"); body != "plain" {
				t.Errorf("without a header: %q", body)
			}
		})
	}
}

func TestAHeadOfflineIsAnsweredByAnExpiredGet(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.get("/a")
	h.clock.Advance(time.Hour)
	resp, _ := h.do(with(h.request(http.MethodHead, "/a", ""), policy.Policy{Use: policy.Offline}))
	if resp.StatusCode != 200 || !hit(resp) || resp.ContentLength != 6 {
		t.Errorf("%d, length %d", resp.StatusCode, resp.ContentLength)
	}
}

func TestAHeadFollowsTheRepositorysPolicy(t *testing.T) {
	h, _ := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute)}})
	h.get("/a")
	h.clock.Advance(time.Hour)
	for use, want := range map[policy.Use]int{policy.Offline: 200, policy.OnlyIfCached: 504} {
		offline := h.another(&options{Repositories: map[string]policy.Policy{"all": {Use: use}}})
		resp, err := offline.RoundTrip(h.request(http.MethodHead, "/a", ""))
		check(t, err)
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%d: %d, want %d", use, resp.StatusCode, want)
		}
	}
}

// The caller that asks the origin has a policy, the others are in Cache-Control mode: all
// read what stands in at the same time.
func TestCallersInSeveralModesShareWhatStandsIn(t *testing.T) {
	h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), StaleIfError: time.Hour}}, "Cache-Control", "max-age=60")
	h.get("/a")
	h.clock.Advance(time.Minute)
	o.answer(503)
	asked, goOn := make(chan struct{}, 32), make(chan struct{})
	o.hook = func(http.ResponseWriter, *http.Request) bool {
		asked <- struct{}{}
		<-goOn
		return false
	}
	var all sync.WaitGroup
	for i := range 20 {
		req := h.request(http.MethodGet, "/a", "")
		if i > 0 {
			req = with(req, policy.Policy{CacheControl: policy.On})
		}
		all.Go(func() {
			resp, err := h.transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := copyAll(io.Discard, resp); err != nil || resp.StatusCode != 200 {
				t.Errorf("%d, %v", resp.StatusCode, err)
			}
		})
		if i == 0 {
			<-asked
		}
	}
	time.Sleep(20 * time.Millisecond) // for the others to wait for the first; they need not
	close(goOn)
	all.Wait()
}

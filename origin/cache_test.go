package origin_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// What is cached neither counts for a limit nor waits for a pause.
func TestHitsCostNothing(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/refused" {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, "fine")
	}))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()

	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("all", nil)); err != nil {
		t.Fatal(err)
	}
	// After two requests, the next would have to wait for hours.
	rt := origin.New(base, &origin.Options{Limits: origin.Limits{Rate: 0.0001, Burst: 2, InFlight: 1}, MaxPause: time.Hour})
	cached := transport.New(c, &transport.Options{Base: rt})

	mustGet(t, cached, server.URL+"/kept", http.StatusOK)
	mustGet(t, cached, server.URL+"/refused", http.StatusTooManyRequests)
	for range 100 {
		mustGet(t, cached, server.URL+"/kept", http.StatusOK)
	}
	if s := rt.Stats(); s.Requests != 2 || asked.Load() != 2 || s.Pauses != 1 {
		t.Errorf("%d requests, %d at the server, %d pauses; want 2, 2, 1", s.Requests, asked.Load(), s.Pauses)
	}
	wantIdle(t, rt)
}

// Under resty each attempt is a request that counts, and a pause holds for all of its
// clients.
func TestUnderResty(t *testing.T) {
	server := httptest.NewServer(refuse(2, http.StatusServiceUnavailable, "Retry-After", "0"))
	defer server.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := origin.New(base, &origin.Options{Limits: origin.Limits{InFlight: 1}})
	client := resty.New().SetTransport(rt).SetRetryCount(3).SetRetryWaitTime(time.Millisecond).
		AddRetryCondition(func(resp *resty.Response, err error) bool {
			return err != nil || resp.StatusCode() == http.StatusServiceUnavailable
		})
	resp, err := client.R().Get(server.URL)
	if err != nil || resp.String() != "fine" {
		t.Errorf("the answer is %q, %v", resp, err)
	}
	if n := rt.Stats().Requests; n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
	wantIdle(t, rt)
}

// A base that breaks the rule of RoundTrip has neither a response nor an error.
func TestBaseWithoutAnAnswer(t *testing.T) {
	rt := origin.New(transport.Doer(broken{}), nil)
	if _, _, err := get(t.Context(), rt, "http://api.test/"); err == nil {
		t.Error("no error")
	}
	failure := errors.New("no network")
	rt = origin.New(transport.Doer(broken{failure}), nil)
	if _, _, err := get(t.Context(), rt, "http://api.test/"); !errors.Is(err, failure) {
		t.Errorf("error %v, want the base's", err)
	}
	wantIdle(t, rt)
}

type broken struct{ err error }

func (b broken) Do(*http.Request) (*http.Response, error) { return nil, b.err }

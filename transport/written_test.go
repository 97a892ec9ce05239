package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/payload"
	keys "github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// An unsafe request makes old what is stored for whoever has made it.
func TestAnUnsafeRequestOfAnIdentity(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "text") },
		&options{Scope: settings.PerIdentity})
	as := func(method, user, token string) bool {
		t.Helper()
		req := h.request(method, "/list", "")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if user != "" {
			req = req.WithContext(identity.With(context.Background(), user))
		}
		resp, _ := h.do(req)
		return hit(resp)
	}
	for _, users := range [][2][2]string{
		{{"alice", ""}, {"bob", ""}},
		{{"", "a"}, {"", "b"}},
	} {
		writer, other := users[0], users[1]
		for range 2 {
			as("GET", writer[0], writer[1])
			as("GET", other[0], other[1])
		}
		as("POST", writer[0], writer[1])
		if as("GET", writer[0], writer[1]) {
			t.Errorf("%q: whoever has written is served what was stored before", writer)
		}
	}
}

// An unsafe request makes old what is stored of the origin that it was sent to.
func TestAnUnsafeRequestToOneOfTwoOrigins(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "text") }, nil)
	other := httptest.NewServer(h.server.Config.Handler)
	t.Cleanup(other.Close)
	_, err := cache.CreateRepository(t.Context(), h.cache, settings.RepositorySettings[string, []byte]{
		Name: "things", Endpoint: keys.Pattern[string]("GET /things/{id}"), Payload: payload.Bytes(),
	})
	check(t, err)
	send := func(method, server string, headers ...string) bool {
		t.Helper()
		req := h.request(method, "/things/a", "", headers...)
		req.URL.Host = server[len("http://"):]
		req.Host = ""
		resp, _ := h.do(req)
		return hit(resp)
	}
	servers := []string{h.server.URL, other.URL}
	for i, written := range servers {
		for range 2 {
			send("GET", h.server.URL)
			send("GET", other.URL)
		}
		// Reads with credentials would bypass this repository; a write is one nevertheless.
		send("DELETE", written, "Authorization", fmt.Sprint("token ", i))
		if send("GET", written) {
			t.Errorf("origin %d: what was stored before it was written to is served", i)
		}
		if !send("GET", servers[1-i]) {
			t.Errorf("origin %d: what is stored of it is gone", 1-i)
		}
	}
}

// COPY and MOVE of WebDAV write to their Destination, too.
func TestCopyAndMoveInvalidateTheirDestination(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "text") }, nil)
	for _, method := range []string{"COPY", "MOVE"} {
		for destination, want := range map[string]bool{
			"/there": true, "/%74here": true, h.url("/there"): true,
			"http://other.example/there": false, "": false, "%": false,
		} {
			h.get("/there")
			h.get("/here")
			req := h.request(method, "/here", "", "Destination", destination, "Overwrite", "T", "Depth", "infinity", "If", "(<urn:x>)")
			h.do(req)
			if resp, _ := h.get("/there"); hit(resp) == want {
				t.Errorf("%s to %q: what was stored of /there is served: %t", method, destination, hit(resp))
			}
			if resp, _ := h.get("/here"); hit(resp) {
				t.Errorf("%s to %q: what was stored of its own URL is served", method, destination)
			}
		}
	}
}

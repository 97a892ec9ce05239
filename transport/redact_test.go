package transport_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/settings"
)

// A 304 has the digest of what the origin has sent, which is not what is stored.
func TestAConfirmationBringsNoDigestOfARedactedBody(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Etag": `"1"`, "Cache-Control": "no-cache", "Content-Type": "application/json",
			"Content-Digest": "sha-256=:x:", "Repr-Digest": "sha-256=:x:", "Digest": "sha-256=x",
		} {
			w.Header().Set(name, value)
		}
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, `{"token":"s","a":1}`)
	}, &options{Policy: policy.Policy{CacheControl: policy.On}})
	h.cache.Remove("all")
	s := settings.CatchAll("redacted", nil)
	s.Redact = redact.Rules{JSON: []string{"token"}}
	_, err := cache.CreateRepository(t.Context(), h.cache, s)
	check(t, err)
	h.get("/a")
	for range 2 {
		resp, body := h.get("/a")
		if !hit(resp) || body != `{"token":null,"a":1}` {
			t.Errorf("%q, hit: %t", body, hit(resp))
		}
		for _, name := range []string{"Content-Digest", "Repr-Digest", "Digest"} {
			if got := resp.Header.Get(name); got != "" {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
}

package transport_test

import (
	"io"
	"net/http"
	"testing"
)

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

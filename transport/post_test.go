package transport_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/transport"
)

// RFC 9110, section 9.3.3: a POST may be answered with what a GET would get.
func TestAPostThatTellsWhatAGetWouldGet(t *testing.T) {
	for _, test := range []struct {
		name     string
		path     string
		location string // of the response; "URL" stands for the origin's
		headers  []string
		status   int
		isHit    bool
		outside  bool // Cache-Control mode
	}{
		{name: "the path", path: "/a?b=c", location: "/a?b=c", isHit: true},
		{name: "the URL", path: "/a", location: "URL/a", isHit: true},
		{name: "the empty reference", path: "/a", location: "", isHit: true},
		{name: "Expires", path: "/a", location: "/a", headers: []string{"Cache-Control", "", "Expires", "later"}, isHit: true},
		{name: "no Content-Location", path: "/a", location: "-"},
		{name: "another path", path: "/a", location: "/b"},
		{name: "another query", path: "/a?b=c", location: "/a"},
		{name: "another host", path: "/a", location: "http://other.test/a"},
		{name: "another scheme", path: "/a", location: "ftp://other.test/a"},
		{name: "no freshness", path: "/a", location: "/a", headers: []string{"Cache-Control", "", "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"}},
		{name: "stale at once", path: "/a", location: "/a", headers: []string{"Cache-Control", "max-age=0"}},
		{name: "no-store", path: "/a", location: "/a", headers: []string{"Cache-Control", "no-store, max-age=60"}},
		{name: "another status", path: "/a", location: "/a", status: 201},
		{name: "outside Cache-Control mode", path: "/a", location: "/a", outside: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := controlled()
			if test.outside {
				opts = &options{Policy: policy.Policy{Expire: policy.After(time.Hour)}}
			}
			var origin string
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"1"`)
				for i := 0; i+1 < len(test.headers); i += 2 {
					w.Header().Set(test.headers[i], strings.Replace(test.headers[i+1], "later", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), 1))
				}
				if test.location != "-" && r.Method == http.MethodPost {
					w.Header().Set("Content-Location", strings.Replace(test.location, "URL", origin, 1))
				}
				if test.status != 0 && r.Method == http.MethodPost {
					w.WriteHeader(test.status)
				}
				io.WriteString(w, "by "+r.Method)
			}, opts)
			origin = h.server.URL
			h.get(test.path)
			resp, body := h.do(h.request(http.MethodPost, test.path, "new", "Content-Type", "text/plain"))
			if hit(resp) || body != "by POST" || resp.Request.Method != http.MethodPost {
				t.Fatalf("%d %q of a %s", resp.StatusCode, body, resp.Request.Method)
			}
			want := "by GET"
			if test.isHit {
				want = "by POST"
			}
			resp, body = h.get(test.path)
			if hit(resp) != test.isHit || body != want {
				t.Errorf("GET: %q, hit: %v", body, hit(resp))
			}
		})
	}
}

// The caller gets its response in any case, and what breaks off is not kept.
func TestAPostThatBreaksOffIsNotKept(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "/a")
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Length", "10")
		}
		io.WriteString(w, "short")
	}, controlled())
	resp, err := h.client.Post(h.url("/a"), "text/plain", strings.NewReader("new"))
	check(t, err)
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "short" {
		t.Errorf("%q, %v", body, err)
	}
	resp.Body.Close()
	if resp, _ := h.get("/a"); hit(resp) {
		t.Error("it was kept")
	}
}

// In Cache-Control mode Vary tells whether Accept-Encoding, which many clients set by
// themselves, makes a difference; a coded body is for those that ask for its coding.
func TestAcceptEncodingIsLeftToVary(t *testing.T) {
	for _, varies := range []bool{false, true} {
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", `"1"`)
			if varies {
				w.Header().Set("Vary", "Accept-Encoding")
			}
			if r.Header.Get("Accept-Encoding") == "br" {
				w.Header().Set("Content-Encoding", "br")
				io.WriteString(w, "coded")
				return
			}
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(digits))
		}, controlled())
		h.base.DisableCompression = true
		h.get("/a", "Accept-Encoding", "gzip, deflate")
		resp, body := h.get("/a", "Accept-Encoding", "identity", "Range", "bytes=0-1")
		if body != "01" || hit(resp) == varies {
			t.Errorf("a range: %q, hit: %v", body, hit(resp))
		}
		for _, wantHit := range []bool{false, true} {
			resp, body = h.get("/b", "Accept-Encoding", "br")
			if body != "coded" || hit(resp) != wantHit {
				t.Errorf("coded: %q, hit: %v", body, hit(resp))
			}
		}
		if resp, body = h.get("/b", "Accept-Encoding", "gzip"); body != digits || hit(resp) {
			t.Errorf("not coded: %q, hit: %v", body, hit(resp))
		}
	}
}

// Where the base follows redirects, the response tells of another URL.
func TestAPostThatIsRedirectedIsNotKept(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" && r.Method == http.MethodPost {
			http.Redirect(w, r, "/b", http.StatusSeeOther)
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Location", "/a")
		io.WriteString(w, r.Method+" "+r.URL.Path)
	}, controlled())
	below := h.over(h.cache, transport.Doer(&http.Client{Transport: h.base}))
	resp, err := below.RoundTrip(h.request(http.MethodPost, "/a", "new"))
	check(t, err)
	check(t, resp.Body.Close())
	if resp, body := h.get("/a"); hit(resp) || body != "GET /a" {
		t.Errorf("%q, hit: %v", body, hit(resp))
	}
}

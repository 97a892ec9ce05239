package transport_test

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
)

func TestSeveralRangesOfAWhole(t *testing.T) {
	for _, opts := range []*options{{}, controlled()} {
		h, o := startPartial(t, opts, fresh...)
		h.wantWhole(digits, false)
		o.wantAsked(t, "")
		resp, body := h.get("/a", "Range", "bytes=1-2,-2,99-")
		kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil || resp.StatusCode != 206 || !hit(resp) || kind != "multipart/byteranges" || resp.Header.Get("Content-Range") != "" ||
			resp.ContentLength != int64(len(body)) || resp.Header.Get("Etag") != `"1"` {
			t.Fatalf("%d %v, length %d, %v", resp.StatusCode, resp.Header, resp.ContentLength, err)
		}
		r := multipart.NewReader(strings.NewReader(body), params["boundary"])
		for _, want := range []string{"bytes 1-2/10: 12", "bytes 8-9/10: 89"} {
			part, err := r.NextPart()
			check(t, err)
			content, err := io.ReadAll(part)
			check(t, err)
			if got := part.Header.Get("Content-Range") + ": " + string(content); got != want || part.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("%s (%v), want %s", got, part.Header, want)
			}
		}
		if _, err := r.NextPart(); err != io.EOF { //nolint:errorlint // it is io.EOF itself
			t.Error("there is more: ", err)
		}
		h.wantPart("bytes=0-4,3-6", "0123456", "bytes 0-6/10", true) // they overlap
		h.wantPart("bytes="+strings.Repeat("0-,", 60), digits, "bytes 0-9/10", true)
		h.wantWhole(digits, true, "Range", "bytes="+strings.Repeat("0-0,2-2,", 5000)) // too many are ignored
		h.wantWhole(digits, true, "Range", "bytes=5-4")
		h.wantWhole(digits, true, "Range", "bytes=0-1", "If-Range", `"2"`)
		h.wantWhole(digits, true, "Range", "bytes=0-1", "If-Range", `W/"1"`)
		o.wantAsked(t)
	}
}

func TestARangeThatIsNotThere(t *testing.T) {
	for _, opts := range []*options{{}, controlled()} {
		h, o := startPartial(t, opts, fresh...)
		h.wantWhole(digits, false)
		resp, body := h.get("/a", "Range", "bytes=10-")
		if resp.StatusCode != 416 || body != "" || !hit(resp) || resp.Header.Get("Content-Range") != "bytes */10" ||
			resp.Header.Get("Content-Type") != "" || resp.ContentLength != 0 {
			t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
		}
		h.wantWhole(digits, true, "Range", "bytes=10-", "If-Range", `"2"`)
		o.wantAsked(t, "")
	}
	h, _ := startPartial(t, nil, fresh...)
	h.wantPart("bytes=5-", "56789", "bytes 5-9/10", false)
	if resp, _ := h.get("/a", "Range", "bytes=10-"); resp.StatusCode != 416 || resp.Header.Get("Content-Range") != "bytes */10" {
		t.Errorf("of a part: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestRangesThatAreTheOrigins(t *testing.T) {
	for _, opts := range []*options{{}, controlled()} {
		h, o := startPartial(t, opts, fresh...)
		h.wantWhole(digits, false)
		o.says(func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Range", "items 2-3/5")
			io.WriteString(w, "items")
			return true
		})
		for range 2 {
			resp, body := h.get("/a", "Range", "items=2-3")
			if hit(resp) || body != "items" {
				t.Errorf("%q, hit: %v", body, hit(resp))
			}
		}
		h.wantWhole(digits, true) // it is not taken for the whole
		o.wantAsked(t, "", "items=2-3", "items=2-3")
		resp, body := h.do(with(h.request("GET", "/a", "", "Range", "items=2-3"), policy.Policy{Use: policy.Offline}))
		if resp.StatusCode != 200 || body != digits {
			t.Errorf("offline: %d %q", resp.StatusCode, body)
		}
	}
}

func TestHeadIgnoresRanges(t *testing.T) {
	for _, opts := range []*options{{}, controlled()} {
		h, _ := startPartial(t, opts, fresh...)
		h.wantWhole(digits, false)
		resp, _ := h.do(h.request("HEAD", "/a", "", "Range", "bytes=0-1"))
		if resp.StatusCode != 200 || resp.ContentLength != 10 || !hit(resp) || resp.Header.Get("Content-Range") != "" {
			t.Errorf("%d %v, length %d", resp.StatusCode, resp.Header, resp.ContentLength)
		}
	}
}

func TestAConditionGoesBeforeARange(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	if resp, body := h.get("/a", "Range", "bytes=1-2", "If-None-Match", `"1"`); resp.StatusCode != 304 || body != "" || !hit(resp) {
		t.Errorf("%d %q, hit: %v", resp.StatusCode, body, hit(resp))
	}
	o.wantAsked(t, "bytes=0-4")
}

// What is renewed in the background is the whole, though a part was asked for.
func TestARangeOfAStaleWholeRenewsTheWhole(t *testing.T) {
	h, o := startPartial(t, nil, "Cache-Control", "max-age=60, stale-while-revalidate=600")
	h.wantWhole(digits, false)
	h.clock.Advance(2 * time.Minute)
	h.wantPart("bytes=1-2", "12", "bytes 1-2/10", true)
	check(t, h.transport.Close())
	o.wantAsked(t, "", "")
	entry := h.stored()
	if entry.Status != 200 || string(entry.Payload) != digits || !entry.CachedAt.Equal(h.clock.Now()) {
		t.Errorf("stored: %d %q as of %v", entry.Status, entry.Payload, entry.CachedAt)
	}
}

// stored is the one entry of the harness's repository.
func (h *harness) stored() (only driver.Entry) {
	h.t.Helper()
	table := exchange.OfCache(h.cache).Tables()[0]
	for entry, err := range table.Entries(h.t.Context(), driver.Selection{Parts: driver.Payload | driver.Meta}) {
		check(h.t, err)
		only = entry
	}
	return only
}

// What answers a condition or a range of one request is no answer to others.
func TestAFailedConditionOrRangeIsNotKept(t *testing.T) {
	for name, opts := range map[string]*options{"Cache-Control mode": controlled(), "by policy": {}} {
		for _, headers := range [][]string{{"Range", "bytes=20-"}, {"If-Match", `"2"`}} {
			t.Run(name+" "+headers[0], func(t *testing.T) {
				h, _ := startPartial(t, opts, fresh...)
				for range 2 {
					if resp, _ := h.get("/a", headers...); resp.StatusCode < 400 || hit(resp) {
						t.Errorf("%d, hit: %v", resp.StatusCode, hit(resp))
					}
				}
				h.wantWhole(digits, false)
			})
		}
	}
}

package transport_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

const digits = "0123456789"

// partial is an origin that answers a range with a part, as any file server does.
type partial struct {
	clock *clock

	mu      sync.Mutex
	content string
	header  http.Header // of its responses
	asked   []string    // "Range If-Range If-None-Match" of the requests
	answer  func(w http.ResponseWriter, r *http.Request) bool
}

func (o *partial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, strings.TrimRight(r.Header.Get("Range")+" "+r.Header.Get("If-Range")+" "+r.Header.Get("If-None-Match"), " "))
	w.Header().Set("Date", o.clock.Now().Format(http.TimeFormat))
	for name, values := range o.header {
		w.Header()[name] = values
	}
	if o.answer != nil && o.answer(w, r) {
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(o.content))
}

func (o *partial) set(headers ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.header = make(http.Header)
	for i := 0; i+1 < len(headers); i += 2 {
		o.header.Add(headers[i], headers[i+1])
	}
}

func (o *partial) becomes(content, tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.content = content
	o.header.Set("Etag", tag)
}

// says lets the origin answer with a status of its own, until it is nil.
func (o *partial) says(answer func(w http.ResponseWriter, r *http.Request) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer = answer
}

// wantAsked checks what has reached the origin since the last time.
func (o *partial) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := strings.Join(o.asked, "; "); got != strings.Join(want, "; ") {
		t.Errorf("the origin was asked %q, want %q", got, strings.Join(want, "; "))
	}
	o.asked = nil
}

// startPartial is a harness over an origin of parts in Cache-Control mode, unless opts
// says otherwise.
func startPartial(t *testing.T, opts *options, headers ...string) (*harness, *partial) {
	t.Helper()
	return startPartialOn(t, memoryStore(t), opts, headers...)
}

func startPartialOn(t *testing.T, store driver.Store, opts *options, headers ...string) (*harness, *partial) {
	t.Helper()
	if opts == nil {
		opts = controlled()
	}
	o := &partial{content: digits}
	o.set(append([]string{"Content-Type", "text/plain"}, headers...)...)
	h := startOn(t, store, o.ServeHTTP, opts)
	o.clock = h.clock
	return h, o
}

// wantPart checks the response to a request for ranges.
func (h *harness) wantPart(rangeOf, body, contentRange string, isHit bool, headers ...string) {
	h.t.Helper()
	resp, got := h.get("/a", append([]string{"Range", rangeOf}, headers...)...)
	if resp.StatusCode != 206 || got != body || resp.Header.Get("Content-Range") != contentRange || hit(resp) != isHit ||
		resp.ContentLength != int64(len(body)) || resp.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		h.t.Errorf("%s: %d %q (%s, length %d), hit: %v; want %q (%s), hit: %v", rangeOf,
			resp.StatusCode, got, resp.Header.Get("Content-Range"), resp.ContentLength, hit(resp), body, contentRange, isHit)
	}
}

// wantWhole checks the response to a GET of all.
func (h *harness) wantWhole(body string, isHit bool, headers ...string) *http.Response {
	h.t.Helper()
	resp, got := h.get("/a", headers...)
	if resp.StatusCode != 200 || got != body || hit(resp) != isHit || resp.Header.Get("Content-Range") != "" ||
		resp.ContentLength != int64(len(body)) {
		h.t.Errorf("%d %q (%s), hit: %v; want all of %q, hit: %v", resp.StatusCode, got, resp.Header.Get("Content-Range"), hit(resp), body, isHit)
	}
	return resp
}

var fresh = []string{"Cache-Control", "max-age=3600", "Etag", `"1"`}

// RFC 9111, sections 3.3 and 3.4.
func TestAPartAnswersWhatItHas(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.wantPart("bytes=2-6", "23456", "bytes 2-6/10", false)
	o.wantAsked(t, "bytes=2-6")
	h.wantPart("bytes=2-6", "23456", "bytes 2-6/10", true)
	h.wantPart("bytes=3-4", "34", "bytes 3-4/10", true)
	h.wantPart("bytes=6-6", "6", "bytes 6-6/10", true, "If-Range", `"1"`)
	o.wantAsked(t)

	h.wantPart("bytes=6-7", "67", "bytes 6-7/10", false) // is combined
	h.wantPart("bytes=2-7", "234567", "bytes 2-7/10", true)
	h.wantPart("bytes=-1", "9", "bytes 9-9/10", false)
	h.wantPart("bytes=9-", "9", "bytes 9-9/10", true)
	h.wantPart("bytes=-1", "9", "bytes 9-9/10", true)
	h.wantPart("bytes=8-", "89", "bytes 8-9/10", false)
	h.wantPart("bytes=-8", "23456789", "bytes 2-9/10", true)
	o.wantAsked(t, "bytes=6-7", "bytes=-1", "bytes=8-")

	resp := h.wantWhole(digits, false)
	o.wantAsked(t, `bytes=0-1 "1"`)
	if resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("Content-Length") != "10" {
		t.Error(resp.Header)
	}
	h.wantWhole(digits, true)
	h.wantPart("bytes=0-1", "01", "bytes 0-1/10", true)
	o.wantAsked(t)
}

func TestPartsThatAreTheWholeBecomeIt(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.wantPart("bytes=5-", "56789", "bytes 5-9/10", false)
	o.header.Set("X-Last", "yes")
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	o.header.Del("X-Last")
	resp := h.wantWhole(digits, true)
	if resp.Header.Get("X-Last") != "yes" || resp.Header.Get("Content-Length") != "10" {
		t.Error(resp.Header)
	}
	resp, _ = h.do(h.request(http.MethodHead, "/a", ""))
	if !hit(resp) || resp.StatusCode != 200 || resp.ContentLength != 10 {
		t.Errorf("HEAD: %d, hit: %v, length %d", resp.StatusCode, hit(resp), resp.ContentLength)
	}
	o.wantAsked(t, "bytes=5-", "bytes=0-4")
}

func TestAPartIsNoAnswerToAnythingElse(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.wantPart("bytes=4-5", "45", "bytes 4-5/10", false)
	resp, _ := h.do(h.request(http.MethodHead, "/a", ""))
	if hit(resp) || resp.StatusCode != 200 {
		t.Errorf("HEAD: %d, hit: %v", resp.StatusCode, hit(resp))
	}
	o.wantAsked(t, "bytes=4-5", "")
	for _, use := range []policy.Use{policy.Offline, policy.OnlyIfCached} {
		resp, _ := h.do(with(h.request("GET", "/a", ""), policy.Policy{Use: use}))
		if resp.StatusCode != 504 {
			t.Errorf("%v: %d", use, resp.StatusCode)
		}
		resp, body := h.do(with(h.request("GET", "/a", "", "Range", "bytes=4-4"), policy.Policy{Use: use}))
		if resp.StatusCode != 206 || body != "4" {
			t.Errorf("%v: %d %q", use, resp.StatusCode, body)
		}
	}
	resp, body := h.get("/a", "If-None-Match", `"2"`)
	if resp.StatusCode != 200 || body != digits || hit(resp) {
		t.Errorf("a condition: %d %q, hit: %v", resp.StatusCode, body, hit(resp))
	}
	o.wantAsked(t, `  "2"`)
}

func TestAMiddlePartDoesNotShortenTheRequestForAll(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.wantPart("bytes=4-5", "45", "bytes 4-5/10", false)
	h.wantWhole(digits, false)
	o.wantAsked(t, "bytes=4-5", "")
}

func TestTheRestIsOfAnotherResponse(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(o *partial)
		body   string
		asked  []string
	}{
		{"it has changed", func(o *partial) { o.becomes("abcdefghij", `"2"`) }, "abcdefghij", []string{`bytes=5- "1"`}},
		{"it has become shorter", func(o *partial) { o.becomes("abc", `"2"`) }, "abc", []string{`bytes=5- "1"`}},
		{"the condition is ignored", func(o *partial) {
			o.says(func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("If-Range"); return false })
			o.becomes("abcdefghij", `"2"`)
		}, "abcdefghij", []string{`bytes=5- "1"`, ""}},
		{"the range is another", func(o *partial) {
			o.says(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Range") != "" {
					r.Header.Set("Range", "bytes=6-")
				}
				return false
			})
		}, digits, []string{`bytes=5- "1"`, ""}},
		{"the size is another", func(o *partial) {
			o.says(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Range") == "" {
					return false
				}
				w.Header().Set("Content-Range", "bytes 5-9/11")
				w.WriteHeader(206)
				io.WriteString(w, "56789")
				return true
			})
		}, digits, []string{`bytes=5- "1"`, ""}},
		{"there is no rest", func(o *partial) {
			o.says(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Range") != "" {
					w.WriteHeader(416)
				}
				return r.Header.Get("Range") != ""
			})
		}, digits, []string{`bytes=5- "1"`, ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startPartial(t, nil, fresh...)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
			o.wantAsked(t, "bytes=0-4")
			test.change(o)
			h.wantWhole(test.body, false)
			o.wantAsked(t, test.asked...)
			h.wantWhole(test.body, true)
		})
	}
}

func TestABrokenRestIsNotSaved(t *testing.T) {
	for name, body := range map[string]string{"short": "567", "long": "56789X"} {
		t.Run(name, func(t *testing.T) {
			h, o := startPartial(t, nil, fresh...)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
			o.says(func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Range", "bytes 5-9/10")
				w.WriteHeader(206)
				w.(http.Flusher).Flush() // without a length
				io.WriteString(w, body)
				return true
			})
			resp, err := h.client.Get(h.url("/a"))
			check(t, err)
			if got, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%q without an error", got)
			}
			resp.Body.Close()
			o.says(nil)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", true)
			h.wantWhole(digits, false)
		})
	}
}

func TestAStalePartIsRevalidated(t *testing.T) {
	h, o := startPartial(t, nil, "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.clock.Advance(2 * time.Minute)
	h.wantPart("bytes=1-2", "12", "bytes 1-2/10", true)
	o.wantAsked(t, "bytes=0-4", `bytes=1-2  "1"`)
	h.wantPart("bytes=0-0", "0", "bytes 0-0/10", true) // it is fresh again
	o.wantAsked(t)
	h.clock.Advance(2 * time.Minute)
	h.wantWhole(digits, false) // If-Range asks, too
	o.wantAsked(t, `bytes=5- "1"`)

	h.clock.Advance(2 * time.Minute)
	o.becomes("abcdefghij", `"2"`)
	h.wantWhole("abcdefghij", false)
}

func TestAStalePartThatHasChangedIsReplaced(t *testing.T) {
	h, o := startPartial(t, nil, "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.clock.Advance(2 * time.Minute)
	o.becomes("abcdefghij", `"2"`)
	h.wantPart("bytes=1-2", "bc", "bytes 1-2/10", false)
	h.wantPart("bytes=1-2", "bc", "bytes 1-2/10", true)
	h.wantPart("bytes=0-4", "abcde", "bytes 0-4/10", false)
	o.wantAsked(t, "bytes=0-4", `bytes=1-2  "1"`, "bytes=0-4")
}

func TestPartsOfOtherVersionsAreNotCombined(t *testing.T) {
	for name, tags := range map[string][2]string{
		"another tag": {`"1"`, `"2"`}, "weak tags": {`W/"1"`, `W/"1"`}, "none": {"", ""}, "one": {`"1"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, o := startPartial(t, nil, "Cache-Control", "max-age=3600")
			serve := func(tag, body, contentRange string) {
				o.says(func(w http.ResponseWriter, r *http.Request) bool {
					w.Header().Del("Etag")
					if tag != "" {
						w.Header().Set("Etag", tag)
					}
					if r.Header.Get("Range") == "" {
						io.WriteString(w, "abcdefghij")
						return true
					}
					w.Header().Set("Content-Range", contentRange)
					w.WriteHeader(206)
					io.WriteString(w, body)
					return true
				})
			}
			serve(tags[0], "01234", "bytes 0-4/10")
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
			h.wantPart("bytes=1-2", "12", "bytes 1-2/10", true)
			serve(tags[1], "fghij", "bytes 5-9/10")
			h.wantPart("bytes=5-9", "fghij", "bytes 5-9/10", false)
			h.wantPart("bytes=5-9", "fghij", "bytes 5-9/10", true)
			h.wantWhole("abcdefghij", false)
		})
	}
}

// Without a strong validator nothing can be combined, and the whole is asked for.
func TestAPartWithoutAValidator(t *testing.T) {
	h, o := startPartial(t, nil, "Cache-Control", "max-age=3600")
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", true)
	h.wantWhole(digits, false)
	o.wantAsked(t, "bytes=0-4", "bytes=5-", "")
	h.wantWhole(digits, true)
}

func TestWhatIsNotKeptAsAPart(t *testing.T) {
	body := func(body string, headers ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			for i := 0; i+1 < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(206)
			io.WriteString(w, body)
			return true
		}
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"no Content-Range":       body("01"),
		"beyond the size":        body("01", "Content-Range", "bytes 0-1/1"),
		"the wrong way round":    body("01", "Content-Range", "bytes 1-0/10"),
		"in another unit":        body("01", "Content-Range", "lines 0-1/10"),
		"more than it says":      body("0123", "Content-Range", "bytes 0-1/10"),
		"huge numbers":           body("01", "Content-Range", "bytes 99999999999999999999-100000000000000000000/*"),
		"several parts":          body("--x\r\n\r\n01\r\n--x--\r\n", "Content-Type", "multipart/byteranges; boundary=x"),
		"parts with a range":     body("01", "Content-Type", "Multipart/Byteranges; boundary=x", "Content-Range", "bytes 0-1/10"),
		"no-store":               body("01", "Content-Range", "bytes 0-1/10", "Cache-Control", "no-store"),
		"no freshness, no tag":   body("01", "Content-Range", "bytes 0-1/10", "Cache-Control", "", "Etag", ""),
		"no freshness and a tag": body("01", "Content-Range", "bytes 0-1/10", "Cache-Control", "max-age=0"),
	} {
		t.Run(name, func(t *testing.T) {
			h, o := startPartial(t, nil, fresh...)
			o.says(answer)
			for range 2 {
				resp, _ := h.get("/a", "Range", "bytes=0-1")
				if hit(resp) {
					t.Error("it is a hit")
				}
			}
			o.says(nil)
			h.wantWhole(digits, false)
		})
	}
}

// A body that is shorter than its Content-Range says answers nothing but requests for
// parts of itself, and its size is not told.
func TestAMiscountedPart(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	o.says(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Range", "bytes 4-9/10")
		w.Header().Set("Content-Length", "5")
		w.WriteHeader(206)
		io.WriteString(w, "45678")
		return true
	})
	h.get("/a", "Range", "bytes=-5")
	h.wantPart("bytes=6-8", "678", "bytes 6-8/*", true)
	o.says(nil)
	h.wantPart("bytes=0-3", "0123", "bytes 0-3/10", false)
	h.wantWhole(digits, false)
	o.wantAsked(t, "bytes=-5", "bytes=0-3", `bytes=4- "1"`)
}

func TestPartsAreNotKeptOutsideCacheControlMode(t *testing.T) {
	h, o := startPartial(t, &options{}, fresh...)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantWhole(digits, false)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", true)
	o.wantAsked(t, "bytes=0-4", "bytes=0-4", "")
}

// A part that was asked for with a condition need not have all headers.
func TestAPartWithoutAllHeadersIsOnlyAdded(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	o.says(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("If-Range") == "" {
			return false
		}
		w.Header()["Content-Type"] = nil
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(206)
		io.WriteString(w, "56789")
		return true
	})
	h.wantPart("bytes=5-9", "56789", "bytes 5-9/10", false, "If-Range", `"1"`)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantPart("bytes=5-9", "56789", "bytes 5-9/10", false, "If-Range", `"1"`)
	if resp := h.wantWhole(digits, true); resp.Header.Get("Content-Type") != "text/plain" {
		t.Error(resp.Header)
	}
}

func TestPartsVary(t *testing.T) {
	h, o := startPartial(t, &options{Policy: policy.Policy{CacheControl: policy.On}}, append(fresh, "Vary", "X-Kind")...)
	o.says(func(w http.ResponseWriter, r *http.Request) bool {
		kind := r.Header.Get("X-Kind")
		w.Header().Set("Etag", `"`+kind+`"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.Repeat(kind, 10)))
		return true
	})
	for _, kind := range []string{"a", "b"} {
		h.wantPart("bytes=0-2", strings.Repeat(kind, 3), "bytes 0-2/10", false, "X-Kind", kind)
		h.wantPart("bytes=1-2", strings.Repeat(kind, 2), "bytes 1-2/10", true, "X-Kind", kind)
	}
	for _, kind := range []string{"a", "b"} {
		h.wantWhole(strings.Repeat(kind, 10), false, "X-Kind", kind)
		h.wantWhole(strings.Repeat(kind, 10), true, "X-Kind", kind)
	}
}

func TestPartsAreBoundedByMaxBody(t *testing.T) {
	opts := controlled()
	opts.MaxBody = 8
	h, o := startPartial(t, opts, fresh...)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantPart("bytes=5-9", "56789", "bytes 5-9/10", false)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", true)
	h.wantPart("bytes=0-8", "012345678", "bytes 0-8/10", false)
	h.wantPart("bytes=0-8", "012345678", "bytes 0-8/10", false)
	h.wantWhole(digits, false)
	h.wantWhole(digits, false)
	o.wantAsked(t, "bytes=0-4", "bytes=5-9", "bytes=0-8", "bytes=0-8", `bytes=5- "1"`, `bytes=5- "1"`)
}

// A part does not tell the tags of the value that it is of, so that none is kept.
func TestPartsHaveNoTags(t *testing.T) {
	h, o := startPartial(t, nil, fresh...)
	h.cache.Remove("all")
	s := settings.CatchAll("tagged", &request.AnyOptions{IgnoreHeaders: []string{"*"}})
	s.Tags = func(_ request.AnyKey, body []byte) []string {
		if len(body) == 0 {
			return nil
		}
		return []string{"digits"}
	}
	_, err := cache.CreateRepository(t.Context(), h.cache, s)
	check(t, err)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.wantPart("bytes=5-9", "56789", "bytes 5-9/10", false)
	o.becomes("abcdefghij", `"2"`)
	check(t, h.cache.InvalidateTags(t.Context(), "digits"))
	h.wantPart("bytes=0-4", "abcde", "bytes 0-4/10", false)
	h.wantWhole("abcdefghij", false)
	h.wantPart("bytes=0-4", "abcde", "bytes 0-4/10", true)
	check(t, h.cache.InvalidateTags(t.Context(), "digits"))
	o.becomes("ABCDEFGHIJ", `"3"`)
	h.wantWhole("ABCDEFGHIJ", false)
}

// A policy's filters see whole bodies only.
func TestPartsAreNotForFilters(t *testing.T) {
	seen := func(x *policy.Exchange) bool {
		if string(x.Body) != digits {
			t.Errorf("a filter is asked about %q", x.Body)
		}
		return true
	}
	for name, p := range map[string]policy.Policy{"Keep": {Keep: seen}, "Serve": {Serve: seen}} {
		t.Run(name, func(t *testing.T) {
			p.CacheControl = policy.On
			h, _ := startPartial(t, &options{Policy: p}, fresh...)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
			h.wantWhole(digits, false)
			h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", true)
		})
	}
}

// What is asked for is counted from when it was asked for, whatever came together.
func TestAgesOfParts(t *testing.T) {
	h, _ := startPartial(t, nil, "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.wantPart("bytes=0-4", "01234", "bytes 0-4/10", false)
	h.clock.Advance(40 * time.Second)
	h.wantPart("bytes=5-9", "56789", "bytes 5-9/10", false)
	h.clock.Advance(40 * time.Second)
	if resp := h.wantWhole(digits, true); resp.Header.Get("Age") != "40" {
		t.Errorf("the age is %s", resp.Header.Get("Age"))
	}
	h.clock.Advance(40 * time.Second)
	h.wantWhole(digits, true) // by a 304
}

package transport_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/sqlite"
)

// controlled are the options of Cache-Control mode.
func controlled() *options {
	return &options{Policy: policy.Policy{CacheControl: policy.On}}
}

const (
	second = time.Second
	minute = time.Minute
)

// Each case is what the origin answers, and then what is seen of some requests.
func TestFreshnessByTheResponse(t *testing.T) {
	httpDate := func(after time.Duration) string { // a date by the clock, filled in when the test starts
		return "date:" + after.String()
	}
	for _, test := range []struct {
		name   string
		header []string
		steps  []step
	}{
		{"max-age", []string{"Cache-Control", "max-age=60"}, []step{
			{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2},
		}},
		{"names in any letter case", []string{"Cache-Control", "MAX-AGE=60"}, []step{{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2}}},
		{"a quoted number", []string{"Cache-Control", `max-age="60"`}, []step{{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2}}},
		{"max-age=0 goes before Expires", []string{"Cache-Control", "max-age=0", "Expires", httpDate(minute)}, []step{{asked: 1}, {asked: 2}}},
		{"max-age goes before Expires", []string{"Cache-Control", "max-age=60", "Expires", httpDate(-minute)}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"s-maxage is for shared caches", []string{"Cache-Control", "s-maxage=0, max-age=60"}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"s-maxage alone says nothing", []string{"Cache-Control", "s-maxage=60"}, []step{{asked: 1}, {asked: 2}}},
		{"an invalid max-age is stale", []string{"Cache-Control", "max-age=60s", "Expires", httpDate(minute)}, []step{{asked: 1}, {asked: 2}}},
		{"a negative max-age is stale", []string{"Cache-Control", "max-age=-60"}, []step{{asked: 1}, {asked: 2}}},
		{"unknown directives do no harm", []string{"Cache-Control", `x="no-store, max-age=0", max-age=60, y=`}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"Expires", []string{"Expires", httpDate(minute)}, []step{{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2}}},
		{"Expires counts from Date", []string{"Expires", httpDate(minute), "Date", httpDate(-10 * second)}, []step{{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2}}},
		{"Expires: 0 is in the past", []string{"Expires", "0"}, []step{{asked: 1}, {asked: 2}}},
		{"Expires: -1 is in the past", []string{"Expires", "-1"}, []step{{asked: 1}, {asked: 2}}},
		{"several Expires are none", []string{"Expires", httpDate(minute), "Expires", httpDate(minute)}, []step{{asked: 1}, {asked: 2}}},
		{"the Age that it came with counts", []string{"Cache-Control", "max-age=60", "Age", "40"}, []step{
			{asked: 1}, {after: 20*second - 1000, hit: true, asked: 1}, {after: 1000, asked: 2},
		}},
		{"of several ages the first", []string{"Cache-Control", "max-age=60", "Age", "7200, 0"}, []step{{asked: 1}, {asked: 2}}},
		{"an age that is none does not count", []string{"Cache-Control", "max-age=60", "Age", "old"}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"an old Date counts as its age", []string{"Cache-Control", "max-age=60", "Date", httpDate(-40 * second)}, []step{
			{asked: 1}, {after: 20*second - 1000, hit: true, asked: 1}, {after: 1000, asked: 2},
		}},
		{"a Date in the future does not", []string{"Cache-Control", "max-age=60", "Date", httpDate(time.Hour)}, []step{{asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, asked: 2}}},
		{"a tenth of the time since it was modified", []string{"Last-Modified", httpDate(-600 * second)}, []step{
			{body: "body 1", asked: 1}, {after: minute - 1000, hit: true, asked: 1}, {after: 1000, hit: true, asked: 2}, // by a 304
		}},
		{"nothing at all", nil, []step{{asked: 1}, {asked: 2}}},
		{"public does not say how long", []string{"Cache-Control", "public"}, []step{{asked: 1}, {asked: 2}}},
		{"private is no hindrance", []string{"Cache-Control", "private, max-age=60"}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"no-store", []string{"Cache-Control", "no-store, max-age=60"}, []step{{asked: 1}, {asked: 2}}},
		{"no-store in any letter case", []string{"Cache-Control", "max-age=60", "Cache-Control", "No-Store"}, []step{{asked: 1}, {asked: 2}}},
		{"must-understand of a status that is understood", []string{"Cache-Control", "no-store, must-understand, max-age=60"}, []step{{asked: 1}, {hit: true, asked: 1}}},
		{"no-cache is asked each time", []string{"Cache-Control", "no-cache, max-age=60", "Etag", `"1"`}, []step{
			{body: "body 1", asked: 1}, {body: "body 1", hit: true, asked: 2}, {body: "body 1", hit: true, asked: 3},
		}},
		{"no-cache of some headers is taken for all", []string{"Cache-Control", `no-cache="Set-Cookie, X", max-age=60`}, []step{{asked: 1}, {asked: 2}}},
		{"Vary: * is never used again", []string{"Cache-Control", "max-age=60", "Vary", "Accept, *"}, []step{{asked: 1}, {asked: 2}}},
		{"Pragma of a response means nothing", []string{"Cache-Control", "max-age=60", "Pragma", "no-cache"}, []step{{asked: 1}, {hit: true, asked: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startOrigin(t, controlled())
			header := make([]string, len(test.header))
			for i, value := range test.header {
				if after, ok := strings.CutPrefix(value, "date:"); ok {
					d, err := time.ParseDuration(after)
					check(t, err)
					value = h.clock.Now().Add(d).Format(http.TimeFormat)
				}
				header[i] = value
			}
			o.answer(http.StatusOK, header...)
			h.steps(test.steps...)
		})
	}
}

func TestAnUnknownStatusIsNotUnderstood(t *testing.T) {
	h, o := startOrigin(t, controlled())
	o.answer(299, "Cache-Control", "max-age=60, no-store, must-understand")
	h.steps(step{status: 299, asked: 1}, step{status: 299, asked: 2})
	o.answer(299, "Cache-Control", "max-age=60")
	h.steps(step{status: 299, asked: 3}, step{status: 299, hit: true, asked: 3})
}

// An error that says nothing of its freshness is not kept, RFC 9111, section 3,
// even where it has a validator: the next 304 would bring it back.
func TestAnErrorWithAValidatorDoesNotReplaceWhatIsStored(t *testing.T) {
	for name, header := range map[string][]string{
		"an entity tag":             {"Etag", `"error"`},
		"a modification date":       {"Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"},
		"no-cache":                  {"Cache-Control", "no-cache", "Etag", `"error"`},
		"stale-if-error":            {"Cache-Control", "stale-if-error=60"},
		"stale-while-revalidate":    {"Cache-Control", "stale-while-revalidate=60"},
		"no-cache, must-revalidate": {"Cache-Control", "no-cache, must-revalidate", "Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"},
	} {
		t.Run(name, func(t *testing.T) {
			h, o := startOrigin(t, controlled(), "Cache-Control", "max-age=60, must-revalidate", "Etag", `"1"`)
			h.steps(step{body: "body 1", asked: 1})
			o.answer(500, header...)
			h.steps(step{after: minute, status: 500, asked: 2})
			entry, ok := h.entry(h.request(http.MethodGet, "/a", ""))
			if !ok || entry.Status != 200 {
				t.Errorf("stored is a %d", entry.Status)
			}
		})
	}
}

func TestDirectivesOfARequest(t *testing.T) {
	const fresh, stale = 10 * second, 70 * second // the age of what is stored, with max-age=60
	for _, test := range []struct {
		name    string
		header  string // of the request
		age     time.Duration
		stored  string // more directives of the response
		hit     bool
		asked   bool
		status  int
		renewed string // the body, where it is not the stored one
	}{
		{"nothing, fresh", "", fresh, "", true, false, 200, ""},
		{"nothing, stale", "", stale, "", true, true, 200, ""},
		{"unknown ones do no harm", "nothing-to-see-here", fresh, "", true, false, 200, ""},
		{"no-cache", "no-cache", fresh, "", true, true, 200, ""},
		{"no-cache in any letter case", "No-Cache", fresh, "", true, true, 200, ""},
		{"no-cache of what is immutable", "no-cache", fresh, "immutable", true, true, 200, ""},
		{"no-store does not keep from using", "no-store", fresh, "", true, false, 200, ""},
		{"max-age, young enough", "max-age=10", fresh, "", true, false, 200, ""},
		{"max-age, too old", "max-age=9", fresh, "", true, true, 200, ""},
		{"max-age=0", "max-age=0", fresh, "", true, true, 200, ""},
		{"max-age, too old, may not be renewed behind the back", "max-age=9", fresh, "stale-while-revalidate=1000", true, true, 200, ""},
		{"max-age longer than the freshness", "max-age=1000", stale, "", true, true, 200, ""},
		{"max-age that is no number", "max-age=x", fresh, "", true, false, 200, ""},
		{"min-fresh, fresh enough", "min-fresh=50", fresh, "", true, false, 200, ""},
		{"min-fresh, not fresh enough", "min-fresh=51", fresh, "", true, true, 200, ""},
		{"max-stale, any", "max-stale", stale, "", true, false, 200, ""},
		{"max-stale, in time", "max-stale=10", stale, "", true, false, 200, ""},
		{"max-stale, too late", "max-stale=9", stale, "", true, true, 200, ""},
		{"max-stale does not override must-revalidate", "max-stale", stale, "must-revalidate", true, true, 200, ""},
		{"max-stale does not override no-cache", "max-stale", stale, "no-cache", true, true, 200, ""},
		{"max-stale with max-age", "max-stale=10, max-age=70", stale, "", true, false, 200, ""},
		{"max-stale with too short a max-age", "max-stale=10, max-age=69", stale, "", true, true, 200, ""},
		{"only-if-cached, fresh", "only-if-cached", fresh, "", true, false, 200, ""},
		{"only-if-cached, stale", "only-if-cached", stale, "", false, false, 504, ""},
		{"only-if-cached, stale, with max-stale", "only-if-cached, max-stale=10", stale, "", true, false, 200, ""},
		{"only-if-cached with no-cache", "only-if-cached, no-cache", fresh, "", false, false, 504, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60, "+test.stored, "Etag", `"1"`)
			h.get("/a")
			h.clock.Advance(test.age)
			resp, body := h.get("/a", "Cache-Control", test.header)
			check(t, h.transport.Close()) // for what goes on in the background
			if got := h.requests.Load() > 1; got != test.asked {
				t.Errorf("the origin is asked is %v, want %v", got, test.asked)
			}
			if resp.StatusCode != test.status || hit(resp) != test.hit || test.hit && body != "body 1" {
				t.Errorf("%d %q, from the cache is %v", resp.StatusCode, body, hit(resp))
			}
			if test.asked && h.transport.Stats().Renewed != 0 {
				t.Error("it is served before the origin is asked")
			}
		})
	}
	t.Run("no-store is not stored", func(t *testing.T) {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60")
		h.get("/a", "Cache-Control", "no-store")
		if resp, _ := h.get("/a"); hit(resp) {
			t.Error("it hits")
		}
	})
	t.Run("Pragma, without Cache-Control", func(t *testing.T) {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
		h.get("/a")
		h.get("/a", "Pragma", "No-Cache")
		h.wantRequests(2)
		h.get("/a", "Pragma", "no-cache", "Cache-Control", "max-age=60")
		h.get("/a", "Pragma", "foo")
		h.wantRequests(2)
	})
	t.Run("outside this mode they mean nothing", func(t *testing.T) {
		h, _ := startOrigin(t, nil, "Cache-Control", "no-store")
		h.get("/a")
		for _, directive := range []string{"no-cache", "no-store", "max-age=0", "only-if-cached"} {
			if resp, _ := h.get("/a", "Cache-Control", directive); !hit(resp) {
				t.Errorf("%s: no hit", directive)
			}
		}
		if resp, _ := h.get("/b", "Cache-Control", "only-if-cached"); resp.StatusCode != 200 {
			t.Errorf("only-if-cached: %d", resp.StatusCode)
		}
	})
	t.Run("only-if-cached of what no repository has", func(t *testing.T) {
		h, _ := startOrigin(t, controlled())
		h.cache.Remove("all")
		if resp, _ := h.get("/a", "Cache-Control", "only-if-cached"); resp.StatusCode != 504 {
			t.Error(resp.StatusCode)
		}
		h.wantRequests(0)
	})
}

func TestImmutableIsNotRevalidatedWhileFresh(t *testing.T) {
	h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60, immutable", "Etag", `"1"`)
	again := policy.Policy{Use: policy.Revalidate}
	h.steps(
		step{asked: 1}, step{policy: again, hit: true, asked: 1},
		step{after: minute, hit: true, asked: 2},
		step{policy: again, hit: true, asked: 2},
	)
}

func TestRevalidation(t *testing.T) {
	for _, mode := range []struct {
		name string
		opts *options
	}{
		{"in Cache-Control mode", controlled()},
		{"by the policy", &options{Policy: policy.Policy{Expire: policy.After(minute)}}},
	} {
		for _, validator := range [][]string{{"Etag", `"1"`}, {"Etag", `W/"1"`}, {"Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT"}} {
			t.Run(mode.name+" with "+strings.Join(validator, " "), func(t *testing.T) {
				h, o := startOrigin(t, mode.opts, append(validator, "Cache-Control", "max-age=60", "X-A", "old", "X-B", "kept")...)
				h.steps(step{body: "body 1", asked: 1})
				o.answer(200, append(validator, "Cache-Control", "max-age=60", "X-A", "new", "X-C", "added")...)
				h.steps(step{after: minute, body: "body 1", hit: true, asked: 2})
				if o.last().Get("If-None-Match") == "" && o.last().Get("If-Modified-Since") == "" {
					t.Error("the origin is not asked whether it still holds")
				}
				// The 304 has brought another lifetime, and headers.
				h.steps(step{after: minute - 1000, body: "body 1", hit: true, asked: 2})
				resp, _ := h.get("/a")
				for name, want := range map[string]string{"X-A": "new", "X-B": "kept", "X-C": "added", "Content-Type": "text/plain"} {
					if got := resp.Header.Get(name); got != want {
						t.Errorf("%s: %s, want %s", name, got, want)
					}
				}
				if resp.ContentLength != 6 {
					t.Errorf("the length is %d", resp.ContentLength)
				}
				// Another representation takes its place.
				o.answer(200, "Etag", `"2"`, "Cache-Control", "max-age=60")
				h.steps(step{after: 1000, body: "body 2", asked: 3}, step{body: "body 2", hit: true, asked: 3})
				if h.transport.Stats().Revalidated != 1 {
					t.Errorf("%+v", h.transport.Stats())
				}
			})
		}
	}
}

// The body was decoded when it came; a 304 that tells how it is coded otherwise
// has nothing to say of it.
func TestA304DoesNotChangeWhatTheBodyIs(t *testing.T) {
	h, o := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.get("/a")
	o.answer(200, "Cache-Control", "max-age=60", "Etag", `"1"`, "Content-Encoding", "gzip", "Content-Range", "bytes 0-1/2", "Content-Length", "3",
		"Connection", "X-Hop", "X-Hop", "1", "Keep-Alive", "timeout=5")
	h.clock.Advance(minute)
	for range 2 {
		resp, body := h.get("/a")
		if !hit(resp) || body != "body 1" || resp.ContentLength != 6 {
			t.Errorf("%v %q of %d bytes", hit(resp), body, resp.ContentLength)
		}
		for _, name := range []string{"Content-Encoding", "Content-Range", "Connection", "X-Hop", "Keep-Alive"} {
			if value := resp.Header.Get(name); value != "" {
				t.Errorf("%s: %s", name, value)
			}
		}
	}
	h.wantRequests(2)
}

// A 304 for another tag than the stored one's is no answer to the question.
func TestA304OfAnotherResponseIsNotBelieved(t *testing.T) {
	h, o := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.get("/a")
	n := 0
	o.answer(200, "Cache-Control", "max-age=60", "Etag", `"2"`)
	o.hook = func(w http.ResponseWriter, r *http.Request) bool {
		if n++; r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Etag", `"2"`)
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		return false
	}
	h.clock.Advance(minute)
	if resp, body := h.get("/a"); body != "body 2" || resp.StatusCode != 200 || n != 2 {
		t.Errorf("%d %q after %d requests", resp.StatusCode, body, n)
	}
}

// Then it is sent once more, with its body.
func TestA304OfAnotherResponseToAPostIsNotBelieved(t *testing.T) {
	n := 0
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Etag", `"`+strconv.Itoa(n)+`"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, strconv.Itoa(n)+" to "+string(body))
	}, &options{Policy: policy.Policy{Expire: policy.After(minute), Methods: []string{"POST"}}})
	for _, want := range []string{"1 to question", "3 to question"} {
		if _, body := h.do(h.request("POST", "/a", "question")); body != want {
			t.Errorf("%q, want %q", body, want)
		}
		h.clock.Advance(minute)
	}
}

func TestConditionalRequestsGetTheirOwn304(t *testing.T) {
	const modified = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, test := range []struct {
		name   string
		header []string
		want   int
	}{
		{"the same tag", []string{"If-None-Match", `"1"`}, 304},
		{"the same tag, marked as weak", []string{"If-None-Match", `W/"1"`}, 304},
		{"one of several", []string{"If-None-Match", `"0", "1"`}, 304},
		{"on another line", []string{"If-None-Match", `"0"`, "If-None-Match", `"1"`}, 304},
		{"any", []string{"If-None-Match", "*"}, 304},
		{"another tag", []string{"If-None-Match", `"0"`}, 200},
		{"a part of the tag", []string{"If-None-Match", `1`}, 200},
		{"the date", []string{"If-Modified-Since", modified}, 304},
		{"a later date", []string{"If-Modified-Since", "Mon, 02 Jan 2007 15:04:05 GMT"}, 304},
		{"an earlier date", []string{"If-Modified-Since", "Mon, 02 Jan 2005 15:04:05 GMT"}, 200},
		{"no date", []string{"If-Modified-Since", "yesterday"}, 200},
		{"another tag goes before the date", []string{"If-None-Match", `"0"`, "If-Modified-Since", modified}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`, "Last-Modified", modified)
			h.get("/a")
			resp, body := h.get("/a", test.header...)
			h.wantRequests(1)
			if resp.StatusCode != test.want || (body == "") != (test.want == 304) || !hit(resp) {
				t.Errorf("%d %q, want %d", resp.StatusCode, body, test.want)
			}
			if resp.StatusCode == 304 && (resp.Header.Get("Etag") != `"1"` || resp.Header.Get("Cache-Control") == "" || resp.Header.Get("Content-Type") != "") {
				t.Errorf("its headers are %v", resp.Header)
			}
			if resp, body := h.get("/a"); resp.StatusCode != 200 || body != "body 1" {
				t.Errorf("then %d %q", resp.StatusCode, body)
			}
		})
	}
	t.Run("for a tag with a comma", func(t *testing.T) {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"a,b"`)
		h.get("/a")
		if resp, _ := h.get("/a", "If-None-Match", `"x", "a,b"`); resp.StatusCode != 304 || !hit(resp) {
			t.Error(resp.StatusCode)
		}
		if resp, _ := h.get("/a", "If-None-Match", `"a", "b"`); resp.StatusCode != 200 || !hit(resp) {
			t.Error(resp.StatusCode)
		}
	})
	t.Run("where nothing is stored, the origin's, which is not stored", func(t *testing.T) {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
		if resp, _ := h.get("/a", "If-None-Match", `"1"`); resp.StatusCode != 304 || hit(resp) {
			t.Error(resp.StatusCode)
		}
		h.steps(step{body: "body 1", asked: 2}, step{body: "body 1", hit: true, asked: 2})
	})
	t.Run("where what is stored is stale, after a 304 for it", func(t *testing.T) {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
		h.get("/a")
		h.clock.Advance(minute)
		resp, _ := h.get("/a", "If-None-Match", `"1"`)
		h.wantRequests(2)
		if resp.StatusCode != 304 {
			t.Error(resp.StatusCode)
		}
		h.steps(step{body: "body 1", hit: true, asked: 2})
	})
	t.Run("not for another status", func(t *testing.T) {
		h, o := startOrigin(t, controlled())
		o.answer(404, "Cache-Control", "max-age=60", "Etag", `"1"`)
		h.get("/a")
		if resp, _ := h.get("/a", "If-None-Match", `"1"`); resp.StatusCode != 404 || !hit(resp) {
			t.Error(resp.StatusCode)
		}
	})
}

func TestAgeIsGenerated(t *testing.T) {
	h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`, "Age", "7")
	first, _ := h.get("/a")
	if first.Header.Get("Age") != "7" {
		t.Errorf("the origin's Age becomes %s", first.Header.Get("Age"))
	}
	for _, test := range []struct {
		after time.Duration
		want  string
	}{{0, "7"}, {10 * second, "17"}, {42 * second, "59"}, {second, "7"}, {second, "8"}} { // the fourth is revalidated
		h.clock.Advance(test.after)
		if resp, _ := h.get("/a"); !hit(resp) || resp.Header.Get("Age") != test.want || len(resp.Header["Age"]) != 1 {
			t.Errorf("Age: %v, want %s", resp.Header["Age"], test.want)
		}
	}
}

func TestHeadersOfTheConnectionAreNotStored(t *testing.T) {
	h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Connection", "X-Hop", "X-Hop", "1",
		"Keep-Alive", "timeout=5", "Proxy-Authenticate", "Basic", "Te", "x", "X-End", "2")
	h.get("/a")
	resp, _ := h.get("/a")
	for _, name := range []string{"Connection", "X-Hop", "Keep-Alive", "Proxy-Authenticate", "Te"} {
		if value := resp.Header.Get(name); value != "" {
			t.Errorf("%s: %s", name, value)
		}
	}
	if resp.Header.Get("X-End") != "2" || !hit(resp) {
		t.Errorf("%v", resp.Header)
	}
}

func TestStaleWhileRevalidate(t *testing.T) {
	byPolicy := &options{Policy: policy.Policy{Expire: policy.After(minute), StaleWhileRevalidate: minute}}
	never := controlled()
	never.Policy.StaleWhileRevalidate = -1
	longer := controlled()
	longer.Policy.StaleWhileRevalidate = 2 * minute
	const said = "max-age=60, stale-while-revalidate=60"
	for _, test := range []struct {
		name    string
		opts    *options
		control string
		after   time.Duration // since the expiry
		want    bool
	}{
		{"as the response says", controlled(), said, minute, true},
		{"too late", controlled(), said, minute + 1000, false},
		{"as the policy says", byPolicy, "", minute, true},
		{"too late for the policy", byPolicy, "", minute + 1000, false},
		{"not without a word", controlled(), "max-age=60", 0, false},
		{"not outside Cache-Control mode", &options{Policy: policy.Policy{Expire: policy.After(minute)}}, said, 0, false},
		{"the policy may forbid it", never, said, 0, false},
		{"the policy may allow more", longer, said, 2 * minute, true},
		{"must-revalidate forbids it", controlled(), said + ", must-revalidate", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startOrigin(t, test.opts, "Cache-Control", test.control)
			h.get("/a")
			h.clock.Advance(minute + test.after)
			o.answer(200, "Cache-Control", test.control, "X", "new")
			resp, body := h.get("/a")
			if got := hit(resp) && body == "body 1"; got != test.want {
				t.Errorf("it is served is %v, want %v", got, test.want)
			}
			if !test.want {
				return
			}
			check(t, h.transport.Close()) // waits for the fetch
			h.wantRequests(2)
			if resp, body := h.get("/a"); !hit(resp) || body != "body 2" || resp.Header.Get("X") != "new" {
				t.Errorf("then %v %q", hit(resp), body)
			}
		})
	}
}

// The caller is gone when the background fetch begins; it goes on, and Close waits
// for it.
func TestABackgroundFetchIsDetachedFromItsCaller(t *testing.T) {
	h, o := startOrigin(t, controlled(), "Cache-Control", "max-age=60, stale-while-revalidate=60", "Etag", `"1"`)
	h.withoutHeaders()
	h.get("/a")
	h.clock.Advance(minute)
	goOn := make(chan struct{})
	o.hook = func(http.ResponseWriter, *http.Request) bool { <-goOn; return false }
	func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req := h.request(http.MethodGet, "/a", "", "X-Mine", "1").WithContext(ctx)
		resp, err := h.transport.RoundTrip(req)
		check(t, err)
		if body := bodyOf(t, resp); body != "body 1" {
			t.Errorf("%q", body)
		}
		req.Header.Set("X-Mine", "2") // it is the caller's again
	}()
	waitfor.True(t, "the origin is asked", func() bool { return h.requests.Load() == 2 })
	closed := make(chan struct{})
	go func() {
		h.transport.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close does not wait")
	case <-time.After(10 * time.Millisecond):
	}
	close(goOn)
	<-closed
	if sent := o.last(); sent.Get("X-Mine") != "1" || sent.Get("If-None-Match") != `"1"` {
		t.Errorf("what is sent is %v", sent)
	}
	if entry, ok := h.entry(h.request(http.MethodGet, "/a", "")); !ok || !entry.CachedAt.Equal(h.clock.Now()) {
		t.Error("the answer is not saved")
	}
}

func TestStaleIfError(t *testing.T) {
	const said = "max-age=60, stale-if-error=60"
	never := controlled()
	never.Policy.StaleIfError = -1
	day := 24 * time.Hour
	unavailable := func(o *origin) { o.answer(503, "Etag", `"error"`) }
	for _, test := range []struct {
		name    string
		opts    *options
		control string
		request string
		change  func(*origin)
		after   time.Duration // since the expiry
		want    bool
	}{
		{"a 503, as the response says", controlled(), said, "", unavailable, minute, true},
		{"a 503, too late", controlled(), said, "", unavailable, minute + 1000, false},
		{"a 503, as the request says", controlled(), "max-age=60", "stale-if-error=60", unavailable, minute, true},
		{"a 503 without a word", controlled(), "max-age=60", "", unavailable, 0, false},
		{"a 404 is an answer", controlled(), said, "", func(o *origin) { o.answer(404) }, 0, false},
		{"no connection, as the response says", controlled(), said, "", (*origin).fail, minute, true},
		{"no connection, later than the response says", controlled(), said, "", (*origin).fail, minute + 1000, false},
		{"no connection, later than a zero says", controlled(), "max-age=60, stale-if-error=0", "", (*origin).fail, second, false},
		{"no connection without a word, for a day", controlled(), "max-age=60", "", (*origin).fail, day, true},
		{"no connection without a word, longer", controlled(), "max-age=60", "", (*origin).fail, day + 1000, false},
		{"must-revalidate forbids it", controlled(), said + ", must-revalidate", "", (*origin).fail, 0, false},
		{"no-cache of the response forbids it", controlled(), said + ", no-cache", "", unavailable, 0, false},
		{"no-cache of the request forbids it", controlled(), said, "no-cache", unavailable, 0, false},
		{"the policy may forbid it", never, said, "", (*origin).fail, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, o := startOrigin(t, test.opts, "Cache-Control", test.control, "Etag", `"1"`)
			h.get("/a")
			h.clock.Advance(minute + test.after)
			test.change(o)
			resp, err := h.transport.RoundTrip(h.request(http.MethodGet, "/a", "", "Cache-Control", test.request))
			got := err == nil && resp.StatusCode == 200
			if err == nil {
				if body := bodyOf(t, resp); got && (body != "body 1" || !hit(resp)) {
					t.Errorf("the body is %q", body)
				}
			}
			if got != test.want {
				t.Errorf("the stored one stands in is %v, want %v", got, test.want)
			}
			// It has not been refreshed by an error.
			o.answer(200, "Cache-Control", test.control)
			if _, body := h.get("/a"); body == "body 1" && !strings.Contains(test.control, "while") {
				t.Error("the expired one is still served")
			}
		})
	}
}

func TestUnsafeMethodsInvalidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		method string
		status int
		header []string
		path   string
		gone   []string
		stay   []string
	}{
		{"PUT", "PUT", 200, nil, "/a", []string{"/a"}, []string{"/a?x", "/b", "/A"}},
		{"POST", "POST", 201, nil, "/a", []string{"/a"}, []string{"/b"}},
		{"PATCH", "PATCH", 204, nil, "/a?x", []string{"/a?x"}, []string{"/a"}},
		{"DELETE", "DELETE", 204, nil, "/a", []string{"/a"}, []string{"/b"}},
		{"an unknown method", "M-SEARCH", 200, nil, "/a", []string{"/a"}, []string{"/b"}},
		{"a redirect is no failure", "POST", 303, []string{"Location", "/b"}, "/a", []string{"/a", "/b"}, nil},
		{"where it points to", "POST", 201, []string{"Location", "/b", "Content-Location", "/c"}, "/a", []string{"/a", "/b", "/c"}, []string{"/d"}},
		{"not on another host", "POST", 201, []string{"Location", "http://localhost/b", "Content-Location", "//other.example/c"}, "/a", []string{"/a"}, []string{"/b", "/c"}},
		{"a failure changes nothing", "PUT", 500, nil, "/a", nil, []string{"/a"}},
		{"nor does a refusal", "PUT", 403, nil, "/a", nil, []string{"/a"}},
		{"safe methods do not", "OPTIONS", 200, nil, "/a", nil, []string{"/a"}},
	} {
		for _, mode := range []*options{controlled(), nil} {
			t.Run(test.name+" "+strconv.FormatBool(mode != nil), func(t *testing.T) {
				h, o := startOrigin(t, mode, "Cache-Control", "max-age=60", "Etag", `"1"`)
				for _, path := range append(test.gone, test.stay...) {
					h.get(path)
				}
				o.answer(test.status, test.header...)
				h.do(h.request(test.method, test.path, "", "Content-Type", "text/plain", "If-Match", `"1"`))
				o.answer(200, "Cache-Control", "max-age=60")
				for _, path := range test.gone {
					if resp, _ := h.get(path); hit(resp) {
						t.Errorf("%s is still served", path)
					}
				}
				for _, path := range test.stay {
					if resp, _ := h.get(path); !hit(resp) {
						t.Errorf("%s is not served any more", path)
					}
				}
			})
		}
	}
}

func onEachStore(t *testing.T, run func(t *testing.T, open func(*testing.T) driver.Store)) {
	t.Run("memory", func(t *testing.T) { run(t, func(t *testing.T) driver.Store { return memoryStore(t) }) })
	t.Run("sqlite", func(t *testing.T) {
		run(t, func(t *testing.T) driver.Store {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "cache.db"), nil)
			check(t, err)
			t.Cleanup(func() { store.Close() })
			return store
		})
	})
}

// languages is an origin whose body is the language that is asked for and a number
// that grows, with max-age=60 and an entity tag for each language.
type languages struct {
	mu   sync.Mutex
	n    map[string]int
	tags bool
}

func (l *languages) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	language := r.Header.Get("X-Language")
	if r.Method != http.MethodGet {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header()["Date"] = nil // the clock is not the server's
	w.Header().Set("Vary", "X-Language")
	w.Header().Set("Cache-Control", "max-age=60")
	tag := `"` + language + `"`
	if l.tags {
		w.Header().Set("Etag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	l.n[language]++
	w.Write([]byte(language + " " + strconv.Itoa(l.n[language])))
}

// startLanguages is a harness whose keys do not have the header that responses vary
// by.
func startLanguages(t *testing.T, store driver.Store, tags bool) *harness {
	l := &languages{n: make(map[string]int), tags: tags}
	h := startOn(t, store, l.serve, controlled())
	h.withoutHeaders()
	return h
}

func (h *harness) wantLanguages(wanted ...string) {
	h.t.Helper()
	for i, want := range wanted {
		fromCache := strings.HasPrefix(want, "hit ")
		want = strings.TrimPrefix(want, "hit ")
		language, _, _ := strings.Cut(want, " ")
		resp, body := h.get("/a", "X-Language", language)
		if body != want || hit(resp) != fromCache {
			h.t.Errorf("request %d: %q, from the cache is %v, want %q", i+1, body, hit(resp), want)
		}
	}
}

func TestVariantsAreKeptSideBySide(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
		h := startLanguages(t, open(t), false)
		h.wantLanguages("en 1", "de 1", "hit en 1", "hit de 1", "fr 1", "hit en 1", "hit de 1", "hit fr 1", "hit en 1")
		h.clock.Advance(30 * second)
		h.wantLanguages("es 1", "hit de 1")
		h.clock.Advance(30 * second) // all but es expire
		h.wantLanguages("hit es 1", "en 2", "hit es 1", "hit en 2", "de 2", "hit en 2")
		if h.requests.Load() != 6 {
			t.Errorf("%d requests", h.requests.Load())
		}
	})
}

func TestTheRevalidationOfAVariantKeepsTheOthers(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
		h := startLanguages(t, open(t), true)
		h.wantLanguages("en 1", "de 1", "fr 1")
		h.clock.Advance(minute)
		h.wantLanguages("hit en 1", "hit de 1", "hit fr 1", "hit en 1", "hit de 1", "hit fr 1") // the first three by a 304
		h.wantRequests(6)
		h.clock.Advance(minute - 1000)
		h.wantLanguages("hit de 1", "hit en 1", "hit fr 1")
		h.wantRequests(6)
	})
}

func TestVariantsGoWithTheirEntry(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
		for name, end := range map[string]func(*harness){
			"deleted": func(h *harness) {
				if ok, err := h.cache.DeleteResponse(t.Context(), h.request("GET", "/a", "")); !ok || err != nil {
					t.Fatal(ok, err)
				}
			},
			"invalidated": func(h *harness) { h.do(h.request("PUT", "/a", "")) },
			"overwritten": func(h *harness) {
				resp := plainResponse(h.request("GET", "/a", ""), 200, "by hand")
				resp.Header.Set("Vary", "X-Language")
				ok, err := h.cache.SaveResponse(t.Context(), resp)
				if check(t, err); !ok {
					t.Fatal("it was not saved")
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				h := startLanguages(t, open(t), false)
				h.wantLanguages("en 1", "de 1", "hit en 1", "hit de 1")
				end(h)
				h.wantLanguages("en 2", "de 2", "hit en 2", "hit de 2")
			})
		}
	})
}

// Requests that mean something else have another variant; requests that mean the same share
// one.
func TestWhichRequestsShareAVariant(t *testing.T) {
	for _, test := range []struct {
		vary  string
		a, b  []string
		share bool
	}{
		{"Accept-Language", []string{"Accept-Language", "en, de"}, []string{"Accept-Language", "en,de"}, true},
		{"Accept-Language", []string{"Accept-Language", "en"}, []string{"Accept-Language", "EN"}, true},
		{"Accept-Language", []string{"Accept-Language", "en"}, []string{"Accept-Language", "de"}, false},
		{"Accept-Language", []string{"Accept-Language", "en"}, nil, false},
		{"Accept-Language", nil, []string{"Accept-Language", "en"}, false},
		{"Accept-Language", nil, nil, true},
		{"X-Foo", []string{"X-Foo", "a"}, []string{"X-Foo", "A"}, false},
		{"X-Foo", []string{"X-Foo", "a, b"}, []string{"X-Foo", "a", "X-Foo", "b"}, true},
		{"X-Foo", []string{"X-Foo", "a, b"}, []string{"X-Foo", "b, a"}, false},
		{"X-Foo, x-bar", []string{"X-Foo", "a", "X-Bar", "b"}, []string{"X-Foo", "b", "X-Bar", "a"}, false},
		{"X-Foo, x-bar", []string{"X-Foo", "a"}, []string{"X-Bar", "a"}, false},
		{"x-foo", []string{"X-Foo", "a", "X-Other", "1"}, []string{"X-Foo", "a", "X-Other", "2"}, true},
		{"Cookie", []string{"Cookie", "session=1"}, []string{"Cookie", "session=2"}, false},
	} {
		h, _ := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Vary", test.vary)
		h.withoutHeaders()
		h.get("/a", test.a...)
		if resp, _ := h.get("/a", test.b...); hit(resp) != test.share {
			t.Errorf("Vary: %s: %v and %v share is %v, want %v", test.vary, test.a, test.b, hit(resp), test.share)
		}
	}
}

// Both are asked at the same time: neither is lost.
func TestVariantsFetchedAtOneTimeAreBothKept(t *testing.T) {
	onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
		l := &languages{n: make(map[string]int)}
		h := startOn(t, open(t), l.serve, controlled())
		h.withoutHeaders()
		responses := make([]*http.Response, 2)
		for i, language := range []string{"en", "de"} { // neither is stored before both are there
			resp, err := h.transport.RoundTrip(h.request("GET", "/a", "", "X-Language", language))
			check(t, err)
			responses[i] = resp
		}
		for _, resp := range responses {
			bodyOf(t, resp)
		}
		h.wantLanguages("hit en 1", "hit de 1", "hit en 1")
	})
}

// A cache that was filled outside this mode does not know what a response was
// chosen by.
func TestWhatWasStoredWithoutItsVariantIsNotServedToOthers(t *testing.T) {
	l := &languages{n: make(map[string]int)}
	h := start(t, l.serve, nil)
	h.withoutHeaders()
	h.wantLanguages("en 1")
	on := policy.Policy{CacheControl: policy.On}
	if _, body := h.do(with(h.request("GET", "/a", "", "X-Language", "de"), on)); body != "de 1" {
		t.Errorf("%q", body)
	}
}

// RFC 9211, section 2.2: what is fresh was not used as the request would not have it.
func TestCacheStatusTellsWhyTheOriginWasAsked(t *testing.T) {
	h, o := startOrigin(t, controlled(), "Cache-Control", "max-age=60", "Etag", `"1"`)
	h.get("/a")
	for _, test := range []struct {
		after time.Duration
		fails bool
		asks  string
		want  string
	}{
		{0, false, "no-cache", `"test"; fwd=request; fwd-status=304; ttl=60`},
		{minute, false, "no-cache", `"test"; fwd=stale; fwd-status=304; ttl=60`},
		{second, true, "max-age=0", `"test"; fwd=request; ttl=59; detail=stale-if-error`},
	} {
		h.clock.Advance(test.after)
		if test.fails {
			o.fail()
		}
		resp, _ := h.get("/a", "Cache-Control", test.asks)
		if got := resp.Header.Get("Cache-Status"); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

package transport_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

func TestTrailersComeAfterTheBody(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"of a response that is being kept": {},
		"of a response that is not kept":   {Expire: policy.DoNotCache()},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				<-release
				w.Header().Set("X-Sum", "4")
				w.Header().Set(http.TrailerPrefix+"X-Other", "5")
			}, &options{Policy: p})
			resp := h.open("GET", "/a")
			defer resp.Body.Close()
			close(release)
			for range 100 { // while they may be coming in
				for name, values := range resp.Trailer {
					if name != "X-Sum" || values != nil {
						t.Fatalf("before the end: %v", resp.Trailer)
					}
				}
				runtime.Gosched()
			}
			io.Copy(io.Discard, resp.Body)
			if want := (http.Header{"X-Sum": {"4"}, "X-Other": {"5"}}); !cmp.Equal(want, resp.Trailer) {
				t.Error(cmp.Diff(want, resp.Trailer))
			}
		})
	}
}

// trailed is an origin whose responses have trailers, announced and not, as those of
// gRPC.
func trailed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Etag", `"1"`)
	if r.Header.Get("If-None-Match") == `"1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Trailer", "Grpc-Status, Set-Cookie")
	if size := r.URL.Query().Get("size"); size != "0" {
		io.WriteString(w, "body")
	}
	w.(http.Flusher).Flush()
	w.Header().Set("Grpc-Status", "0")
	w.Header().Set("Set-Cookie", "a=b")
	w.Header()[http.TrailerPrefix+"Grpc-Message"] = []string{"one", "two"}
}

var (
	stored   = http.Header{"Grpc-Status": {"0"}, "Grpc-Message": {"one", "two"}}
	received = http.Header{"Grpc-Status": {"0"}, "Grpc-Message": {"one", "two"}, "Set-Cookie": {"a=b"}}
)

// wantTrailer reads a response, whose trailer is to have its names before and its values
// after.
func wantTrailer(t *testing.T, what string, resp *http.Response, want http.Header) {
	t.Helper()
	for _, values := range resp.Trailer {
		if values != nil {
			t.Errorf("%s: %v before the end", what, resp.Trailer)
		}
	}
	if names := slices.Sorted(maps.Keys(resp.Trailer)); hit(resp) && !cmp.Equal(names, slices.Sorted(maps.Keys(want))) {
		t.Errorf("%s: %v are announced", what, names)
	}
	if _, err := copyAll(io.Discard, resp); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if !cmp.Equal(want, resp.Trailer) {
		t.Errorf("%s: %s", what, cmp.Diff(want, resp.Trailer))
	}
	if names := resp.Header["Trailer"]; names != nil {
		t.Errorf("%s: the header Trailer is %q", what, names)
	}
}

func TestTrailersAreKept(t *testing.T) {
	for name, mode := range map[string]policy.Switch{"by the policy": policy.Off, "by Cache-Control": policy.On} {
		for _, http2 := range []bool{false, true} {
			for _, query := range []string{"?size=4", "?size=0"} {
				t.Run(fmt.Sprint(name, ", HTTP/2: ", http2, ", ", query), func(t *testing.T) {
					onEachStore(t, func(t *testing.T, open func(*testing.T) driver.Store) {
						origin := httptest.NewUnstartedServer(http.HandlerFunc(trailed))
						origin.EnableHTTP2 = http2
						origin.StartTLS()
						h := startOn(t, open(t), trailed, &options{
							Policy: policy.Policy{CacheControl: mode, Expire: policy.After(time.Minute)}, Base: origin.Client().Transport,
						})
						t.Cleanup(origin.Close)
						get := func(method string, headers ...string) *http.Response {
							req := h.request(method, "", "", headers...)
							u, err := req.URL.Parse(origin.URL + "/a" + query)
							check(t, err)
							req.URL, req.Host = u, u.Host
							resp, err := h.transport.RoundTrip(req)
							check(t, err)
							if http2 != (resp.ProtoMajor == 2) {
								t.Error(resp.Proto)
							}
							return resp
						}
						wantTrailer(t, "from the origin", get("GET"), received)
						wantTrailer(t, "from the store", get("GET"), stored)
						wantTrailer(t, "to HEAD", get("HEAD"), nil)
						wantTrailer(t, "a 304", get("GET", "If-None-Match", `"1"`), nil)
						if query != "?size=0" {
							wantTrailer(t, "a part", get("GET", "Range", "bytes=0-1"), nil)
						}
						h.clock.Advance(time.Hour)
						resp := get("GET")
						if !hit(resp) {
							t.Error("the stored response is not confirmed")
						}
						wantTrailer(t, "confirmed", resp, stored)
						wantTrailer(t, "from the store again", get("GET"), stored)
					})
				})
			}
		}
	}
}

// A trailer comes to each who reads along, while others join, and belongs to each.
func TestTrailersOfSharedResponses(t *testing.T) {
	for name, maxBody := range map[string]int64{"that are kept": 0, "of streams": 1} {
		t.Run(name, func(t *testing.T) {
			begun, release := make(chan struct{}), make(chan struct{})
			h := start(t, func(w http.ResponseWriter, _ *http.Request) {
				close(begun)
				<-release
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
				w.Header()[http.TrailerPrefix+"X-Sum"] = []string{"4"}
				w.Header()[http.TrailerPrefix+"Set-Cookie"] = []string{"a=b"}
			}, &options{MaxBody: maxBody})
			var mu sync.Mutex
			withCookies := 0
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					resp := h.open("GET", "/a")
					_, err := copyAll(io.Discard, resp)
					mu.Lock()
					defer mu.Unlock()
					if resp.Trailer.Get("Set-Cookie") != "" {
						withCookies++
					}
					if err != nil || resp.Trailer.Get("X-Sum") != "4" {
						t.Errorf("%v, %v", resp.Trailer, err)
					}
					resp.Trailer.Set("X-Sum", "5")
				})
				if i == 0 {
					<-begun
				}
			}
			waitfor.Blocked(t, 4, "exchange.(*Flight).wait")
			close(release)
			wg.Wait()
			if withCookies != 1 {
				t.Errorf("%d callers got the first one's cookie", withCookies)
			}
			h.wantRequests(1)
		})
	}
}

// The trailer alone may tell of a failure.
func TestAPolicyDecidesByTheTrailer(t *testing.T) {
	serves := false
	h := start(t, trailed, &options{Policy: policy.Policy{
		Keep: func(x *policy.Exchange) bool {
			return x.Request.URL.Path == "/a" && x.Trailer.Get("Grpc-Status") == "0"
		},
		Serve: func(x *policy.Exchange) bool { return serves && x.Trailer.Get("Grpc-Message") == "one" },
	}})
	h.get("/a")
	if resp, _ := h.get("/a"); hit(resp) {
		t.Error("it is served")
	}
	serves = true
	if resp, _ := h.get("/a"); !hit(resp) {
		t.Error("it is not kept, or not served")
	}
	h.get("/b")
	if resp, _ := h.get("/b"); hit(resp) {
		t.Error("another is kept")
	}
}

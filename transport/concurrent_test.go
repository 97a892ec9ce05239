package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// textResponse is a response that a base makes up.
func textResponse(req *http.Request, body string, headers ...string) *http.Response {
	resp := &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}
	for i := 0; i+1 < len(headers); i += 2 {
		resp.Header.Add(headers[i], headers[i+1])
	}
	return resp
}

// together runs a function n times at once.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			do(i)
		})
	}
	close(begin)
	wg.Wait()
}

// long is a body that differs by name all along.
func long(name string) string { return strings.Repeat(name+" ", 2_000) }

const many = 1_000

func TestCallersOfOneKeyReachTheOriginOnce(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		body := long(r.URL.Path)
		io.WriteString(w, body[:100])
		w.(http.Flusher).Flush()
		io.WriteString(w, body[100:])
	}, nil)
	together(many, func(int) {
		resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != long("/a") {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
	h.wantRequests(1)
	if s := h.transport.Stats(); s.Misses != 1 || s.Hits+s.Shared != many-1 || s.Stored != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTheOthersAreAnsweredThoughTheFirstCallerGivesUp(t *testing.T) {
	for _, where := range []string{"before the headers", "in the body"} {
		t.Run(where, func(t *testing.T) {
			release := make(chan struct{})
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				body := long(r.URL.Path)
				if where == "in the body" {
					io.WriteString(w, body[:100])
					w.(http.Flusher).Flush()
					body = body[100:]
				}
				<-release
				io.WriteString(w, body)
			}, nil)
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error, 1)
			begun := make(chan struct{})
			go func() {
				resp, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx))
				if err == nil {
					_, err = io.ReadFull(resp.Body, make([]byte, 100))
					check(t, err)
					close(begun)
					_, err = io.ReadAll(resp.Body)
				}
				failed <- err
			}()
			waitfor.True(t, "the origin is reached", func() bool { return h.requests.Load() == 1 })
			if where == "in the body" {
				<-begun
			}
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					if _, body := h.get("/a"); body != long("/a") {
						t.Errorf("another got %d bytes", len(body))
					}
				})
			}
			if where == "in the body" {
				waitfor.True(t, "the others share", func() bool { return h.transport.Stats().Shared == 100 })
			} else {
				waitfor.Blocked(t, 101, "exchange.(*Flight).wait")
			}
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("the first got %v", err)
			}
			close(release)
			wg.Wait()
			h.wantRequests(1)
			if resp, body := h.get("/a"); !hit(resp) || body != long("/a") {
				t.Errorf("afterwards %d bytes, hit: %t", len(body), hit(resp))
			}
		})
	}
}

func TestTheOthersAreAnsweredThoughTheFirstGivesUpAResponseThatIsNotKept(t *testing.T) {
	var closed atomic.Int64
	release := make(chan struct{})
	h := start(t, nil, &options{
		Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			select {
			case <-release:
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
			resp := textResponse(req, "for one")
			resp.Body = countedBody{resp.Body, &closed}
			return resp, nil
		}),
		Policy: policy.Policy{Expire: policy.DoNotCache()},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("the first got %v", err)
		}
	})
	waitfor.Blocked(t, 1, "exchange.(*Flight).wait")
	for range 20 {
		wg.Go(func() {
			if _, body := h.get("/a"); body != "for one" {
				t.Errorf("another got %q", body)
			}
		})
	}
	waitfor.Blocked(t, 21, "exchange.(*Flight).wait")
	cancel()
	time.Sleep(5 * time.Millisecond)
	close(release)
	wg.Wait()
	// The first's own response came to nobody.
	waitfor.True(t, "all bodies are closed", func() bool { return closed.Load() == 21 || closed.Load() == 20 })
}

type countedBody struct {
	io.Reader
	closed *atomic.Int64
}

func (b countedBody) Close() error {
	b.closed.Add(1)
	return nil
}

func TestAResponseThatIsNotKeptIsForOneCaller(t *testing.T) {
	for name, headers := range map[string][]string{
		"as it says so":       {"Cache-Control", "no-store"},
		"as it does not end":  {"Content-Type", "text/event-stream"},
		"as it is too large":  nil,
		"as it varies by all": {"Vary", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			var n, open atomic.Int64
			h := start(t, nil, &options{
				Base: roundTripper(func(req *http.Request) (*http.Response, error) {
					open.Add(1)
					body := fmt.Sprintf("response %04d", n.Add(1))
					if name == "as it is too large" {
						body += strings.Repeat(".", 1<<10)
					}
					resp := textResponse(req, body, headers...)
					resp.Body = countedBody{resp.Body, &open}
					return resp, nil
				}),
				MaxBody: 512,
				Policy:  policy.Policy{CacheControl: policy.On},
			})
			var seen sync.Map
			together(many, func(int) {
				resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if _, twice := seen.LoadOrStore(string(body), true); twice || err != nil {
					t.Errorf("%.20q came twice, or %v", body, err)
				}
			})
			if n.Load() != many {
				t.Errorf("%d responses for %d callers", n.Load(), many)
			}
			waitfor.True(t, "all bodies are closed", func() bool { return open.Load() == 2*many })
		})
	}
}

func TestNobodyGetsAnothersBody(t *testing.T) {
	h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		id := req.URL.Query().Get("id") + req.Header.Get("Authorization")
		return textResponse(req, long(id), "X-Id", id), nil
	}), MaxBody: int64(len(long("k11")) + 1)}) // so that some are too large to be kept
	together(32, func(g int) {
		for i := range 60 {
			id := fmt.Sprint("k", (i*7+g)%17)
			var headers []string
			if i%3 == 0 {
				headers = []string{"Authorization", fmt.Sprint("user ", g%5)}
			}
			req := h.request("GET", "/a?id="+id, "", headers...)
			if len(headers) > 0 {
				id += headers[1]
			}
			resp, err := h.transport.RoundTrip(req)
			if err != nil {
				t.Error(err)
				return
			}
			if i%5 == 0 {
				resp.Body.Close()
				continue
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != long(id) || resp.Header.Get("X-Id") != id {
				t.Errorf("%s got %q of %s, %v", id, body[:min(len(body), 20)], resp.Header.Get("X-Id"), err)
			}
			if resp.Request != req {
				t.Error("the response has another request")
			}
		}
	})
}

func TestCallersMayChangeTheHeadersTheyGot(t *testing.T) {
	h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		return textResponse(req, "body", "X-Value", "origin"), nil
	})})
	together(64, func(int) {
		for range 10 {
			resp, _ := h.get("/a")
			if resp.Header.Get("X-Value") != "origin" {
				t.Error("a caller sees what another has changed")
			}
			resp.Header["X-Value"][0] = "changed"
			resp.Header.Set("Cache-Status", "changed")
		}
	})
}

func TestRequestsOfMethodsThatAreNotCachedDoNotWaitForOneAnother(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"} {
		t.Run(method, func(t *testing.T) {
			const n = 5
			var all sync.WaitGroup
			all.Add(n)
			h := start(t, func(http.ResponseWriter, *http.Request) {
				all.Done()
				all.Wait() // until all are here at once
			}, nil)
			waitfor.End(t, "all requests are at the origin at once", func() {
				together(n, func(int) { h.do(h.request(method, "/a", "body")) })
			})
			h.wantRequests(n)
		})
	}
}

func TestAnUnsafeMethodMakesWhatIsStoredOutdated(t *testing.T) {
	for _, test := range []struct {
		method      string
		status      int
		header      [2]string // of the response, with the origin's URL in place of a leading ~
		invalidated []string
	}{
		{"PUT", 200, [2]string{}, []string{"/a"}},
		{"POST", 201, [2]string{}, []string{"/a"}},
		{"PATCH", 204, [2]string{}, []string{"/a"}},
		{"DELETE", 204, [2]string{}, []string{"/a"}},
		{"PURGE", 200, [2]string{}, []string{"/a"}},
		{"PUT", 303, [2]string{}, []string{"/a"}},
		{"PUT", 400, [2]string{}, nil},
		{"DELETE", 404, [2]string{}, nil},
		{"PUT", 500, [2]string{}, nil},
		{"OPTIONS", 200, [2]string{}, nil},
		{"REPORT", 200, [2]string{}, nil},
		{"POST", 201, [2]string{"Location", "/b"}, []string{"/a", "/b"}},
		{"POST", 201, [2]string{"Location", "b"}, []string{"/a", "/b"}},
		{"POST", 201, [2]string{"Location", "~/b"}, []string{"/a", "/b"}},
		{"PUT", 200, [2]string{"Content-Location", "/b"}, []string{"/a", "/b"}},
		{"PUT", 200, [2]string{"Content-Location", "http://other.example/b"}, []string{"/a"}},
		{"PUT", 200, [2]string{"Location", "https:~/b"}, []string{"/a"}},
		{"PUT", 200, [2]string{"Location", "::::"}, []string{"/a"}},
		{"PUT", 409, [2]string{"Content-Location", "/b"}, nil},
	} {
		t.Run(fmt.Sprint(test.method, test.status, test.header), func(t *testing.T) {
			var h *harness
			h = start(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" {
					if test.header[0] != "" {
						value := strings.Replace(test.header[1], "https:~", strings.Replace(h.server.URL, "http:", "https:", 1), 1)
						w.Header().Set(test.header[0], strings.Replace(value, "~", h.server.URL, 1))
					}
					w.WriteHeader(test.status)
					return
				}
				io.WriteString(w, r.URL.Path)
			}, nil)
			for _, path := range []string{"/a", "/b"} {
				h.get(path)
			}
			h.do(h.request(test.method, "/a", "new"))
			for _, path := range []string{"/a", "/b"} {
				outdated := false
				for _, other := range test.invalidated {
					outdated = outdated || other == path
				}
				if resp, _ := h.get(path); hit(resp) == outdated {
					t.Errorf("%s afterwards, hit: %t", path, hit(resp))
				}
			}
		})
	}
}

// The answer to a GET from before a PUT must not outlive the PUT, whichever way it is
// fetched.
func TestAResponseUnderWayWhileItIsChangedIsNotSaved(t *testing.T) {
	for name, headers := range map[string][]string{
		"plain":       nil,
		"with Range":  {"Range", "bytes=0-"},
		"conditional": {"If-None-Match", `"other"`},
	} {
		for _, where := range []string{"before the headers", "in the body"} {
			t.Run(name+" "+where, func(t *testing.T) {
				release := make(chan struct{})
				var value atomic.Value
				value.Store("old")
				h := start(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "PUT" {
						value.Store("new")
						return
					}
					body := value.Load().(string)
					if body == "old" {
						if where == "in the body" {
							w.(http.Flusher).Flush()
						}
						<-release
					}
					io.WriteString(w, body)
				}, nil)
				old := make(chan string, 1)
				go func() {
					_, body := h.get("/a", headers...)
					old <- body
				}()
				waitfor.True(t, "the origin is reached", func() bool { return h.requests.Load() == 1 })
				h.do(h.request("PUT", "/a", "new"))
				// A request after the change gets what was changed, not what is under way.
				if resp, body := h.get("/a"); body != "new" || hit(resp) {
					t.Errorf("after the change %q, hit: %t", body, hit(resp))
				}
				close(release)
				if body := <-old; body != "old" {
					t.Errorf("the first got %q", body)
				}
				if _, body := h.get("/a"); body != "new" {
					t.Errorf("the change was undone: %q", body)
				}
			})
		}
	}
}

func TestAResponseThatIsBeingSavedWhileItIsChangedDoesNotStay(t *testing.T) {
	store := &faulty{Store: memoryStore(t)}
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Method) }, &options{StoreTimeout: 200 * time.Millisecond}) // as long as the change waits
	saving, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	store.set(func(_ context.Context, op string) error {
		if op == "put" {
			once.Do(func() {
				close(saving)
				<-release
			})
		}
		return nil
	})
	done := make(chan struct{})
	go func() {
		h.get("/a")
		close(done)
	}()
	waitfor.Receive(t, "the save begins", saving)
	h.do(h.request("PUT", "/a", "new"))
	close(release)
	waitfor.Receive(t, "the first is answered", done)
	if resp, _ := h.get("/a"); hit(resp) {
		t.Error("what was read before the change is served after it")
	}
}

func TestChangesAndReadsAtOnceLeaveTheLastState(t *testing.T) {
	var state atomic.Int64
	h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Method == "PUT" {
			state.Add(1)
			return textResponse(req, ""), nil
		}
		return textResponse(req, fmt.Sprint(state.Load())), nil
	})})
	for range 50 {
		together(8, func(i int) {
			if i%4 == 0 {
				h.do(h.request("PUT", "/a", "x"))
				return
			}
			h.get("/a")
		})
		if _, body := h.get("/a"); body != fmt.Sprint(state.Load()) {
			t.Fatalf("%q is served, the origin is at %d", body, state.Load())
		}
	}
}

// snapshot is what a caller can see of a request.
type snapshot struct {
	method, host, proto string
	url                 url.URL
	header, trailer     http.Header
	length              int64
	body                io.ReadCloser
	context             context.Context
	getBody             bool
}

func snapshotOf(req *http.Request) snapshot {
	return snapshot{
		req.Method, req.Host, req.Proto, *req.URL, req.Header.Clone(), maps.Clone(req.Trailer),
		req.ContentLength, req.Body, req.Context(), req.GetBody != nil,
	}
}

func TestTheRequestIsNeverChanged(t *testing.T) {
	var fail atomic.Bool
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if fail.Load() {
			panic(http.ErrAbortHandler)
		}
		if got, _ := io.ReadAll(r.Body); string(got) != r.Header.Get("X-Body") {
			t.Errorf("the origin got the body %q", got)
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "body")
	}, &options{Policy: policy.Policy{Methods: []string{"POST"}, Expire: policy.After(time.Minute)}})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
		for _, body := range []string{"none", "that can be had again", "that is read once"} {
			for _, at := range []string{"miss", "hit", "revalidation", "only if cached", "part", "condition", "failure"} {
				t.Run(method+" with a body "+body+" at a "+at, func(t *testing.T) {
					if body != "none" && method != "POST" && method != "PUT" {
						t.Skip("it has no body")
					}
					fail.Store(false)
					_, err := h.cache.Clear(t.Context(), 0)
					check(t, err)
					request := func() (*http.Request, *trackedBody) {
						text := ""
						if body != "none" {
							text = "query"
						}
						req := h.request(method, "/a?b=c", text, "X-Multi", "1", "X-Multi", "2", "X-Body", text)
						if body != "that is read once" {
							return req, nil
						}
						tracked := &trackedBody{Reader: strings.NewReader(text)}
						req.Body, req.GetBody = tracked, nil
						return req, tracked
					}
					if at != "miss" && at != "failure" {
						first, _ := request()
						h.do(first)
					}
					req, tracked := request()
					switch at {
					case "revalidation":
						h.clock.Advance(2 * time.Minute)
					case "only if cached":
						req = req.WithContext(policy.With(t.Context(), policy.Policy{Use: policy.OnlyIfCached}))
					case "part":
						req.Header.Set("Range", "bytes=1-2")
					case "condition":
						req.Header.Set("If-None-Match", `"0"`)
					case "failure":
						fail.Store(true)
					}
					before := snapshotOf(req)
					resp, err := h.transport.RoundTrip(req)
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					if (err != nil) != (at == "failure") {
						t.Errorf("the error is %v", err)
					}
					if after := snapshotOf(req); !reflect.DeepEqual(before, after) {
						t.Errorf("the request was\n%+v\nand is\n%+v", before, after)
					}
					if tracked != nil {
						waitfor.True(t, "the request's body is closed", func() bool { return tracked.closed.Load() > 0 })
					}
				})
			}
		}
	}
}

func TestTheBodyOfARequestThatJoinsAnotherIsClosed(t *testing.T) {
	for name, giveUp := range map[string]bool{"and is answered": false, "and gives up": true} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				<-release
				return textResponse(req, "body"), nil
			})})
			// The key has nothing of the body, so that it is not read.
			h.cache.Remove("all")
			_, err := cache.CreateRepository(t.Context(), h.cache, settings.CatchAll("any", &request.AnyOptions{IgnoreBody: []string{"*"}}))
			check(t, err)
			var wg sync.WaitGroup
			wg.Go(func() { h.get("/a") })
			waitfor.Blocked(t, 1, "exchange.(*Flight).wait")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			body := &trackedBody{Reader: strings.NewReader("x")}
			wg.Go(func() {
				req := h.request("GET", "/a", "").WithContext(ctx)
				req.Body = body
				if resp, err := h.transport.RoundTrip(req); err == nil {
					resp.Body.Close()
				}
			})
			waitfor.Blocked(t, 2, "exchange.(*Flight).wait")
			if giveUp {
				cancel()
				waitfor.True(t, "its body is closed", func() bool { return body.closed.Load() > 0 })
			}
			close(release)
			wg.Wait()
			waitfor.True(t, "its body is closed", func() bool { return body.closed.Load() > 0 })
		})
	}
}

func TestARequestWithABodyAndARangeIsSentWhole(t *testing.T) {
	for _, method := range []string{"POST", "HEAD"} {
		h := start(t, nil, &options{
			Policy: policy.Policy{Methods: []string{"POST"}},
			Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				if body, _ := io.ReadAll(req.Body); string(body) != "query" {
					t.Errorf("%s: the base got the body %q", method, body)
				}
				return textResponse(req, ""), nil
			}),
		})
		req := h.request(method, "/a", "", "Range", "bytes=0-1")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader("query")), 5
		h.do(req)
	}
}

func TestTheContextsValuesReachTheBase(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
	var got atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GotFirstResponseByte: func() { got.Add(1) },
	})
	for range 2 {
		h.do(h.request("GET", "/a", "").WithContext(ctx))
	}
	if got.Load() != 1 {
		t.Errorf("the trace of a miss and a hit saw %d responses, want 1", got.Load())
	}
}

func TestRevalidationsOfOneKeyReachTheOriginOnce(t *testing.T) {
	for name, renewed := range map[string]policy.Policy{
		"before the answer": {Expire: policy.After(time.Minute)},
		"after the answer":  {Expire: policy.After(time.Minute), StaleWhileRevalidate: time.Hour},
	} {
		for _, status := range []int{http.StatusOK, http.StatusNotModified} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				h := start(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"1"`)
					if r.Header.Get("If-None-Match") != "" && status == http.StatusNotModified {
						w.WriteHeader(status)
						return
					}
					io.WriteString(w, long("/a"))
				}, &options{Policy: renewed})
				h.get("/a")
				h.clock.Advance(2 * time.Minute)
				together(200, func(int) {
					if _, body := h.get("/a"); body != long("/a") {
						t.Errorf("%d bytes", len(body))
					}
				})
				check(t, h.transport.Close())
				h.wantRequests(2)
				if resp, _ := h.get("/a"); !hit(resp) {
					t.Error("it was not renewed")
				}
			})
		}
	}
}

// Several doors over one cache share its flights, too.
func TestOneCacheUnderSeveralTransports(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, long(r.URL.Path)) }, nil)
	transports := []door{h.transport, h.over(h.cache, nil), h.over(h.cache, nil)}
	for i, tr := range transports {
		resp, err := tr.RoundTrip(h.request("GET", "/a", ""))
		check(t, err)
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != long("/a") || hit(resp) != (i > 0) {
			t.Errorf("transport %d: hit: %t, %v", i, hit(resp), err)
		}
		resp.Body.Close()
	}
	together(60, func(i int) {
		path := fmt.Sprint("/", i%5)
		resp, err := transports[i%3].RoundTrip(h.request("GET", path, ""))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != long(path) {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	})
	resp, err := transports[1].RoundTrip(h.request("DELETE", "/a", ""))
	check(t, err)
	resp.Body.Close()
	if resp, _ := h.get("/a"); hit(resp) {
		t.Error("a change by one transport is not seen by another")
	}
}

func TestWithoutACacheRequestsPassThrough(t *testing.T) {
	noLeaks(t)
	var n int
	tr := transport.New(nil, &transport.Options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		n++
		return textResponse(req, fmt.Sprint(n)), nil
	})})
	for i, method := range []string{"GET", "GET", "PUT", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://origin.example/", nil)
		check(t, err)
		resp, err := tr.RoundTrip(req)
		check(t, err)
		if body, _ := io.ReadAll(resp.Body); string(body) != fmt.Sprint(i+1) || hit(resp) {
			t.Errorf("request %d: %q", i, body)
		}
	}
	req, err := http.NewRequestWithContext(policy.With(t.Context(), policy.Policy{Use: policy.OnlyIfCached}), "GET", "http://origin.example/", nil)
	check(t, err)
	resp, err := tr.RoundTrip(req)
	check(t, err)
	if status := resp.Header.Get("Cache-Status"); resp.StatusCode != http.StatusGatewayTimeout || !strings.HasPrefix(status, "endpointcache;") {
		t.Errorf("%d, Cache-Status: %s", resp.StatusCode, status)
	}
}

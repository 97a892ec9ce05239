package transport_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

// read reads n bytes.
func read(t testing.TB, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	check(t, err)
	return string(b)
}

// open makes a request whose body is not read yet.
func (h *harness) open(method, path string, headers ...string) *http.Response {
	h.t.Helper()
	resp, err := h.transport.RoundTrip(h.request(method, path, "", headers...))
	check(h.t, err)
	return resp
}

// closes ends what goes on in the background, in a time that nothing which hangs would leave.
func (h *harness) closes() {
	h.t.Helper()
	waitfor.End(h.t, "Close returns", func() { h.transport.Close() })
}

func TestCallersSeeTheBeginningOfABodyWhileItsRestIsUnderWay(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "second")
	}, nil)
	var open []*http.Response
	for range 3 { // the later ones join the first
		resp := h.open("GET", "/a")
		if got := read(t, resp.Body, 6); got != "first " {
			t.Errorf("read %q", got)
		}
		open = append(open, resp)
	}
	close(release)
	for _, resp := range open {
		if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second" {
			t.Errorf("the rest is %q, %v", rest, err)
		}
		resp.Body.Close()
	}
	h.wantRequests(1)
	if resp, body := h.get("/a"); !hit(resp) || body != "first second" {
		t.Errorf("%q, hit: %t", body, hit(resp))
	}
}

func TestWhoSeesTheEndOfABodyFindsItStored(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
	for i := range 50 {
		path := fmt.Sprint("/", i)
		h.get(path)
		if resp, _ := h.get(path); !hit(resp) {
			t.Fatalf("request %d: the second is no hit", i)
		}
	}
}

// pattern is what endless bodies consist of. Its length is no multiple of that of
// any buffer, so that bytes which are left out, or come twice, show.
var pattern = func() []byte {
	p := make([]byte, 100_003)
	for i := range p {
		p[i] = byte(i ^ i>>8)
	}
	return p
}()

// fill makes p what is at an offset of an endless body.
func fill(p []byte, offset int64) {
	for len(p) > 0 {
		n := copy(p, pattern[offset%int64(len(pattern)):])
		p, offset = p[n:], offset+int64(n)
	}
}

// endless is a body of any size that counts what was read of it.
type endless struct {
	size   int64
	read   atomic.Int64
	closed atomic.Int64
}

func (b *endless) Read(p []byte) (int, error) {
	left := b.size - b.read.Load()
	if left <= 0 {
		return 0, io.EOF
	}
	if b.closed.Load() > 0 {
		return 0, errors.New("read after close")
	}
	p = p[:min(int64(len(p)), left, 32<<10)]
	fill(p, b.read.Load())
	b.read.Add(int64(len(p)))
	return len(p), nil
}

func (b *endless) Close() error {
	b.closed.Add(1)
	return nil
}

func TestABodyLargerThanTheLimitStreamsThroughAndIsNotStored(t *testing.T) {
	const maxBody, size = 256 << 10, 8 << 20
	for _, readers := range []int{1, 3} {
		t.Run(fmt.Sprint(readers, " readers"), func(t *testing.T) {
			body := &endless{size: size}
			ready, release := make(chan struct{}), make(chan struct{})
			var n atomic.Int64
			h := start(t, nil, &options{MaxBody: maxBody, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				if n.Add(1) == 1 {
					close(ready)
				}
				<-release
				resp := textResponse(req, "")
				resp.ContentLength, resp.Body = -1, body
				return resp, nil
			})})
			var slowest [3]atomic.Int64
			var wg sync.WaitGroup
			for i := range readers {
				wg.Go(func() {
					resp := h.open("GET", "/a")
					defer resp.Body.Close()
					p, want := make([]byte, 64<<10), make([]byte, 64<<10)
					for {
						m, err := resp.Body.Read(p)
						fill(want[:m], slowest[i].Load())
						if !bytes.Equal(p[:m], want[:m]) {
							t.Errorf("other bytes at %d", slowest[i].Load())
							return
						}
						slowest[i].Add(int64(m))
						ahead := body.read.Load() - slowest[i].Load()
						if ahead > 2*maxBody+256<<10 {
							t.Errorf("the origin is %d bytes ahead", ahead)
							return
						}
						if err == io.EOF {
							break
						}
						if err != nil {
							t.Error(err)
							break
						}
						if i == 0 && slowest[i].Load() > size/2 && slowest[i].Load() < size/2+64<<10 {
							time.Sleep(20 * time.Millisecond) // the others wait
						}
					}
					if got := slowest[i].Load(); got != size {
						t.Errorf("reader %d got %d bytes", i, got)
					}
				})
				if i == 0 {
					<-ready
				}
			}
			waitfor.Blocked(t, readers, "exchange.(*Flight).wait")
			close(release)
			wg.Wait()
			if n.Load() != 1 {
				t.Errorf("the origin was reached %d times", n.Load())
			}
			if s := h.transport.Stats(); s.Stored != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A stream that is ahead before its caller has begun to read must not drop what the
// caller has not seen, nor be asked for again.
func TestTheCallerOfALargeBodyGetsItFromTheBeginning(t *testing.T) {
	const size = 200 << 10
	var n atomic.Int64
	h := start(t, nil, &options{MaxBody: 1, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		n.Add(1)
		resp := textResponse(req, "")
		resp.ContentLength, resp.Body = -1, &endless{size: size}
		return resp, nil
	})})
	for i := range 200 {
		resp := h.open("GET", "/a")
		if got, err := io.Copy(io.Discard, resp.Body); err != nil || got != size || n.Load() != int64(i+1) {
			t.Fatalf("%d bytes, %v, after %d requests for %d", got, err, n.Load(), i+1)
		}
		resp.Body.Close()
	}
}

func TestAStreamThatItsReaderLeavesEndsAtOnce(t *testing.T) {
	const size = 200 << 10
	gone := make(chan struct{}, 1)
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, size))
		w.(http.Flusher).Flush()
		hang(r, gone)
	}, &options{MaxBody: 1 << 10, FinishTimeout: time.Hour})
	resp := h.open("GET", "/a")
	read(t, resp.Body, size)
	resp.Body.Close()
	waitfor.Receive(t, "the origin is left alone", gone)
	h.closes()
}

func TestAnEventStreamPassesEventByEvent(t *testing.T) {
	events, gone := make(chan string), make(chan struct{}, 1)
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for {
			w.(http.Flusher).Flush()
			select {
			case event := <-events:
				fmt.Fprintf(w, "data: %s\n\n", event)
			case <-r.Context().Done():
				gone <- struct{}{}
				return
			}
		}
	}, nil)
	resp := h.open("GET", "/events")
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		events <- fmt.Sprint(i)
		line, err := lines.ReadString('\n')
		if _, blank := lines.ReadString('\n'); err != nil || blank != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Errorf("event %d is %q, %v", i, line, err)
		}
	}
	resp.Body.Close()
	waitfor.Receive(t, "the origin is left alone", gone)
	if s := h.transport.Stats(); s.Stored != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTheRestOfABodyThatIsClosedEarlyIsReadAndStored(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, resp *http.Response){
		"after a value of JSON": func(t *testing.T, resp *http.Response) {
			var value struct{ A int }
			check(t, json.NewDecoder(resp.Body).Decode(&value))
		},
		"before its first byte": func(*testing.T, *http.Response) {},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, `{"A": 1}`)
				w.(http.Flusher).Flush()
				<-release
				io.WriteString(w, "\n")
			}, nil)
			resp := h.open("GET", "/a")
			leave(t, resp)
			check(t, resp.Body.Close())
			time.AfterFunc(5*time.Millisecond, func() { close(release) })
			h.closes() // which waits for the rest
			if resp, body := h.get("/a"); !hit(resp) || body != "{\"A\": 1}\n" {
				t.Errorf("%q, hit: %t", body, hit(resp))
			}
		})
	}
}

func TestTheRestOfABodyIsReadWithinLimits(t *testing.T) {
	t.Run("in time", func(t *testing.T) {
		gone := make(chan struct{}, 1)
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			hang(r, gone)
		}, &options{FinishTimeout: 20 * time.Millisecond})
		h.open("GET", "/a").Body.Close()
		waitfor.Receive(t, "the origin is left alone", gone)
		h.closes()
	})
	for _, test := range []struct {
		rest   int64
		stored bool
	}{{1 << 10, true}, {1 << 20, false}} {
		t.Run(fmt.Sprint("of ", test.rest, " bytes"), func(t *testing.T) {
			body := &endless{size: 16<<10 + test.rest}
			release := make(chan struct{})
			h := start(t, nil, &options{FinishBytes: 100 << 10, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				resp := textResponse(req, "")
				resp.ContentLength = -1
				first := io.LimitReader(body, 16<<10)
				resp.Body = readCloser{readerFunc(func(p []byte) (int, error) {
					if n, err := first.Read(p); err == nil {
						return n, nil
					}
					<-release
					return body.Read(p)
				}), body}
				return resp, nil
			})})
			resp := h.open("GET", "/a")
			read(t, resp.Body, 16<<10)
			resp.Body.Close()
			close(release)
			h.closes()
			waitfor.True(t, "the origin's body is closed", func() bool { return body.closed.Load() > 0 })
			if got := body.read.Load(); !test.stored && got > 300<<10 {
				t.Errorf("%d bytes were read", got)
			}
			if n := h.transport.Stats().Stored; n != map[bool]int64{true: 1}[test.stored] {
				t.Errorf("%d stored", n)
			}
		})
	}
}

type readCloser struct {
	io.Reader
	io.Closer
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestWhoComesWhileTheRestIsReadReadsAlong(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "second")
	}, &options{FinishTimeout: time.Second})
	h.open("GET", "/a").Body.Close()
	resp := h.open("GET", "/a")
	time.Sleep(1100 * time.Millisecond) // beyond what the first has left
	h.closes()                          // which waits for no reader
	close(release)
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "first second" {
		t.Errorf("read %q, %v", body, err)
	}
	resp.Body.Close()
	h.wantRequests(1)
}

func TestAfterCloseRequestsWorkAndLeaveNothingBehind(t *testing.T) {
	gone := make(chan struct{}, 10)
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "body")
		if r.URL.Path == "/hangs" {
			w.(http.Flusher).Flush()
			hang(r, gone)
		}
	}, &options{FinishTimeout: time.Hour, Policy: policy.Policy{
		Expire: policy.After(time.Minute), StaleWhileRevalidate: time.Hour,
	}})
	h.get("/a")
	h.closes()
	h.closes()
	if resp, body := h.get("/a"); body != "body" || !hit(resp) {
		t.Errorf("%q, hit: %t", body, hit(resp))
	}
	h.clock.Advance(2 * time.Minute)
	if _, body := h.get("/a"); body != "body" {
		t.Errorf("%q", body)
	}
	h.wantRequests(1) // nothing is renewed in the background
	for range 2 {
		if resp, body := h.get("/b"); body != "body" || hit(resp) {
			t.Errorf("%q, hit: %t", body, hit(resp))
		}
	}
	h.open("GET", "/hangs").Body.Close()
	waitfor.Receive(t, "the origin is left alone", gone)
}

func TestABodyMayBeUsedInAnyOrder(t *testing.T) {
	for name, test := range map[string]struct {
		policy policy.Policy
		stored bool
	}{
		"of a response that is being kept": {policy.Policy{Use: policy.Reload}, false},
		"of a response that is not kept":   {policy.Policy{Expire: policy.DoNotCache()}, false},
		"of a hit":                         {policy.Policy{}, true},
	} {
		body := func(t *testing.T) (*harness, *http.Response) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, long("a")[:100])
				w.(http.Flusher).Flush()
				time.Sleep(2 * time.Millisecond)
				io.WriteString(w, long("a")[100:])
			}, &options{Policy: test.policy})
			if test.stored {
				h.get("/a")
			}
			return h, h.open("GET", "/a")
		}
		t.Run(name+": closed twice", func(t *testing.T) {
			h, resp := body(t)
			io.Copy(io.Discard, resp.Body)
			for range 2 {
				check(t, resp.Body.Close())
			}
			h.closes()
		})
		t.Run(name+": closed without being read", func(t *testing.T) {
			h, resp := body(t)
			check(t, resp.Body.Close())
			h.closes()
		})
		t.Run(name+": read after its close", func(t *testing.T) {
			_, resp := body(t)
			read(t, resp.Body, 10)
			check(t, resp.Body.Close())
			if _, err := resp.Body.Read(make([]byte, 10)); !test.stored && (err == nil || err == io.EOF) {
				t.Errorf("the error is %v", err)
			}
		})
		t.Run(name+": read after its end", func(t *testing.T) {
			_, resp := body(t)
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			for range 3 {
				if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
		t.Run(name+": read by no bytes", func(t *testing.T) {
			_, resp := body(t)
			defer resp.Body.Close()
			if n, err := resp.Body.Read(nil); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != long("a") {
				t.Errorf("then %d bytes, %v", len(got), err)
			}
		})
		t.Run(name+": closed while it is read", func(t *testing.T) {
			_, resp := body(t)
			if test.stored {
				t.Skip("it has all been read")
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { resp.Body.Close() })
			}
			wg.Go(func() { io.Copy(io.Discard, resp.Body) })
			wg.Wait()
		})
		t.Run(name+": left as its context ends", func(t *testing.T) {
			h, first := body(t)
			first.Body.Close()
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx))
			check(t, err)
			cancel()
			if !test.stored {
				if _, err := io.ReadAll(resp.Body); err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("the error is %v", err)
				}
			}
			h.closes() // the body is never closed
		})
	}
}

func TestARenewalInTheBackground(t *testing.T) {
	renewed := policy.Policy{Expire: policy.After(time.Minute), StaleWhileRevalidate: time.Hour}
	t.Run("may be larger than the rest of a body that is closed early", func(t *testing.T) {
		var n atomic.Int64
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			for range 20 {
				io.WriteString(w, long(fmt.Sprint(n.Load())))
				w.(http.Flusher).Flush()
			}
			n.Add(1)
		}, &options{Policy: renewed, FinishBytes: 1})
		h.get("/a")
		h.clock.Advance(2 * time.Minute)
		h.get("/a")
		h.closes()
		if resp, body := h.get("/a"); !hit(resp) || !strings.HasPrefix(body, "1 ") {
			t.Errorf("%.10q, hit: %t", body, hit(resp))
		}
		h.wantRequests(2)
	})
	for _, where := range []string{"before the headers", "in the body"} {
		t.Run("that hangs "+where+" ends", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{}, 10)
				var hangs atomic.Bool
				h := startStill(t, hanging(where, &hangs, gone), &options{Policy: renewed, RenewTimeout: 30 * time.Millisecond})
				h.get("/a")
				hangs.Store(true)
				h.clock.Advance(2 * time.Minute)
				for range 5 {
					if _, body := h.get("/a"); body != "body" {
						t.Errorf("%q", body)
					}
				}
				waitfor.Receive(t, "the origin is left alone", gone)
				h.closes()
				h.wantRequests(2)
			})
		})
		// Its limit goes off while a caller waits: then it is that caller's, and
		// ends with it.
		t.Run("that hangs "+where+" ends with the last who joined it", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{}, 10)
				var hangs atomic.Bool
				h := startStill(t, hanging(where, &hangs, gone), &options{Policy: renewed, RenewTimeout: 30 * time.Millisecond, FinishTimeout: 30 * time.Millisecond})
				h.get("/a")
				hangs.Store(true)
				h.clock.Advance(2 * time.Minute)
				h.get("/a")
				ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
				defer cancel()
				ctx = policy.With(ctx, policy.Policy{Use: policy.Revalidate})
				resp, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the error is %v", err)
				}
				waitfor.Receive(t, "the origin is left alone", gone)
				h.closes()
			})
		})
	}
	for name, answer := range map[string]func(w http.ResponseWriter){
		"that is kept":                   func(w http.ResponseWriter) { io.WriteString(w, "new") },
		"that is not kept":               func(w http.ResponseWriter) { w.WriteHeader(404); io.WriteString(w, "new") },
		"that confirms what is stored":   func(w http.ResponseWriter) { w.WriteHeader(304) },
		"that is cut before its headers": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run("with an answer "+name+" leaves nothing behind with those who joined", func(t *testing.T) {
			release := make(chan struct{})
			var renews atomic.Bool
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if renews.Load() {
					<-release
					answer(w)
					return
				}
				io.WriteString(w, "body")
			}, &options{Policy: renewed, RenewTimeout: time.Hour, FinishTimeout: time.Hour})
			h.get("/a")
			renews.Store(true)
			h.clock.Advance(2 * time.Minute)
			h.get("/a") // renews
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() {
					ctx := policy.With(t.Context(), policy.Policy{Use: policy.Revalidate})
					resp, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx))
					if err == nil {
						io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				})
			}
			waitfor.Blocked(t, 5, "exchange.(*Flight).wait")
			close(release)
			wg.Wait()
			h.closes()
		})
	}
	t.Run("sends a body of its own", func(t *testing.T) {
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); string(body) != "query" {
				t.Errorf("the origin got the body %q", body)
			}
			io.WriteString(w, "body")
		}, &options{Policy: policy.Policy{
			Methods: []string{"POST"}, Expire: renewed.Expire, StaleWhileRevalidate: time.Hour,
		}})
		h.do(h.request("POST", "/a", "query"))
		h.clock.Advance(2 * time.Minute)
		req := h.request("POST", "/a", "")
		body := &trackedBody{Reader: strings.NewReader("query")}
		req.Body, req.ContentLength = readCloser{readerFunc(func([]byte) (int, error) {
			return 0, errors.New("it is the caller's, who has been answered")
		}), body}, 5
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("query")), nil }
		h.do(req)
		h.closes()
		h.wantRequests(2)
		if body.closed.Load() == 0 {
			t.Error("the request's body was not closed")
		}
	})
}

func TestAHitIsTheResponseThatWasSaved(t *testing.T) {
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	io.WriteString(zip, "zipped")
	check(t, zip.Close())
	response := func(status, proto string, length int64, body string, header http.Header) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{
				Status: status, Proto: proto, Header: header.Clone(), ContentLength: length,
				Body: io.NopCloser(strings.NewReader(body)), Request: req,
			}
			fmt.Sscan(status, &resp.StatusCode)
			resp.ProtoMajor, resp.ProtoMinor, _ = http.ParseHTTPVersion(proto)
			return resp, nil
		}
	}
	text := http.Header{"Content-Type": {"text/plain"}}
	for name, base := range map[string]func(*http.Request) (*http.Response, error){
		"a usual one":            response("200 OK", "HTTP/1.1", 4, "body", text),
		"of HTTP/1.0":            response("200 OK", "HTTP/1.0", 4, "body", text),
		"of HTTP/2":              response("200 OK", "HTTP/2.0", 4, "body", text),
		"with another reason":    response("200 Fine, thanks", "HTTP/1.1", 4, "body", text),
		"of unknown length":      response("200 OK", "HTTP/1.1", -1, "body", text),
		"without a body":         response("200 OK", "HTTP/1.1", 0, "", text),
		"of binary content":      response("200 OK", "HTTP/1.1", 5, "\x00\xff\r\n\x80", text),
		"of JSON as it is":       response("200 OK", "HTTP/1.1", -1, `{"n": 1.10, "é": "é"} `, text),
		"of compressed content":  response("200 OK", "HTTP/1.1", int64(zipped.Len()), zipped.String(), http.Header{"Content-Encoding": {"gzip"}}),
		"no content":             response("204 No Content", "HTTP/1.1", 0, "", http.Header{"X-A": {"b"}}),
		"a failure":              response("404 Not Found", "HTTP/1.1", 4, "gone", text),
		"a redirect":             response("301 Moved Permanently", "HTTP/1.1", 0, "", http.Header{"Location": {"/b"}}),
		"of a status of its own": response("299 ", "HTTP/1.1", 1, "x", text),
		"with headers of all kinds": response("200 OK", "HTTP/1.1", 1, "x", http.Header{
			"X-Multi": {"b", "a", "b", ""}, "X-Empty": {""}, "X-Latin": {"caf\xe9"}, "X-Quote": {`a "b" \ <c>`}, "lower-case": {"1"},
			"Link": {"<a>; rel=next, <b>; rel=last"}, "X-Nul": {"a\x00b"}, "Warning": {"110 - \"Response is Stale\""},
		}),
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil, &options{
				Base:   roundTripper(base),
				Policy: policy.Policy{Statuses: []int{200, 204, 299, 301, 404}},
			})
			first, firstBody := h.get("/a")
			again, body := h.get("/a")
			if hit(first) || !hit(again) {
				t.Fatalf("hits: %t, %t", hit(first), hit(again))
			}
			again.Header.Del("X-From-Cache")
			again.Header.Del("Cache-Status")
			if body != firstBody {
				t.Errorf("the body %q has become %q", firstBody, body)
			}
			if again.ContentLength != int64(len(body)) {
				t.Errorf("the length is %d", again.ContentLength)
			}
			type head struct {
				Status, Proto       string
				Code, Major, Minor  int
				Header              http.Header
				Uncompressed, Close bool
			}
			of := func(r *http.Response) head {
				return head{strings.TrimSpace(r.Status), r.Proto, r.StatusCode, r.ProtoMajor, r.ProtoMinor, r.Header, r.Uncompressed, r.Close}
			}
			if diff := cmp.Diff(of(first), of(again)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAStoredResponseAnswersRequestsForLessOfIt(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "0123456789")
	}, nil)
	h.get("/a")
	for _, test := range []struct {
		name, method string
		headers      []string
		status       int
		body         string
		length       int64
	}{
		{"all", "GET", nil, 200, "0123456789", 10},
		{"the head", "HEAD", nil, 200, "", 10},
		{"a part", "GET", []string{"Range", "bytes=2-4"}, 206, "234", 3},
		{"the last part", "GET", []string{"Range", "bytes=-3"}, 206, "789", 3},
		{"a part if it is still that", "GET", []string{"Range", "bytes=2-4", "If-Range", `"1"`}, 206, "234", 3},
		{"a part of another", "GET", []string{"Range", "bytes=2-4", "If-Range", `"2"`}, 200, "0123456789", 10},
		{"what has changed", "GET", []string{"If-None-Match", `"1"`}, 304, "", 0},
		{"what differs from another", "GET", []string{"If-None-Match", `"2"`}, 200, "0123456789", 10},
		{"the head if it has changed", "HEAD", []string{"If-None-Match", `"1"`}, 304, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, body := h.do(h.request(test.method, "/a", "", test.headers...))
			if !hit(resp) || resp.StatusCode != test.status || body != test.body || resp.ContentLength != test.length {
				t.Errorf("%d %q of length %d, hit: %t", resp.StatusCode, body, resp.ContentLength, hit(resp))
			}
		})
	}
	h.wantRequests(1)
}

func TestHeadHasAnEntryOfItsOwnUntilTheGetIsStored(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4")
		w.Header().Set("X-Method", r.Method)
		if r.Method == "GET" {
			io.WriteString(w, "body")
		}
	}, nil)
	for i, step := range []struct {
		method, answered string
		hit              bool
	}{{"HEAD", "HEAD", false}, {"HEAD", "HEAD", true}, {"GET", "GET", false}, {"HEAD", "GET", true}, {"GET", "GET", true}} {
		resp, _ := h.do(h.request(step.method, "/a", ""))
		if resp.Header.Get("X-Method") != step.answered || hit(resp) != step.hit || resp.ContentLength != 4 {
			t.Errorf("request %d: by a %s, hit: %t, length %d", i, resp.Header.Get("X-Method"), hit(resp), resp.ContentLength)
		}
	}
}

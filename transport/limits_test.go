package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

// A decoder stops at the end of the value, before it sees that of the body.
func TestWhatADecoderHasReadIsStoredWhenTheBodyIsClosed(t *testing.T) {
	for _, size := range []int{10, 511, 512, 513, 4 << 10, 200 << 10} {
		for _, announced := range []bool{true, false} {
			for _, end := range []string{"", "\n"} {
				t.Run(fmt.Sprint(size, " bytes, announced: ", announced, ", then ", len(end)), func(t *testing.T) {
					body := `["` + strings.Repeat("x", size-4) + `"]` + end
					h := start(t, func(w http.ResponseWriter, r *http.Request) {
						if announced {
							w.Header().Set("Content-Length", strconv.Itoa(len(body)))
						}
						io.WriteString(w, body)
						if !announced {
							w.(http.Flusher).Flush()
						}
						if strings.HasSuffix(r.URL.Path, "0") { // the end comes later
							time.Sleep(10 * time.Millisecond)
						}
					}, nil)
					for i := range 25 {
						path := fmt.Sprint("/", i)
						resp, err := h.client.Get(h.url(path))
						check(t, err)
						var value []string
						check(t, json.NewDecoder(resp.Body).Decode(&value))
						check(t, resp.Body.Close())
						if e, ok := h.entry(h.request("GET", path, "")); !ok || string(e.Payload) != body {
							t.Fatalf("request %d: stored is %t, %d bytes of %d", i, ok, len(e.Payload), len(body))
						}
					}
				})
			}
		}
	}
}

// numbered is a body of that many bytes whose reads may be held up from one on.
type numbered struct {
	endless
	holdAt  int64
	release chan struct{}
}

func (b *numbered) Read(p []byte) (int, error) {
	if b.release != nil && b.read.Load() >= b.holdAt {
		<-b.release
	}
	if b.release != nil && b.read.Load() < b.holdAt {
		p = p[:min(int64(len(p)), b.holdAt-b.read.Load())]
	}
	return b.endless.Read(p)
}

func chunked(req *http.Request, body io.ReadCloser) *http.Response {
	resp := textResponse(req, "")
	resp.ContentLength, resp.Body = -1, body
	return resp
}

func TestAReaderThatStopsDoesNotHoldUpOthersOfAStreamForLong(t *testing.T) {
	const size = 1 << 20
	body := &numbered{endless: endless{size: size}, holdAt: 1, release: make(chan struct{})}
	h := start(t, nil, &options{
		MaxBody: 10 << 10, FinishTimeout: 20 * time.Millisecond,
		Base: roundTripper(func(req *http.Request) (*http.Response, error) { return chunked(req, body), nil }),
	})
	stops := h.open("GET", "/a")
	defer stops.Body.Close()
	goesOn := h.open("GET", "/a")
	defer goesOn.Body.Close()
	close(body.release)
	waitfor.True(t, "the stream waits for its readers", func() bool { return body.read.Load() >= 64<<10 })
	time.Sleep(50 * time.Millisecond) // neither has read when the time limit passes
	var n int64
	var err error
	waitfor.End(t, "the other reads to the end", func() { n, err = io.Copy(io.Discard, goesOn.Body) })
	if n != size || err != nil {
		t.Errorf("it has read %d bytes of %d, %v", n, size, err)
	}
	if _, err := io.Copy(io.Discard, stops.Body); err == nil {
		t.Error("the reader that stopped reads on without an error")
	}
	if s := h.transport.Stats(); s.Stored != 0 {
		t.Errorf("%d are stored", s.Stored)
	}
}

func TestABodyThatDoesNotEndInTimeIsItsCallersAlone(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "second")
	}, &options{StreamAfter: 20 * time.Millisecond})
	first := h.open("GET", "/a")
	defer first.Body.Close()
	if got := read(t, first.Body, 6); got != "first " {
		t.Errorf("%q", got)
	}
	// A request before the limit reads along; afterwards each asks for itself.
	waitfor.True(t, "others ask for themselves", func() bool {
		asked := h.requests.Load()
		resp := h.open("GET", "/a")
		read(t, resp.Body, 6)
		resp.Body.Close()
		return h.requests.Load() > asked
	})
	close(release)
	if rest, err := io.ReadAll(first.Body); string(rest) != "second" || err != nil {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	h.closes()
	if _, ok := h.entry(h.request("GET", "/a", "")); ok {
		t.Error("it is stored")
	}
}

// A body whose length is known is one that ends.
func TestABodyThatTellsItsLengthMayTakeLonger(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "12")
		io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		time.Sleep(30 * time.Millisecond)
		io.WriteString(w, "second")
	}, &options{StreamAfter: time.Millisecond})
	h.get("/a")
	if resp, body := h.get("/a"); !hit(resp) || body != "first second" {
		t.Errorf("%q, hit: %t", body, hit(resp))
	}
}

func TestBodiesInFlightShareABudget(t *testing.T) {
	const size = 512 << 10
	release := make(chan struct{})
	bodies := map[string]*numbered{
		"/held":  {endless: endless{size: size}, holdAt: size / 2, release: release},
		"/waits": {endless: endless{size: size}},
	}
	h := start(t, nil, &options{MaxBody: 1 << 20, MaxInFlight: 1 << 20, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		return chunked(req, bodies[req.URL.Path]), nil
	})})
	ended := make(chan error, 2)
	fetch := func(path string) {
		resp := h.open("GET", path)
		go func() {
			n, err := copyAll(io.Discard, resp)
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes", n)
			}
			ended <- err
		}()
	}
	fetch("/held")
	waitfor.True(t, "half of the first has come", func() bool { return bodies["/held"].read.Load() == size/2 })
	fetch("/waits")
	time.Sleep(30 * time.Millisecond) // for the second to read what it may not
	if n := bodies["/waits"].read.Load(); n > 64<<10 {
		t.Errorf("%d bytes of the second are held, too", n)
	}
	close(release)
	for range 2 {
		check(t, waitfor.Receive(t, "a body ends", ended))
	}
	for path := range bodies {
		if _, ok := h.entry(h.request("GET", path, "")); !ok {
			t.Errorf("%s is not stored", path)
		}
	}
}

// A stream is counted until it has been read, which may take any time: others go on.
func TestAStreamThatIsNotReadHoldsUpNoOtherBodies(t *testing.T) {
	const maxBody = 256 << 10
	bodies := map[string]*endless{"/stream": {size: 2 * maxBody}, "/a": {size: maxBody}, "/b": {size: maxBody}}
	h := start(t, nil, &options{MaxBody: maxBody, MaxInFlight: 1, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		return chunked(req, bodies[req.URL.Path]), nil
	})})
	stream := h.open("GET", "/stream")
	waitfor.True(t, "it is a stream", func() bool { return bodies["/stream"].read.Load() > maxBody })
	for _, path := range []string{"/a", "/b"} {
		waitfor.End(t, path+" is read", func() {
			if n, err := copyAll(io.Discard, h.open("GET", path)); n != maxBody || err != nil {
				t.Errorf("%s: %d bytes, %v", path, n, err)
			}
		})
		if _, ok := h.entry(h.request("GET", path, "")); !ok {
			t.Errorf("%s is not stored", path)
		}
	}
	if n, err := copyAll(io.Discard, stream); n != 2*maxBody || err != nil {
		t.Errorf("the stream has %d bytes, %v", n, err)
	}
}

// A request that waits for room gives up with its context, and leaves none occupied.
func TestARequestThatWaitsForRoomMayGiveUp(t *testing.T) {
	const size = 512 << 10
	release := make(chan struct{})
	bodies := map[string]*numbered{
		"/held":  {endless: endless{size: size}, holdAt: size / 2, release: release},
		"/waits": {endless: endless{size: size}},
		"/later": {endless: endless{size: size}},
	}
	h := start(t, nil, &options{MaxBody: 1 << 20, MaxInFlight: 1 << 20, FinishTimeout: 10 * time.Millisecond, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		return chunked(req, bodies[req.URL.Path]), nil
	})})
	held := h.open("GET", "/held")
	waitfor.True(t, "half of the first has come", func() bool { return bodies["/held"].read.Load() == size/2 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp, err := h.transport.RoundTrip(h.request("GET", "/waits", "").WithContext(ctx))
	check(t, err)
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := copyAll(io.Discard, resp); err == nil {
		t.Error("the request that waits reads to the end")
	}
	waitfor.True(t, "its body is closed", func() bool { return bodies["/waits"].closed.Load() > 0 })
	close(release)
	_, err = copyAll(io.Discard, held)
	check(t, err)
	if n, err := copyAll(io.Discard, h.open("GET", "/later")); n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestASlowOriginIsAnsweredFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var n atomic.Int64
		h := startStill(t, func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) > 1 {
				<-release
			}
			fmt.Fprint(w, "body ", n.Load())
		}, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), SoftTimeout: 10 * time.Millisecond}})
		h.get("/a")
		h.clock.Advance(time.Hour)
		// The origin does not answer before the stale response has been seen.
		resp, body := h.get("/a")
		if status := resp.Header.Get("Cache-Status"); !hit(resp) || body != "body 1" || !strings.Contains(status, "soft-timeout") {
			t.Errorf("%q, hit: %t, Cache-Status: %s", body, hit(resp), status)
		}
		// A caller that comes meanwhile shares the request.
		if _, body := h.get("/a"); body != "body 1" {
			t.Errorf("%q", body)
		}
		h.wantRequests(2)
		close(release)
		waitfor.True(t, "the late answer is saved", func() bool { return h.transport.Stats().Stored == 2 })
		if resp, body := h.get("/a"); !hit(resp) || body != "body 2" {
			t.Errorf("then %q, hit: %t", body, hit(resp))
		}
		if s := h.transport.Stats(); s.Stale != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestASoftTimeoutIsForThoseWhoTakeWhatIsStale(t *testing.T) {
	for name, test := range map[string]struct {
		policy policy.Policy
		call   policy.Policy
	}{
		"a caller that reloads":             {policy.Policy{}, policy.Policy{Use: policy.Reload}},
		"a caller that revalidates":         {policy.Policy{}, policy.Policy{Use: policy.Revalidate}},
		"where nothing stale may be used":   {policy.Policy{StaleIfError: -1}, policy.Policy{}},
		"where it is too old":               {policy.Policy{StaleIfError: time.Minute}, policy.Policy{}},
		"where a filter refuses it":         {policy.Policy{Serve: func(*policy.Exchange) bool { return false }}, policy.Policy{}},
		"where the call's limit is another": {policy.Policy{}, policy.Policy{SoftTimeout: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			test.policy.Expire, test.policy.SoftTimeout = policy.After(time.Minute), time.Millisecond
			var n atomic.Int64
			h := start(t, func(w http.ResponseWriter, _ *http.Request) {
				if n.Add(1) > 1 {
					time.Sleep(30 * time.Millisecond)
				}
				fmt.Fprint(w, "body ", n.Load())
			}, &options{Policy: test.policy})
			h.get("/a")
			h.clock.Advance(time.Hour)
			if _, body := h.do(with(h.request("GET", "/a", ""), test.call)); body != "body 2" {
				t.Errorf("%q", body)
			}
		})
	}
}

func TestAnOriginThatTakesTooLongIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{}, 10)
		var hangs atomic.Bool
		h := startStill(t, func(w http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				hang(r, gone)
			}
			io.WriteString(w, "body")
		}, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), HardTimeout: 20 * time.Millisecond, StaleIfError: 24 * time.Hour}})
		h.get("/a")
		hangs.Store(true)
		h.clock.Advance(time.Hour)
		if resp, body := h.get("/a"); !hit(resp) || body != "body" {
			t.Errorf("%q, hit: %t", body, hit(resp))
		}
		waitfor.Receive(t, "the origin is left alone", gone)
		_, err := h.transport.RoundTrip(h.request("GET", "/b", ""))
		var timeout interface{ Timeout() bool }
		if err == nil || errors.As(err, &timeout) && !timeout.Timeout() || !strings.Contains(err.Error(), "limit") {
			t.Errorf("where nothing is stored the error is %v", err)
		}
		waitfor.Receive(t, "the origin is left alone", gone)
	})
}

// It is no limit of the body, which may be large.
func TestTheHardTimeoutEndsWithTheHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startStill(t, func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			time.Sleep(700 * time.Millisecond)
			io.WriteString(w, "second")
		}, &options{Policy: policy.Policy{HardTimeout: 500 * time.Millisecond}})
		resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
		check(t, err)
		if body := bodyOf(t, resp); body != "first second" {
			t.Errorf("%q", body)
		}
	})
}

func TestStaleStatusesAreThoseOfThePolicy(t *testing.T) {
	for _, test := range []struct {
		statuses []int
		status   int
		want     int
	}{
		{nil, 503, 200}, {nil, 429, 429},
		{[]int{429}, 429, 200}, {[]int{429}, 503, 503},
		{[]int{}, 500, 500},
	} {
		h, o := startOrigin(t, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), StaleIfError: 24 * time.Hour, StaleStatuses: test.statuses}})
		h.get("/a")
		h.clock.Advance(time.Hour)
		o.answer(test.status)
		if resp, _ := h.get("/a"); resp.StatusCode != test.want {
			t.Errorf("with %v, a %d becomes %d, want %d", test.statuses, test.status, resp.StatusCode, test.want)
		}
	}
}

func TestReadsNearTheExpiryRenewAhead(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"in the last share of the life": {RefreshAhead: 0.1},
		"by chance, which is certain":   {RefreshBeta: 1e12},
	} {
		t.Run(name, func(t *testing.T) {
			p.Expire = policy.After(100 * time.Second)
			h, o := startOrigin(t, &options{Policy: p})
			if p.RefreshBeta > 0 { // it counts how long the origin took
				o.hook = func(http.ResponseWriter, *http.Request) bool { h.clock.Advance(time.Second); return false }
			}
			h.get("/a")
			if p.RefreshAhead > 0 {
				h.clock.Advance(89 * time.Second)
				if resp, body := h.get("/a"); !hit(resp) || body != "body 1" {
					t.Errorf("before: %q, hit: %t", body, hit(resp))
				}
				h.wantRequests(1)
				h.clock.Advance(time.Second)
			}
			if resp, body := h.get("/a"); !hit(resp) || body != "body 1" {
				t.Errorf("%q, hit: %t", body, hit(resp))
			}
			waitfor.True(t, "it is renewed", func() bool { return h.transport.Stats().Stored == 2 })
			h.wantRequests(2)
			if e, _ := h.entry(h.request("GET", "/a", "")); string(e.Payload) != "body 2" {
				t.Errorf("%q is stored", e.Payload)
			}
		})
	}
}

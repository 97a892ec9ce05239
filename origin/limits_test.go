package origin_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

func ok(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") }

func TestRequestsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, ok)
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{Rate: 10}})
		all(t, 5, rt, "http://api.test/")
		for i, at := range a.sent() {
			if want := time.Duration(i) * 100 * time.Millisecond; at.Round(time.Millisecond) != want {
				t.Errorf("request %d after %v, want %v", i, at, want)
			}
		}
		wantIdle(t, rt)
	})
}

func TestBurstGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, ok)
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{Rate: 1, Burst: 3}})
		all(t, 5, rt, "http://api.test/")
		var seconds []int
		for _, at := range a.sent() {
			seconds = append(seconds, int(at.Round(time.Millisecond)/time.Second))
		}
		if want := []int{0, 0, 0, 1, 2}; !slices.Equal(seconds, want) {
			t.Errorf("sent after %v seconds, want %v", seconds, want)
		}
	})
}

func TestHostsHaveLimitsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		times := map[string][]time.Duration{}
		start := time.Now()
		a := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			times[r.Host] = append(times[r.Host], time.Since(start).Round(time.Millisecond))
		})
		rt := origin.New(a.base, &origin.Options{
			Limits: origin.Limits{Rate: 1},
			Hosts:  map[string]origin.Limits{"Slow.test": {Rate: 0.1}, "free.test:8080": {}},
		})
		var wg sync.WaitGroup
		for _, u := range []string{
			"http://other.test/", "http://OTHER.test:80/", // one host
			"http://slow.test/", "http://slow.test:80/",
			"http://free.test:8080/", "http://free.test:8080/",
			"http://free.test/", "http://free.test/", // not the one that is free
		} {
			wg.Go(func() { mustGet(t, rt, u, http.StatusOK) })
		}
		wg.Wait()
		last := map[string]time.Duration{}
		for host, at := range times {
			name := strings.TrimSuffix(strings.ToLower(host), ":80")
			last[name] = max(last[name], slices.Max(at))
		}
		want := map[string]time.Duration{"other.test": time.Second, "slow.test": 10 * time.Second, "free.test:8080": 0, "free.test": time.Second}
		if fmt.Sprint(last) != fmt.Sprint(want) {
			t.Errorf("the last request of each host was sent after %v, want %v", last, want)
		}
	})
}

func TestInFlightLastsUntilTheBodyHasEnded(t *testing.T) {
	ends := map[string]func(*http.Response){
		"read to the end": func(resp *http.Response) { io.Copy(io.Discard, resp.Body) },
		"closed twice":    func(resp *http.Response) { resp.Body.Close(); resp.Body.Close() },
		"read and closed": func(resp *http.Response) { io.Copy(io.Discard, resp.Body); resp.Body.Close() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := serve(t, ok)
				rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{InFlight: 2}})
				for range 3 { // a place that is given back twice would let too many through
					var open []*http.Response
					for range 2 {
						open = append(open, roundTrip(t, rt, http.MethodGet))
					}
					waiting, cancel := context.WithTimeout(t.Context(), time.Minute)
					if _, _, err := get(waiting, rt, "http://api.test/"); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("a third request: %v, want it to wait", err)
					}
					cancel()
					for _, resp := range open {
						end(resp)
					}
				}
				wantIdle(t, rt)
			})
		})
	}
}

func roundTrip(t *testing.T, rt http.RoundTripper, method string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://api.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestAnswersWithoutBodyAreNotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				w.WriteHeader(http.StatusNoContent)
			}
		})
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{InFlight: 1}})
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			roundTrip(t, rt, method) // and the body is left alone
		}
		wantIdle(t, rt)
	})
}

func TestForgottenAnswerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, ok)
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{InFlight: 1}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.test/", nil)
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		mustGet(t, rt, "http://api.test/", http.StatusOK)
		wantIdle(t, rt)
	})
}

func TestFailedRequestsAreNotInFlight(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(ok))
	server.Close()
	rt := origin.New(nil, &origin.Options{Limits: origin.Limits{InFlight: 1}})
	for range 3 {
		if _, _, err := get(t.Context(), rt, server.URL); err == nil {
			t.Fatal("a server that is closed has answered")
		}
	}
	wantIdle(t, rt)
}

func TestUpgradedConnectionIsLeftAlone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		io.WriteString(rw, line)
		rw.Flush()
	}))
	defer server.Close()
	rt := origin.New(nil, &origin.Options{Limits: origin.Limits{InFlight: 1}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wantIdle(t, rt)
	conn, both := resp.Body.(io.ReadWriteCloser)
	if !both {
		t.Fatalf("the body is a %T, which cannot be written to", resp.Body)
	}
	io.WriteString(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
		t.Errorf("the echo is %q, %v", line, err)
	}
}

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var order []string
		a := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, r.URL.Path)
		})
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{Rate: 100, InFlight: 3}})
		var wg sync.WaitGroup
		var want []string
		for i := range 50 {
			path := fmt.Sprintf("/%02d", i)
			if i%5 == 4 { // some give up, from the middle of the queue
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				wg.Go(func() {
					if _, _, err := get(ctx, rt, "http://api.test"+path); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: %v", path, err)
					}
				})
			} else {
				want = append(want, path)
				wg.Go(func() { mustGet(t, rt, "http://api.test"+path, http.StatusOK) })
			}
			synctest.Wait() // so that it is in the queue
		}
		wg.Wait()
		if !slices.Equal(order, want) {
			t.Errorf("order %v", order)
		}
		wantIdle(t, rt)
	})
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, ok)
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{Rate: 0.001}})
		mustGet(t, rt, "http://api.test/", http.StatusOK)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, _, err := get(ctx, rt, "http://api.test/"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("the wait ended %v after it began", d)
		}

		client := &http.Client{Transport: rt, Timeout: time.Second}
		_, err := client.Get("http://api.test/")
		var failed *url.Error
		if !errors.As(err, &failed) || !failed.Timeout() {
			t.Errorf("error %v of a client with a timeout, want one that says so", err)
		}

		body := &closing{Reader: strings.NewReader("text")}
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://api.test/", body)
		if _, err := rt.RoundTrip(req); !errors.Is(err, context.Canceled) || !body.closed {
			t.Errorf("error %v, body closed: %v", err, body.closed)
		}
		if n := len(a.sent()); n != 1 {
			t.Errorf("%d requests were sent", n)
		}
		wantIdle(t, rt)
	})
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func TestEachRedirectCountsForItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "a.test" {
				http.Redirect(w, r, "http://b.test/", http.StatusFound)
			}
		})
		rt := origin.New(a.base, &origin.Options{
			Limits: origin.Limits{InFlight: 1},
			Hosts:  map[string]origin.Limits{"b.test": {Rate: 1, InFlight: 1}},
		})
		client := &http.Client{Transport: rt}
		for range 3 {
			resp, err := client.Get("http://a.test/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if sent := a.sent(); len(sent) != 6 || sent[5].Round(time.Millisecond) != 2*time.Second {
			t.Errorf("sent at %v, want the last of 6 after 2s", sent)
		}
		wantIdle(t, rt)
	})
}

func TestManyAtOnceStayWithinLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Millisecond)
			io.Copy(w, bytes.NewReader(make([]byte, 100_000)))
		})
		rt := origin.New(a.base, &origin.Options{Limits: origin.Limits{InFlight: 7}})
		all(t, 100, rt, "http://api.test/")
		if a.most != 7 {
			t.Errorf("%d requests at once, want 7", a.most)
		}
		wantIdle(t, rt)
	})
}

func TestInvalidOptionsAreErrors(t *testing.T) {
	if err := (*origin.Options)(nil).Validate(); err != nil {
		t.Errorf("no options: %v", err)
	}
	token := origin.Static("t")
	for name, opts := range map[string]*origin.Options{
		"a negative rate":     {Limits: origin.Limits{Rate: -1}},
		"no number":           {Limits: origin.Limits{Rate: math.NaN()}},
		"an infinite rate":    {Limits: origin.Limits{Rate: math.Inf(1)}},
		"a negative burst":    {Hosts: map[string]origin.Limits{"a.test": {Burst: -1}}},
		"negative in flight":  {Limits: origin.Limits{InFlight: -1}},
		"a negative pause":    {Pause: -1},
		"a negative maximum":  {MaxPause: -1},
		"an empty host":       {Hosts: map[string]origin.Limits{"": {}}},
		"a URL":               {Hosts: map[string]origin.Limits{"https://a.test": {}}},
		"a host with a path":  {Hosts: map[string]origin.Limits{"a.test/v1": {}}},
		"a pattern":           {Hosts: map[string]origin.Limits{"*.a.test": {}}},
		"a host twice":        {Hosts: map[string]origin.Limits{"a.test": {}, "A.test:443": {}}},
		"no token":            {Credentials: &origin.Credentials{Hosts: []string{"a.test"}}},
		"credentials for all": {Credentials: &origin.Credentials{Token: token}},
		"credentials for URL": {Credentials: &origin.Credentials{Token: token, Hosts: []string{"http://me:secret@a.test"}}},
	} {
		body := &closing{Reader: strings.NewReader("")}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:1/", body)
		_, err := origin.New(nil, opts).RoundTrip(req)
		if invalid := opts.Validate(); invalid == nil || err == nil || invalid.Error() != err.Error() {
			t.Errorf("%s: Validate says %v, a request %v", name, invalid, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells a password: %v", name, err)
		}
		if !body.closed {
			t.Errorf("%s: the request's body was not closed", name)
		}
	}
}

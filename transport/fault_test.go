package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

var errFault = errors.New("the disk is on fire")

// faulty is a store that does before each operation what it is told to.
type faulty struct {
	driver.Store
	before atomic.Pointer[func(ctx context.Context, op string) error]
	deaf   atomic.Bool  // to the contexts of its saves
	saves  atomic.Int64 // that have ended
}

func (s *faulty) set(before func(ctx context.Context, op string) error) { s.before.Store(&before) }

func (s *faulty) heal() { s.before.Store(nil) }

func (s *faulty) fault(ctx context.Context, op string) error {
	if before := s.before.Load(); before != nil {
		return (*before)(ctx, op)
	}
	return nil
}

func (s *faulty) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return &faultyTable{table, s}, err
}

type faultyTable struct {
	driver.Table
	store *faulty
}

func (t *faultyTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if err := t.store.fault(ctx, "get"); err != nil {
		return err
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t *faultyTable) Put(ctx context.Context, entries []driver.Entry) error {
	defer t.store.saves.Add(1)
	if err := t.store.fault(ctx, "put"); err != nil {
		return err
	}
	if t.store.deaf.Load() {
		ctx = context.WithoutCancel(ctx)
	}
	return t.Table.Put(ctx, entries)
}

func (t *faultyTable) PutIf(ctx context.Context, entries []driver.Entry, cond driver.Condition) ([]bool, error) {
	defer t.store.saves.Add(1)
	if err := t.store.fault(ctx, "put"); err != nil {
		return make([]bool, len(entries)), err
	}
	if t.store.deaf.Load() {
		ctx = context.WithoutCancel(ctx)
	}
	return t.Table.PutIf(ctx, entries, cond)
}

func (t *faultyTable) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	defer t.store.saves.Add(1)
	if err := t.store.fault(ctx, "put"); err != nil {
		return make([]bool, len(renewals)), err
	}
	if t.store.deaf.Load() {
		ctx = context.WithoutCancel(ctx)
	}
	return t.Table.Renew(ctx, renewals)
}

func (t *faultyTable) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	if err := t.store.fault(ctx, "delete"); err != nil {
		return 0, err
	}
	return t.Table.Delete(ctx, keys)
}

// roundTripper is a base made of a function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// cut ends a response in the middle.
func cut(w http.ResponseWriter) {
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// hang waits until the client has gone, which a test may wait for.
func hang(r *http.Request, gone chan<- struct{}) {
	<-r.Context().Done()
	gone <- struct{}{}
}

// hanging is an origin that begins to answer, or not even that, and hangs once it is to.
func hanging(where string, hangs *atomic.Bool, gone chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "body")
		if !hangs.Load() {
			return
		}
		if where == "in the body" {
			w.(http.Flusher).Flush()
		}
		hang(r, gone)
	}
}

func TestABodyThatTheOriginCutsShortIsAnErrorAndNotSaved(t *testing.T) {
	const whole = "all of the body"
	for name, write := range map[string]func(w http.ResponseWriter){
		"with a Content-Length": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			io.WriteString(w, whole[:6])
			cut(w)
		},
		"in chunks": func(w http.ResponseWriter) {
			io.WriteString(w, whole[:6])
			cut(w)
		},
		"before its first byte": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			cut(w)
		},
		"on a connection that is not kept": func(w http.ResponseWriter) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
			io.WriteString(w, whole[:6])
			cut(w)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var healed atomic.Bool
			h := start(t, func(w http.ResponseWriter, r *http.Request) {
				if healed.Load() {
					io.WriteString(w, whole)
					return
				}
				write(w)
			}, nil)
			for range 2 {
				resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
				check(t, err)
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil || !strings.HasPrefix(whole, string(body)) {
					t.Errorf("read %q, %v, want a part and an error", body, err)
				}
			}
			h.wantRequests(2)
			healed.Store(true)
			for i, wantHit := range []bool{false, true} {
				if resp, body := h.get("/a"); body != whole || hit(resp) != wantHit {
					t.Errorf("request %d afterwards: %q, hit: %t", i, body, hit(resp))
				}
			}
			if n := h.transport.Stats().Stored; n != 1 {
				t.Errorf("%d responses were stored, want 1", n)
			}
		})
	}
}

func TestABodyOfAnotherLengthThanTheBaseAnnouncesIsNotSavedWhereItIsShort(t *testing.T) {
	h := start(t, nil, &options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: 100, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader("short")), Request: req}, nil
	})})
	resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
	check(t, err)
	if body, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != "short" {
		t.Errorf("read %q, %v", body, err)
	}
	if n := h.transport.Stats().Stored; n != 0 {
		t.Errorf("%d stored", n)
	}
}

func TestACallerWhoDoesNotWaitForAnOriginThatHangs(t *testing.T) {
	for _, where := range []string{"before the headers", "in the body"} {
		for name, caller := range map[string]struct {
			// ends says how the caller stops waiting, once the origin hangs.
			ends func(client *http.Client, ctx context.Context) (context.Context, func())
			want func(error) bool
		}{
			"as its context is cancelled": {
				func(_ *http.Client, ctx context.Context) (context.Context, func()) {
					return context.WithCancel(ctx)
				},
				func(err error) bool { return errors.Is(err, context.Canceled) },
			},
			"as its context has a deadline": {
				func(_ *http.Client, ctx context.Context) (context.Context, func()) {
					ctx, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
					time.AfterFunc(waitfor.Limit, cancel) // not before the deadline
					return ctx, func() {}
				},
				func(err error) bool { return errors.Is(err, context.DeadlineExceeded) },
			},
			"as its client has a timeout": {
				func(client *http.Client, ctx context.Context) (context.Context, func()) {
					client.Timeout = 30 * time.Millisecond
					return ctx, func() {}
				},
				func(err error) bool {
					var timeout interface{ Timeout() bool }
					return errors.As(err, &timeout) && timeout.Timeout()
				},
			},
		} {
			t.Run(where+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					reached, gone := make(chan struct{}, 1), make(chan struct{}, 1)
					h := startStill(t, func(w http.ResponseWriter, r *http.Request) {
						if where == "in the body" {
							io.WriteString(w, "a part")
							w.(http.Flusher).Flush()
						}
						reached <- struct{}{}
						hang(r, gone)
					}, &options{FinishTimeout: 20 * time.Millisecond})
					ctx, end := caller.ends(h.client, t.Context())
					defer end()
					go func() {
						<-reached
						end()
					}()
					resp, err := h.client.Do(h.request("GET", "/a", "").WithContext(ctx))
					if err == nil {
						_, err = io.ReadAll(resp.Body)
						resp.Body.Close()
					}
					if !caller.want(err) {
						t.Errorf("the error is %v", err)
					}
					waitfor.Receive(t, "the origin is left alone", gone)
					check(t, h.transport.Close())
					if s := h.transport.Stats(); s.Stored != 0 {
						t.Errorf("something was stored: %+v", s)
					}
				})
			})
		}
	}
}

func TestARequestIsNotUsedAnyMoreAfterItsRoundTripHasFailed(t *testing.T) {
	var bases atomic.Int64
	h := start(t, nil, &options{
		Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			bases.Add(1)
			<-req.Context().Done()
			for range req.Header { // as a transport does that writes it late
			}
			return nil, req.Context().Err()
		}),
		Policy: policy.Policy{Expire: policy.After(time.Hour), CacheControl: policy.On},
	})
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req := h.request("GET", "/a", "", "Accept", "text/plain").WithContext(ctx)
		if _, err := h.transport.RoundTrip(req); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		// It is the caller's again: the race detector tells whether anything else uses it.
		req.Header.Set("Accept", "text/html")
		req.URL.Path = "/b"
		req.Header = nil
	}
	h.transport.Close()
}

func TestARequestIsNotUsedAnyMoreAfterItsResponseWasClosed(t *testing.T) {
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, " second")
	}, &options{Policy: policy.Policy{
		CacheControl: policy.On,
		Keep:         func(x *policy.Exchange) bool { return x.Request.Header.Get("Accept") == "text/plain" },
	}})
	req := h.request("GET", "/a", "", "Accept", "text/plain")
	resp, err := h.transport.RoundTrip(req)
	check(t, err)
	check(t, resp.Body.Close())
	// What is read in the background belongs to the request as it was.
	req.Header.Set("Accept", "text/html")
	req.URL.Path = "/b"
	close(release)
	check(t, h.transport.Close())
	if resp, body := h.get("/a", "Accept", "text/plain"); !hit(resp) || body != "first second" {
		t.Errorf("%q, hit: %t", body, hit(resp))
	}
	h.wantRequests(1)
}

func TestAStoreThatDoesNotWorkFailsNoRequest(t *testing.T) {
	for fault, before := range map[string]func(ctx context.Context, released <-chan struct{}) error{
		"hangs until its context ends": func(ctx context.Context, _ <-chan struct{}) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"hangs whatever its context says": func(_ context.Context, released <-chan struct{}) error {
			<-released
			return nil
		},
		"fails":  func(context.Context, <-chan struct{}) error { return errFault },
		"panics": func(context.Context, <-chan struct{}) error { panic(errFault) },
	} {
		for _, op := range []string{"get", "put", "delete"} {
			t.Run("it "+fault+" in a "+op, func(t *testing.T) {
				store := &faulty{Store: memoryStore(t)}
				h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("ETag", `"1"`)
					io.WriteString(w, r.Method+r.URL.Path)
				}, &options{StoreTimeout: 300 * time.Millisecond})
				released := make(chan struct{})
				store.set(func(ctx context.Context, at string) error {
					if at != op {
						return nil
					}
					return before(ctx, released)
				})
				ask := func(method, path string, want string) *http.Response {
					t.Helper()
					resp, body := h.do(h.request(method, path, ""))
					if body != want || resp.StatusCode != http.StatusOK {
						t.Errorf("%s is answered with %d %q", method, resp.StatusCode, body)
					}
					return resp
				}
				for i := range 3 {
					resp := ask("GET", "/a", "GET/a")
					if works := op == "delete" && i > 0; hit(resp) != works {
						t.Errorf("GET %d, hit: %t", i, hit(resp))
					}
				}
				ask("HEAD", "/a", "")
				ask("GET", "/b", "GET/b")
				ask("PUT", "/a", "PUT/a")
				if n := h.transport.Stats().StoreErrors; n == 0 {
					t.Error("no error of the store was counted")
				}
				close(released)
				store.heal()
				waitfor.True(t, "with the store at work again, responses are saved", func() bool {
					return hit(ask("GET", "/c", "GET/c"))
				})
			})
		}
	}
}

func TestAStoreThatIsSlowIsWaitedForUpToTheLimit(t *testing.T) {
	store := &faulty{Store: memoryStore(t)}
	store.set(func(context.Context, string) error {
		time.Sleep(10 * time.Millisecond)
		return nil
	})
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
	for i, wantHit := range []bool{false, true, true} {
		if resp, body := h.get("/a"); body != "body" || hit(resp) != wantHit {
			t.Errorf("request %d: %q, hit: %t", i, body, hit(resp))
		}
	}
}

func TestACallerDoesNotWaitForTheStoreLongerThanItsContext(t *testing.T) {
	store := &faulty{Store: memoryStore(t)}
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") },
		&options{StoreTimeout: time.Hour})
	released := make(chan struct{})
	defer close(released)
	store.set(func(context.Context, string) error {
		<-released
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	body := &trackedBody{Reader: strings.NewReader("x")}
	req := h.request("GET", "/a", "").WithContext(ctx)
	req.Body = body
	if _, err := h.transport.RoundTrip(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if body.closed.Load() == 0 {
		t.Error("the request's body was not closed")
	}
	h.wantRequests(0)
}

func TestAStoreThatWasClosedFailsNoRequest(t *testing.T) {
	h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
	h.get("/a")
	check(t, h.cache.Close())
	for range 2 {
		if resp, body := h.get("/a"); hit(resp) || body != "body" {
			t.Errorf("%q, hit: %t", body, hit(resp))
		}
	}
}

func TestAPanicInAFunctionOfThePolicyFailsNoRequest(t *testing.T) {
	boom := func() { panic("boom") }
	for name, test := range map[string]struct {
		policy  policy.Policy
		wantHit bool
		panics  int64
	}{
		"Keep":       {policy.Policy{Keep: func(*policy.Exchange) bool { boom(); return true }}, false, 2},
		"Serve":      {policy.Policy{Serve: func(*policy.Exchange) bool { boom(); return true }}, false, 1},
		"ExpireFunc": {policy.Policy{ExpireFunc: func(*policy.Exchange) policy.Expiry { boom(); return policy.Never() }}, false, 2},
	} {
		for scope, opts := range map[string]options{
			"of the cache":      {Policy: test.policy},
			"of the repository": {Repositories: map[string]policy.Policy{"all": test.policy}},
			"of the call":       {},
		} {
			t.Run(name+" "+scope, func(t *testing.T) {
				h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, &opts)
				for range 2 {
					req := h.request("GET", "/a", "")
					if scope == "of the call" {
						req = req.WithContext(policy.With(t.Context(), test.policy))
					}
					if resp, body := h.do(req); body != "body" || hit(resp) {
						t.Errorf("%q, hit: %t", body, hit(resp))
					}
				}
				h.wantRequests(2)
				if n := h.transport.Stats().Panics; n != test.panics {
					t.Errorf("%d panics were counted, want %d", n, test.panics)
				}
			})
		}
	}
}

// panickingPayload is a payload that cannot be decoded without harm.
type panickingPayload struct{ payload.Handler[string] }

func (panickingPayload) Decode([]byte) (string, error) { panic("boom") }

func TestAPanicInTheRepositorysFunctionsFailsNoRequest(t *testing.T) {
	for name, test := range map[string]settings.RepositorySettings[string, string]{
		"Decode": {Payload: panickingPayload{payload.String()}},
		"NameOf": {Payload: payload.String(), NameOf: func(string) string { panic("boom") }},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, nil)
			test.Name, test.Endpoint = "tracks", request.Pattern[string]("GET /tracks/{id}")
			_, err := cache.CreateRepository(t.Context(), h.cache, test)
			check(t, err)
			for range 2 {
				if resp, body := h.get("/tracks/1"); body != "body" || hit(resp) {
					t.Errorf("%q, hit: %t", body, hit(resp))
				}
			}
			h.wantRequests(2)
			if s := h.transport.Stats(); s.Stored != 0 || s.StoreErrors+s.Panics != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestABaseThatMisbehavesIsAnErrorOfTheRequest(t *testing.T) {
	respond := func(body io.ReadCloser) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{}, Body: body, Request: req}, nil
		}
	}
	for name, base := range map[string]func(*http.Request) (*http.Response, error){
		"it panics":                    func(*http.Request) (*http.Response, error) { panic("boom") },
		"it returns nothing":           func(*http.Request) (*http.Response, error) { return nil, nil },
		"its body panics at a read":    respond(brokenBody{read: func() (int, error) { panic("boom") }}),
		"its body counts too much":     respond(brokenBody{read: func() (int, error) { return 1 << 20, nil }}),
		"its body counts below zero":   respond(brokenBody{read: func() (int, error) { return -1, nil }}),
		"its body fails":               respond(brokenBody{read: func() (int, error) { return 0, errFault }}),
		"its body panics at its close": respond(brokenBody{read: func() (int, error) { return 0, errFault }, close: func() error { panic("boom") }}),
	} {
		for _, use := range []policy.Use{policy.UseCache, policy.Reload} {
			t.Run(fmt.Sprint(name, " use ", use), func(t *testing.T) {
				h := start(t, nil, &options{Base: roundTripper(base), Policy: policy.Policy{Use: use}})
				resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err == nil {
					t.Error("there is no error")
				}
				check(t, h.transport.Close())
				if n := h.transport.Stats().Stored; n != 0 {
					t.Errorf("%d stored", n)
				}
			})
		}
	}
}

type brokenBody struct {
	read  func() (int, error)
	close func() error
}

func (b brokenBody) Read([]byte) (int, error) { return b.read() }

func (b brokenBody) Close() error {
	if b.close != nil {
		return b.close()
	}
	return nil
}

func TestABaseMayLeaveOutWhatClientsFillIn(t *testing.T) {
	for name, resp := range map[string]http.Response{
		"the body of a 200": {StatusCode: 200},
		"the body of a 500": {StatusCode: 500},
		"the length":        {StatusCode: 200, Body: io.NopCloser(strings.NewReader("body"))},
		"the headers":       {StatusCode: 404, ContentLength: 4, Body: io.NopCloser(strings.NewReader("body"))},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, nil, &options{Base: roundTripper(func(*http.Request) (*http.Response, error) {
				r := resp
				return &r, nil
			})})
			want := ""
			if resp.Body != nil {
				want = "body"
			}
			got, err := h.client.Do(h.request("GET", "/a", ""))
			check(t, err)
			defer got.Body.Close()
			if body, err := io.ReadAll(got.Body); err != nil || string(body) != want || got.StatusCode != resp.StatusCode {
				t.Errorf("%d %q, %v", got.StatusCode, body, err)
			}
		})
	}
}

// A base need not end a read as the request's context does: to close the body is
// what ends it with any.
func TestABodyThatOnlyItsCloseEndsIsClosed(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	h := start(t, nil, &options{
		Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{}, Body: r, Request: req}, nil
		}),
		FinishTimeout: 20 * time.Millisecond,
	})
	resp, err := h.transport.RoundTrip(h.request("GET", "/a", ""))
	check(t, err)
	check(t, resp.Body.Close())
	h.closes()
}

func TestAnErrorWhoseBodyHangsDoesNotHoldUpTheStoredResponse(t *testing.T) {
	var failing atomic.Bool
	gone := make(chan struct{}, 1)
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			w.(http.Flusher).Flush()
			hang(r, gone)
			return
		}
		io.WriteString(w, "body")
	}, &options{Policy: policy.Policy{Expire: policy.After(time.Minute), StaleIfError: time.Hour}})
	h.get("/a")
	failing.Store(true)
	h.clock.Advance(2 * time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
	defer cancel()
	resp, body := h.do(h.request("GET", "/a", "").WithContext(ctx))
	if !hit(resp) || body != "body" {
		t.Errorf("%q, hit: %t", body, hit(resp))
	}
	waitfor.Receive(t, "the origin is left alone", gone)
}

func TestTheTimeoutOfOneClientDoesNotEndTheRequestOfAnother(t *testing.T) {
	var once atomic.Bool
	release := make(chan struct{})
	h := start(t, func(w http.ResponseWriter, r *http.Request) {
		if once.Swap(true) {
			t.Error("the origin was reached again")
		}
		<-release
		io.WriteString(w, "body")
	}, nil)
	hasty := &http.Client{Transport: h.transport, Timeout: 2 * time.Second}
	failed := make(chan error, 1)
	go func() {
		resp, err := hasty.Do(h.request("GET", "/a", ""))
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	waitfor.True(t, "the origin is reached", func() bool { return h.requests.Load() == 1 })
	answer := make(chan string, 1)
	go func() {
		_, body := h.get("/a")
		answer <- body
	}()
	var urlErr *url.Error
	if err := <-failed; !errors.As(err, &urlErr) || !urlErr.Timeout() {
		t.Errorf("the hasty client's error is %v", err)
	}
	time.Sleep(10 * time.Millisecond) // for what its timeout may still do
	close(release)
	if body := <-answer; body != "body" {
		t.Errorf("the other got %q", body)
	}
}

// A policy of the call that cannot be is the error of the call, whose body is closed.
func TestAnInvalidPolicyOfTheCallIsItsError(t *testing.T) {
	h := start(t, func(http.ResponseWriter, *http.Request) {}, nil)
	body := &trackedBody{Reader: strings.NewReader("x")}
	req := with(h.request("POST", "/a", ""), policy.Policy{Statuses: []int{206}})
	req.Body = body
	if _, err := h.transport.RoundTrip(req); err == nil {
		t.Error("the request has no error")
	}
	if body.closed.Load() == 0 {
		t.Error("the request's body was not closed")
	}
	h.wantRequests(0)
}

// trackedBody is a request's body that counts its closes.
type trackedBody struct {
	io.Reader
	closed atomic.Int64
}

func (b *trackedBody) Close() error {
	b.closed.Add(1)
	return nil
}

// The store may have a save that nobody waits for any more: what has changed since
// must not come back with it.
func TestASaveThatIsLateDoesNotUndoAChange(t *testing.T) {
	for name, headers := range map[string][]string{"of one that is shared": nil, "of one that is not": {"If-None-Match", `"0"`}} {
		t.Run(name, func(t *testing.T) {
			store := &faulty{Store: memoryStore(t)}
			h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") },
				&options{StoreTimeout: 20 * time.Millisecond})
			release := make(chan struct{})
			store.deaf.Store(true)
			store.set(func(_ context.Context, op string) error {
				if op == "put" {
					<-release
				}
				return nil
			})
			h.get("/a", headers...)
			h.do(h.request("PUT", "/a", "new"))
			close(release)
			waitfor.True(t, "the save ends", func() bool { return store.saves.Load() == 1 })
			waitfor.True(t, "the change holds", func() bool {
				n, err := h.cache.Count(t.Context(), 0)
				check(t, err)
				return n == 0
			})
			if resp, _ := h.get("/a"); hit(resp) {
				t.Error("what was read before the change is served after it")
			}
		})
	}
}

func TestAFunctionThatEndsItsGoroutineFailsItsRequestAlone(t *testing.T) {
	for name, opts := range map[string]options{
		"the base": {Base: roundTripper(func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil })},
		"a read of the body": {Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := textResponse(req, "")
			resp.ContentLength, resp.Body = -1, brokenBody{read: func() (int, error) { runtime.Goexit(); return 0, nil }}
			return resp, nil
		})},
		"Keep": {Policy: policy.Policy{Keep: func(*policy.Exchange) bool { runtime.Goexit(); return true }}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, &opts)
			ctx, cancel := context.WithTimeout(t.Context(), waitfor.Limit)
			defer cancel()
			resp, err := h.transport.RoundTrip(h.request("GET", "/a", "").WithContext(ctx))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the error is %v", err)
			}
			check(t, h.transport.Close())
		})
	}
}

// However many URLs it makes outdated.
func TestAnUnsafeRequestWaitsForTheStoreOnce(t *testing.T) {
	store := &faulty{Store: memoryStore(t)}
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/b")
		w.Header().Set("Content-Location", "/c")
		io.WriteString(w, r.Method+r.URL.Path)
	}, nil)
	for _, path := range []string{"/a", "/b", "/c"} {
		h.get(path)
		h.do(h.request("HEAD", path, ""))
	}
	var deletes atomic.Int64
	store.set(func(_ context.Context, op string) error {
		if op == "delete" {
			deletes.Add(1)
		}
		return nil
	})
	h.do(h.request("PUT", "/a", ""))
	if n := deletes.Load(); n != 1 {
		t.Errorf("%d deletes", n)
	}
	if n, err := h.cache.Count(t.Context(), repository.All); n != 0 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
	if n := h.transport.Stats().Invalidated; n != 3 {
		t.Errorf("%d URLs are outdated", n)
	}
}

// As net/http has it: the error of a caller that gives up is the cause it gave.
func TestTheErrorOfACallerThatGivesUpIsItsCause(t *testing.T) {
	for _, path := range []string{"/before", "/stored", "/direct"} {
		goOn := make(chan struct{})
		h := start(t, func(w http.ResponseWriter, r *http.Request) {
			if path == "/direct" {
				w.WriteHeader(500)
			}
			if path != "/before" {
				io.WriteString(w, "body")
				w.(http.Flusher).Flush()
			}
			<-goOn
		}, nil)
		for name, rt := range map[string]http.RoundTripper{"net/http": h.base, "the transport": h.transport} {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(errFault) })
			resp, err := rt.RoundTrip(h.request("GET", path, "").WithContext(ctx))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if !errors.Is(err, errFault) {
				t.Errorf("%s, %s: %v", name, path, err)
			}
		}
		close(goOn)
	}
}

func TestACallerDoesNotWaitForItsOwnBodyLongerThanItsContext(t *testing.T) {
	h := start(t, nil, &options{Policy: policy.Policy{Methods: []string{"POST"}}})
	ctx, cancel := context.WithCancel(t.Context())
	body, never := io.Pipe()
	defer never.Close()
	req := h.request("POST", "/a", "").WithContext(ctx)
	req.Body = body
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := h.transport.RoundTrip(req); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", resp, err)
		}
	}()
	time.AfterFunc(20*time.Millisecond, cancel)
	waitfor.Receive(t, "the end of a request whose context has ended", ended)
	h.wantRequests(0)
}

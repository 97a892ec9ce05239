package restyfetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
)

// How often a request is sent is up to resty's settings alone.
func TestRetriesAreThoseOfTheClient(t *testing.T) {
	unavailable := newServer(t, status(http.StatusServiceUnavailable))
	broken := newServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, test := range map[string]struct {
		server *server
		client *resty.Client
		want   int
	}{
		"none":              {unavailable, quick(t), 1},
		"none of an error":  {broken, quick(t), 1},
		"of errors":         {broken, quick(t).SetRetryCount(2), 3},
		"of errors alone":   {unavailable, quick(t).SetRetryCount(2), 1},
		"with a condition":  {unavailable, quick(t).SetRetryCount(2).AddRetryCondition(isUnavailable), 3},
		"with another one":  {broken, quick(t).SetRetryCount(2).AddRetryCondition(func(*resty.Response, error) bool { return false }), 1},
		"refused after one": {unavailable, quick(t).SetRetryCount(2).AddRetryCondition(isUnavailable).SetRetryAfter(refuse), 1},
	} {
		source := sourceOf(t, at(test.server.URL, test.client), bodies(byID, nil))
		a := ask(t, source, "a")[0]
		if n := test.server.asked(); a.Err == nil || n != test.want || source.Requests() != 1 {
			t.Errorf("%s: %v after %d requests, want %d", name, a.Err, n, test.want)
		}
	}
}

func refuse(*resty.Client, *resty.Response) (time.Duration, error) {
	return 0, errors.New("come back tomorrow")
}

func TestHooksAndConditionsOfTheClient(t *testing.T) {
	var served, hooks atomic.Int32
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 1 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		serve(w, r)
	})
	client := quick(t).SetRetryCount(1).
		AddRetryCondition(func(resp *resty.Response, err error) bool { return resp.StatusCode() == http.StatusNotFound }).
		AddRetryHook(func(*resty.Response, error) { hooks.Add(1) })
	if a := askOne(t, at(server.URL, client), "a"); a.Err != nil || hooks.Load() != 1 {
		t.Errorf("%v after %d hooks", a.Err, hooks.Load())
	}
}

// The retries of package fetch take the place of resty's where the options have some.
func TestRetriesOfFetchInstead(t *testing.T) {
	mistake := errors.New("the envelope says no")
	before := func(err error) func(*resty.Client, *resty.Request) error {
		return func(*resty.Client, *resty.Request) error { return err }
	}
	after := func(*resty.Client, *resty.Response) error { return mistake }
	unavailable := newServer(t, status(http.StatusServiceUnavailable))
	missing := newServer(t, status(http.StatusNotFound))
	cut := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		serve(w, r)
	})
	whole := newServer(t, nil)
	for name, test := range map[string]struct {
		server *server
		client *resty.Client
		want   int
		cause  error
	}{
		"a status":                       {unavailable, quick(t), 3, nil},
		"a body that is cut":             {cut, quick(t), 3, io.ErrUnexpectedEOF},
		"a middleware before":            {whole, quick(t).OnBeforeRequest(before(mistake)), 0, mistake},
		"a middleware after":             {whole, quick(t).OnAfterResponse(after), 1, mistake},
		"a middleware after a status":    {unavailable, quick(t).OnAfterResponse(after), 3, mistake},
		"a middleware after a final one": {missing, quick(t).OnAfterResponse(after), 1, mistake},
		"a transport, for good":          {whole, quick(t).SetTransport(failing{origin.Permanent(mistake)}), 0, mistake},
	} {
		opts := at(test.server.URL, test.client)
		opts.Retry = &origin.RetryOptions{Retries: 2, Wait: time.Millisecond}
		a := askOne(t, opts, "a")
		if n := test.server.asked(); a.Err == nil || n != test.want || test.cause != nil && !errors.Is(a.Err, test.cause) {
			t.Errorf("%s: %v after %d requests, want %d", name, a.Err, n, test.want)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// A middleware's error is found again, and is not repeated by resty.
func TestErrorOfAMiddleware(t *testing.T) {
	mistake := errors.New("the envelope says no")
	whole, forbidden := newServer(t, nil), newServer(t, status(http.StatusForbidden))
	fail := func(*resty.Client, *resty.Response) error { return mistake }
	for name, test := range map[string]struct {
		server *server
		client *resty.Client
		want   int
		code   int // of a status error
	}{
		"before": {whole, quick(t).OnBeforeRequest(func(*resty.Client, *resty.Request) error { return mistake }), 0, 0},
		"hook":   {whole, quick(t).SetPreRequestHook(func(*resty.Client, *http.Request) error { return mistake }), 0, 0},
		"after":  {whole, quick(t).OnAfterResponse(fail), 1, 0},
		"status": {forbidden, quick(t).OnAfterResponse(fail), 1, 403},
	} {
		a := askOne(t, at(test.server.URL, test.client.SetRetryCount(3)), "a")
		var answered *fetch.StatusError
		var failed *fetch.RequestError
		hasType := errors.As(a.Err, &failed)
		if test.code != 0 {
			hasType = errors.As(a.Err, &answered) && answered.Code == test.code
		}
		if n := test.server.asked(); !errors.Is(a.Err, mistake) || !hasType || n != test.want {
			t.Errorf("%s: %v after %d requests", name, a.Err, n)
		}
	}
}

// short is a transport that does not notice when a body is cut short.
type short struct{ length int64 }

func (s short) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Request: req,
		ContentLength: s.length, Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

func TestLengthThatIsAnnouncedWrongly(t *testing.T) {
	for length, want := range map[int64]error{1000: io.ErrUnexpectedEOF, 0: nil, 1: nil, -1: nil} {
		a := askOne(t, at("http://localhost", quick(t).SetTransport(short{length})), "a")
		if !errors.Is(a.Err, want) || want == nil && (a.Err != nil || string(a.Entry.Payload) != "{}") {
			t.Errorf("%d bytes: %q, %v", length, a.Entry.Payload, a.Err)
		}
	}
}

// A panic in a middleware is that of all callers that wait for the key.
func TestPanicOfAMiddleware(t *testing.T) {
	server := newServer(t, nil)
	client, err := fetch.NewClient(at(server.URL, quick(t).SetRetryCount(3).OnBeforeRequest(func(*resty.Client, *resty.Request) error { panic("oops") })))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	e, err := fetch.Uncached(client, bodies(byID, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if p := recover(); p != "oops" {
			t.Errorf("recovered %v", p)
		}
	}()
	_, err = e.Fetch(t.Context(), "a")
	t.Errorf("no panic, %v", err)
}

// A call that ends takes resty's retries with it.
func TestRetriesEndWithTheContext(t *testing.T) {
	server := newServer(t, status(http.StatusServiceUnavailable))
	ctx, cancel := context.WithCancel(t.Context())
	client := quick(t).SetRetryCount(9).SetRetryWaitTime(time.Hour).SetRetryMaxWaitTime(time.Hour).
		AddRetryCondition(isUnavailable).
		AddRetryHook(func(*resty.Response, error) { cancel() })
	source := sourceOf(t, at(server.URL, client), bodies(byID, nil))
	if _, err := source.Fetch(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := server.asked(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

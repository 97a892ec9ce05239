package fetch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
)

var errRefused = errors.New("the secret is wrong")

// roundTrip is a transport below that of package origin.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A permanent error ends the attempts, wherever it comes from, and is found again.
func TestPermanent(t *testing.T) {
	o := newOrigin(t, nil)
	for name, options := range map[string]func(fail func() error) fetch.Options{
		"transport": func(fail func() error) fetch.Options {
			return fetch.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, fail() })}
		},
		"transport below limits": func(fail func() error) fetch.Options {
			return fetch.Options{
				Origin:    &polite.Options{},
				Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, fail() }),
			}
		},
		"credentials": func(fail func() error) fetch.Options {
			return fetch.Options{Origin: &polite.Options{Credentials: &polite.Credentials{
				Token: func(context.Context, string) (polite.Token, error) { return polite.Token{}, fail() },
			}}}
		},
		"client": func(fail func() error) fetch.Options {
			return fetch.Options{Client: does(func(*http.Request) (*http.Response, error) { return nil, fail() })}
		},
		"in spite of the options": func(fail func() error) fetch.Options {
			return fetch.Options{
				Client: does(func(*http.Request) (*http.Response, error) { return nil, fail() }),
				Retry:  &polite.RetryOptions{Retry: func(*http.Response, error, bool) bool { return true }},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var attempts atomic.Int32
			opts := options(func() error {
				attempts.Add(1)
				return polite.Permanent(errRefused)
			})
			opts.BaseURL = o.URL
			client, err := fetch.NewClient(&opts)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			a := answers(t, sourceOf(t, client, settingsOf(byID, nil)), "a")[0]
			var failed *fetch.RequestError
			if n := attempts.Load(); n != 1 || !errors.Is(a.Err, errRefused) || !errors.As(a.Err, &failed) {
				t.Errorf("after %d attempts: %v", n, a.Err)
			}
		})
	}
}

// A batch whose request fails for good is not halved.
func TestPermanentOfABatch(t *testing.T) {
	attempts := 0
	client, err := fetch.NewClient(&fetch.Options{
		BaseURL: "http://localhost",
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			attempts++
			return nil, polite.Permanent(errRefused)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, a := range answers(t, sourceOf(t, client, settingsOf(byID, batchOf(10))), numbered(10)...) {
		if !errors.Is(a.Err, errRefused) {
			t.Error(a.Err)
		}
	}
	if attempts != 1 {
		t.Errorf("%d attempts", attempts)
	}
}

// An error of the client about an answer that may be better the next time.
func TestPermanentAnswerOfAStatus(t *testing.T) {
	o := newOrigin(t, status(http.StatusServiceUnavailable))
	own := quick(t)
	client := does(func(req *http.Request) (*http.Response, error) {
		resp, err := own.Do(req)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		return resp, polite.Permanent(errRefused)
	})
	a := ask(t, byID, fetch.Options{BaseURL: o.URL, Client: client}, "a")[0]
	var answered *fetch.StatusError
	if !errors.As(a.Err, &answered) || answered.Code != 503 || !errors.Is(a.Err, errRefused) || o.total() != 1 {
		t.Errorf("after %d requests: %v", o.total(), a.Err)
	}
}

// hang answers nothing, until the client gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestRequestError(t *testing.T) {
	gone := newOrigin(t, nil)
	gone.Close()
	hanging := newOrigin(t, hang)
	large := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1000)) })
	failing := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { // at first with a status
		if _, again := r.Header["Again"]; again {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	attempts := 0
	again := changed(t, func(req *http.Request) {
		if attempts++; attempts > 1 {
			req.Header.Set("Again", "1")
		}
	})
	refusing := does(func(*http.Request) (*http.Response, error) { return nil, errRefused })
	silent := does(func(*http.Request) (*http.Response, error) { return nil, nil })
	for name, test := range map[string]struct {
		opts  fetch.Options
		cause error
	}{
		"refused":  {fetch.Options{BaseURL: gone.URL}, nil}, // which systems tell in different ways
		"timeout":  {fetch.Options{BaseURL: hanging.URL, Timeout: 50 * time.Millisecond}, os.ErrDeadlineExceeded},
		"cut":      {fetch.Options{BaseURL: newOrigin(t, cutShort).URL}, io.ErrUnexpectedEOF},
		"chunked":  {fetch.Options{BaseURL: newOrigin(t, cutChunked).URL}, io.ErrUnexpectedEOF},
		"large":    {fetch.Options{BaseURL: large.URL, MaxBody: 10}, fetch.ErrBodyTooLarge},
		"at last":  {fetch.Options{BaseURL: failing.URL, Client: again}, io.EOF},
		"at all":   {fetch.Options{BaseURL: large.URL, Client: refusing}, errRefused},
		"no error": {fetch.Options{BaseURL: large.URL, Client: silent}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			test.opts.Retry = retries(1)
			test.opts.BaseURL = strings.Replace(test.opts.BaseURL, "http://", "http://me:s3cret@", 1)
			source := sourceOf(t, clientOf(t, test.opts), settingsOf(byID, batchOf(2)))
			for _, a := range answers(t, source, "a", "b", "c") {
				var failed *fetch.RequestError
				var answered *fetch.StatusError
				if !errors.As(a.Err, &failed) || errors.As(a.Err, &answered) || test.cause != nil && !errors.Is(a.Err, test.cause) {
					t.Errorf("%T: %v", a.Err, a.Err)
					continue
				}
				if failed.Method != http.MethodGet || !strings.Contains(failed.URL, "/tracks") || strings.Contains(a.Err.Error(), "s3cret") {
					t.Errorf("%s %s: %v", failed.Method, failed.URL, a.Err)
				}
			}
		})
	}
}

// An answer of a status, and the end of a call, are other errors.
func TestNoRequestError(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	for name, test := range map[string]struct {
		ctx     context.Context
		handler http.HandlerFunc
	}{
		"403":       {t.Context(), status(http.StatusForbidden)},
		"404":       {t.Context(), status(http.StatusNotFound)},
		"503":       {t.Context(), status(http.StatusServiceUnavailable)},
		"cancelled": {cancelled, nil},
		"expired":   {expired, hang},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, test.handler)
			e := fetcherOf(t, o, settingsOf(byID, nil), nil)
			_, err := e.Fetch(test.ctx, "a")
			var failed *fetch.RequestError
			if err == nil || errors.As(err, &failed) {
				t.Error(err)
			}
		})
	}
}

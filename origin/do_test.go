package origin_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/origin"
)

// reading sends with a client and reads the body, as [origin.Retrier.Do] is for.
func reading(client *http.Client, body *[]byte) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := client.Do(req)
		if err != nil {
			return resp, err
		}
		defer resp.Body.Close()
		*body, err = io.ReadAll(resp.Body)
		return resp, err
	}
}

func TestDoRepeatsBodiesThatWereCutShort(t *testing.T) {
	for name, cut := range map[string]http.HandlerFunc{
		"with a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "half")
		},
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		n := 0
		api := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			switch n++; {
			case r.URL.Path == "/":
				http.Redirect(w, r, "/moved", http.StatusFound)
			case n < 5:
				cut(w, r)
			default:
				ok(w, r)
			}
		})
		client := &http.Client{Transport: base(t)}
		var body []byte
		var told []origin.Attempt
		rt := retrier(t, nil, origin.RetryOptions{OnRetry: func(a origin.Attempt) { told = append(told, a) }})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
		resp, err := rt.Do(req, reading(client, &body))
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != "fine" || n != 6 {
			t.Errorf("%s: %q, %v after %d requests, want 6", name, body, err, n)
		}
		if len(told) != 2 || told[0].Status != http.StatusOK || !errors.Is(told[0].Err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: OnRetry was told %+v", name, told)
		}
		if resp != nil && resp.Request.URL.Path != "/moved" {
			t.Errorf("%s: the response is of %v, want the end of the redirects", name, resp.Request.URL)
		}
	}
}

// The outcome of the last attempt is returned as it is, response and error.
func TestDoReturnsTheLastOutcome(t *testing.T) {
	api := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusBadGateway)
		io.WriteString(w, "half")
	})
	var body []byte
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
	resp, err := retrier(t, nil, origin.RetryOptions{}).Do(req, reading(&http.Client{Transport: base(t)}, &body))
	if !errors.Is(err, io.ErrUnexpectedEOF) || resp == nil || resp.StatusCode != http.StatusBadGateway || string(body) != "half" {
		t.Errorf("%v, %v with %q; want both", resp, err, body)
	}
}

// An http.Client writes its cookies into the request that it is given.
func TestDoLeavesTheRequestAsItIs(t *testing.T) {
	var got []string
	api := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got = append(got, r.Header.Get("Cookie")+" "+string(text))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	u, _ := url.Parse(api)
	jar, _ := cookiejar.New(nil)
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, api, strings.NewReader("text"))
	var body []byte
	resp, err := retrier(t, nil, origin.RetryOptions{Retries: 2}).Do(req, reading(&http.Client{Transport: base(t), Jar: jar}, &body))
	if err != nil || fmt.Sprint(got) != "[a=1 text a=1 text a=1 text]" {
		t.Errorf("the server got %q, %v", got, err)
	}
	if len(req.Header) != 0 || resp.Request != req {
		t.Errorf("the request has the header %v, or the response another request", req.Header)
	}
}

func TestDoDoesNotRepeatRedirectsThatWereRefused(t *testing.T) {
	n := 0
	api := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Redirect(w, r, "/"+strings.Repeat("x", n), http.StatusFound)
	})
	var body []byte
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, api, nil)
	resp, err := retrier(t, nil, origin.RetryOptions{}).Do(req, reading(&http.Client{Transport: base(t)}, &body))
	if err == nil || !strings.Contains(err.Error(), "10 redirects") || resp == nil || n != 10 {
		t.Errorf("%v after %d requests, want 10", err, n)
	}
}

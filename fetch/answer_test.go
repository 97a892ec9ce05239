package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// sourceAt asks a server, once for each request.
func sourceAt(t *testing.T, url string, endpoint request.Endpoint[string]) *source[string] {
	t.Helper()
	client, err := NewClient(&Options{BaseURL: url, Retry: &origin.RetryOptions{Retries: origin.NoRetries}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	source, err := newSource(client, settings.RepositorySettings[string, []byte]{
		Name: "things", Endpoint: endpoint, Payload: payload.Bytes(),
		Batch: request.BatchPattern[string]("/things?ids={id}", 5, payload.SplitArray(""), nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// A response of any status is an answer, with its body.
func TestAnswersOfAnyStatus(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.URL.Path[1:])
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(code)
		if code != 204 && code != 304 {
			io.WriteString(w, "body of "+r.URL.Path)
		}
	}))
	defer server.Close()
	source := sourceAt(t, server.URL, request.Pattern[string]("/{code}"))
	for code, hasBody := range map[int]bool{200: true, 203: true, 204: false, 304: false, 404: true, 410: true, 429: true, 500: true} {
		key := strconv.Itoa(code)
		a := source.askOne(t.Context(), key, nil)
		if a.err != nil || a.resp.StatusCode != code || a.resp.Body != http.NoBody {
			t.Fatalf("%d: %+v", code, a)
		}
		want := ""
		if hasBody {
			want = "body of /" + key
		}
		if string(a.body) != want || a.resp.ContentLength != int64(len(want)) {
			t.Errorf("%d: body %q of %d bytes", code, a.body, a.resp.ContentLength)
		}
	}
}

// Conditions are those of one request, whatever headers the endpoint shares between them.
func TestConditionsAreThoseOfOneRequest(t *testing.T) {
	shared := http.Header{"If-None-Match": {`"old"`}, "If-Modified-Since": {"Sat, 21 Nov 2026 10:00:00 GMT"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` && r.Header.Get("If-Modified-Since") == "" {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.WriteHeader(http.StatusConflict)
	}))
	defer server.Close()
	byID := request.Pattern[string]("/things/{id}")
	endpoint := request.Func(byID.Key, func(ctx context.Context, base *url.URL, key string) (*http.Request, error) {
		req, err := byID.Request(ctx, base, key)
		if err == nil {
			req.Header = shared
		}
		return req, err
	})
	source := sourceAt(t, server.URL, endpoint)
	a := source.askOne(t.Context(), "a", http.Header{"If-None-Match": {`"1"`}, "If-Modified-Since": nil})
	if a.err != nil || a.resp.StatusCode != 304 || a.resp.Header.Get("ETag") != `"1"` {
		t.Errorf("with conditions: %+v", a)
	}
	if a := source.askOne(t.Context(), "a", nil); a.err != nil || a.resp.StatusCode != 409 || len(shared) != 2 {
		t.Errorf("without: %+v, and the endpoint's headers are %v", a, shared)
	}
}

// Parts share a response, and what is wrong with a batch is an error of each key.
func TestPartsOfABatchShareAResponse(t *testing.T) {
	code := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"of all"`)
		w.WriteHeader(code)
		io.WriteString(w, `[{"id": 1}, null, {"id": 3}]`)
	}))
	defer server.Close()
	source := sourceAt(t, server.URL, request.Pattern[string]("/things/{id}"))
	ask := func() (all []answer) {
		source.ask(t.Context(), []string{"1", "2", "3"}, false, func(from int, answers []answer) {
			if from != len(all) {
				t.Errorf("%d answers from %d on", len(answers), from)
			}
			all = append(all, answers...)
		})
		return all
	}
	for _, code = range []int{http.StatusOK, http.StatusMultiStatus} {
		all := ask()
		if len(all) != 3 || all[0].err != nil || all[0].resp != all[2].resp || !errors.Is(all[1].err, ErrAbsent) {
			t.Fatalf("%d: %+v", code, all)
		}
		resp := all[0].resp
		if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "max-age=60" || resp.Header.Get("ETag") != "" || string(all[2].body) != `{"id": 3}` {
			t.Errorf("%d: status %d, header %v, body %q", code, resp.StatusCode, resp.Header, all[2].body)
		}
	}
	code = http.StatusUnauthorized
	for _, a := range ask() {
		var status *StatusError
		if !errors.As(a.err, &status) || status.Code != 401 || !strings.HasSuffix(status.URL, "/things") {
			t.Errorf("%d: %+v", code, a)
		}
	}
}

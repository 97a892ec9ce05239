package fetch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
	polite "github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// plain are the settings of an endpoint whose values are its bodies.
func plain[K comparable](endpoint request.Endpoint[K]) settings.RepositorySettings[K, []byte] {
	return settings.RepositorySettings[K, []byte]{Name: "plain", Endpoint: endpoint, Payload: payload.Bytes()}
}

func sourceOf[K comparable, V any](t testing.TB, c *fetch.Client, s settings.RepositorySettings[K, V]) *fetch.Source[K] {
	t.Helper()
	source, err := fetch.NewSource(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// ask returns the answers for keys, each of which is asked for alone.
func ask[K comparable](t testing.TB, endpoint request.Endpoint[K], opts fetch.Options, keys ...K) []fetch.Answer {
	t.Helper()
	return answers(t, sourceOf(t, clientOf(t, opts), plain(endpoint)), keys...)
}

// answers checks that there is one for each key.
func answers[K comparable](t testing.TB, source *fetch.Source[K], keys ...K) []fetch.Answer {
	t.Helper()
	var all []fetch.Answer
	for _, batch := range source.Batches(keys) {
		var indexes []int
		source.Fetch(t.Context(), batch, func(i int, a fetch.Answer) {
			indexes = append(indexes, i)
			all = append(all, a)
		})
		for want, i := range indexes {
			if i != want {
				t.Fatalf("the answers are those of %v", indexes)
			}
		}
		if len(indexes) != len(batch) {
			t.Fatalf("%d answers for %d keys", len(indexes), len(batch))
		}
	}
	return all
}

// Each attempt has a request of its own, to which the client may add what it wants.
func TestClientOwnsTheRequest(t *testing.T) {
	var served atomic.Int32
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if got := []string{r.Header.Get("X-Mine"), r.Header.Get("X-Removed"), r.URL.RawQuery}; !slices.Equal(got, []string{"mine", "", "key=secret"}) || len(r.Header["X-Mine"]) != 1 {
			t.Errorf("attempt %d: %q, %q", served.Load(), got, r.Header["X-Mine"])
		}
		if served.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		serve(w, r)
	})
	byID := request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("key"))
	endpoint := request.Func(byID.Key, func(ctx context.Context, base *url.URL, key string) (*http.Request, error) {
		req, err := byID.Request(ctx, base, key)
		if err == nil {
			req.Header.Set("X-Removed", "1")
		}
		return req, err
	})
	client := changed(t, func(req *http.Request) {
		if req.Header.Get("X-Removed") != "1" || req.URL.RawQuery != "" {
			t.Errorf("the client is given %v with the query %q", req.Header, req.URL.RawQuery)
		}
		req.Header.Add("X-Mine", "mine")
		req.Header.Del("X-Removed")
		req.URL.RawQuery = "key=secret"
	})
	if a := ask(t, endpoint, fetch.Options{BaseURL: server.URL, Client: client}, "a")[0]; a.Err != nil || served.Load() != 3 {
		t.Errorf("after %d requests: %v", served.Load(), a.Err)
	}
}

// A response that a client makes by hand need not have all that net/http sets.
func TestResponsesMadeByHand(t *testing.T) {
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader(trackBody("a"))) }
	for name, test := range map[string]struct {
		resp *http.Response
		want error
	}{
		"the least":        {&http.Response{StatusCode: 200, Body: body()}, nil},
		"unknown length":   {&http.Response{StatusCode: 200, Body: body(), ContentLength: -1}, nil},
		"a longer body":    {&http.Response{StatusCode: 200, Body: body(), ContentLength: 5, Header: http.Header{"Content-Length": {"5"}}}, nil},
		"a wrong header":   {&http.Response{StatusCode: 200, Body: body(), Header: http.Header{"Content-Length": {"many"}}}, nil},
		"an empty Request": {&http.Response{StatusCode: 200, Body: body(), Request: &http.Request{}}, nil},
		"a shorter body":   {&http.Response{StatusCode: 200, Body: body(), ContentLength: 1000}, io.ErrUnexpectedEOF},
		"no body":          {&http.Response{StatusCode: 200, ContentLength: 5}, io.ErrUnexpectedEOF},
		"a huge length":    {&http.Response{StatusCode: 200, Body: body(), ContentLength: 1 << 40}, fetch.ErrBodyTooLarge},
		"no status":        {&http.Response{Body: body()}, nil},
	} {
		client := does(func(*http.Request) (*http.Response, error) { return test.resp, nil })
		a := ask(t, byID, fetch.Options{BaseURL: "http://localhost", Client: client, Retry: retries(polite.NoRetries)}, "a")[0]
		if name == "no status" {
			var err *fetch.StatusError
			if !errors.As(a.Err, &err) || err.Code != 0 || err.URL != "http://localhost/tracks/a" {
				t.Errorf("%s: %v", name, a.Err)
			}
			continue
		}
		if !errors.Is(a.Err, test.want) || test.want == nil && (a.Err != nil || string(a.Entry.Payload) != trackBody("a")) {
			t.Errorf("%s: %q, %v", name, a.Entry.Payload, a.Err)
		}
		if header, err := a.Entry.Header(); a.Err == nil && (err != nil || header.Get("Content-Length") != "") {
			t.Errorf("%s: header %v, %v", name, header, err)
		}
	}
}

// A status that comes with a value for a repository comes with one here.
func TestOtherStatusesWithAValue(t *testing.T) {
	for _, code := range []int{201, 202, 203, 207, 226} {
		server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			serve(w, r)
		})
		source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL}), settingsOf(byID, batchOf(2)))
		keys := []string{"a", "b", "c"}
		got := answers(t, source, keys...)
		check(t, keys, got)
		partly := code // the status of a part
		if code == http.StatusMultiStatus {
			partly = http.StatusOK
		}
		if got[0].Entry.Status != partly || got[1].Entry.Status != partly || got[2].Entry.Status != code {
			t.Errorf("%d: statuses %d, %d and %d", code, got[0].Entry.Status, got[1].Entry.Status, got[2].Entry.Status)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "1000") })
	endpoint := request.Pattern[string]("HEAD /tracks/{id}")
	if a := ask(t, endpoint, fetch.Options{BaseURL: server.URL, MaxBody: 10}, "a")[0]; a.Err != nil || len(a.Entry.Payload) != 0 {
		t.Errorf("%q, %v", a.Entry.Payload, a.Err)
	}
}

func TestHeadersAndStatusAreKept(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header()["X-Many"] = []string{"a", "b"}
		w.Header().Set("Set-Cookie", "session=1")
		serve(w, r)
	})
	a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "a")[0]
	header, err := a.Entry.Header()
	if err != nil {
		t.Fatal(err)
	}
	header.Del("Date")
	want := http.Header{
		"Content-Type": {"application/json"}, "Etag": {`"1"`}, "X-Many": {"a", "b"}, "Content-Length": {"31"},
	}
	if diff := cmp.Diff(want, header); diff != "" {
		t.Error(diff)
	}
	if a.Entry.Status != 200 {
		t.Errorf("status %d", a.Entry.Status)
	}
}

// A body that the transport has unpacked is kept unpacked, another one as it is.
func TestPackedBodiesAreKeptAsTheyCome(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("Accept-Encoding is %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		if ids, many := idsOf(r); many {
			w.Write(zip(tracksBody(ids...)))
		} else {
			w.Write(zip(trackBody("a")))
		}
	})
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL}), settingsOf(byID, batchOf(2)))
	for i, a := range answers(t, source, "b", "c", "a") {
		header, err := a.Entry.Header()
		if a.Err != nil || err != nil {
			t.Fatal(a.Err, err)
		}
		want := trackBody([]string{"b", "c", "a"}[i])
		if string(a.Entry.Payload) != want || header.Get("Content-Encoding") != "" || header.Get("Content-Length") != "" {
			t.Errorf("payload %q, header %v", a.Entry.Payload, header)
		}
	}
	packed := changed(t, func(req *http.Request) { req.Header.Set("Accept-Encoding", "gzip") })
	a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: packed}, "a")[0]
	header, err := a.Entry.Header()
	if a.Err != nil || err != nil {
		t.Fatal(a.Err, err)
	}
	if want := zip(trackBody("a")); !bytes.Equal(a.Entry.Payload, want) || header.Get("Content-Encoding") != "gzip" || header.Get("Content-Length") != strconv.Itoa(len(want)) {
		t.Errorf("payload %q, header %v", a.Entry.Payload, header)
	}
}

func TestBodiesAreKeptByteForByte(t *testing.T) {
	body := make([]byte, 70_000)
	for i := range body {
		body[i] = byte(i * 7)
	}
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "empty":
		case "other":
			w.Header().Set("Content-Encoding", "br")
			fallthrough
		default:
			w.Write(body)
		}
	})
	got := ask(t, byID, fetch.Options{BaseURL: server.URL}, "a", "empty", "other")
	if !bytes.Equal(got[0].Entry.Payload, body) || len(got[1].Entry.Payload) != 0 || !bytes.Equal(got[2].Entry.Payload, body) {
		t.Error("bodies differ", got[0].Err, got[1].Err, got[2].Err)
	}
}

func TestMaxBody(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "large":
			io.WriteString(w, strings.Repeat(" ", 100_000))
		case "zipped":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zip(strings.Repeat(" ", 100_000)))
		}
		serve(w, r)
	})
	got := ask(t, byID, fetch.Options{BaseURL: server.URL, MaxBody: 50_000}, "large", "zipped", "small")
	if got[2].Err != nil || server.total() != 3 {
		t.Errorf("%v after %d requests", got[2].Err, server.total())
	}
	for _, a := range got[:2] {
		if !errors.Is(a.Err, fetch.ErrBodyTooLarge) {
			t.Error(a.Err)
		}
	}
	// The status says more.
	refused := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, strings.Repeat(" ", 100_000))
	})
	source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: refused.URL, MaxBody: 50_000}), settingsOf(byID, batchOf(5)))
	for _, a := range answers(t, source, "a", "b") {
		var err *fetch.StatusError
		if !errors.As(a.Err, &err) || err.Code != 403 || !errors.Is(a.Err, fetch.ErrBodyTooLarge) || refused.total() != 1 {
			t.Errorf("%v after %d requests", a.Err, refused.total())
		}
	}
}

func TestRedirects(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "old" {
			http.Redirect(w, r, "/tracks/new?moved=1", http.StatusMovedPermanently)
			return
		}
		serve(w, r)
	})
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "old")[0]; string(a.Entry.Payload) != trackBody("new") {
		t.Error(a.Err)
	}
	client := quick(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errRefused }
	before := server.total()
	a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "old")[0]
	var err *fetch.StatusError
	if !errors.As(a.Err, &err) || err.Code != 301 || !errors.Is(err, errRefused) || server.total() != before+1 {
		t.Errorf("%v after %d requests", a.Err, server.total()-before)
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a = ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "old")[0]
	if !errors.As(a.Err, &err) || err.Code != 301 || err.Err != nil {
		t.Error(a.Err)
	}
}

func TestBodyIsSentOnEachAttempt(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodGet, "QUERY"} {
		t.Run(method, func(t *testing.T) {
			endpoint := request.Func(
				func(*http.Request) (string, bool, error) { return "", false, nil },
				func(ctx context.Context, base *url.URL, key string) (*http.Request, error) {
					body, err := json.Marshal(map[string]string{"q": key})
					if err != nil {
						return nil, err
					}
					req, err := http.NewRequestWithContext(ctx, method, base.JoinPath("search").String(), io.NopCloser(bytes.NewReader(body)))
					if err == nil {
						req.Header.Set("Content-Type", "application/json")
						req.Host = "search.example.com"
					}
					return req, err
				})
			var served atomic.Int32
			server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != method || r.Host != "search.example.com" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s to %s with header %v", r.Method, r.Host, r.Header)
				}
				if served.Add(1)%2 == 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				w.Write(body)
			})
			keys := []string{"a", "b", "ü"}
			for i, a := range ask(t, endpoint, fetch.Options{BaseURL: server.URL}, keys...) {
				if want := `{"q":"` + keys[i] + `"}`; a.Err != nil || string(a.Entry.Payload) != want {
					t.Errorf("%q, %v; want %q", a.Entry.Payload, a.Err, want)
				}
			}
			if served.Load() != 6 {
				t.Errorf("%d requests", served.Load())
			}
		})
	}
}

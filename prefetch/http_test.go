package prefetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestRetriesUntilItSucceeds(t *testing.T) {
	for name, fail := range map[string]http.HandlerFunc{
		"429":     status(http.StatusTooManyRequests),
		"500":     status(http.StatusInternalServerError),
		"503":     status(http.StatusServiceUnavailable),
		"520":     status(520),
		"reset":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"short":   cutShort,
		"chunked": cutChunked,
		"gzip":    cutGzip,
		"gzip, broken": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "{}")
		},
	} {
		t.Run(name, func(t *testing.T) {
			repo := tracksOf(t, byID)
			var attempts atomic.Int32
			server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				if attempts.Add(1) < 3 {
					fail(w, r)
					return
				}
				serveTrack(w, r)
			})
			result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retries: 2})}, "a")
			if result.Fetched != 1 || attempts.Load() != 3 {
				t.Fatalf("after %d attempts: %v", attempts.Load(), result.Items)
			}
			if body, _, err := repo.GetRaw(t.Context(), "a"); err != nil || string(body) != trackBody("a") {
				t.Errorf("the body is %q, %v", body, err)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, trackBody("error"))
	}
}

// The bodies would be JSON, if they were whole.
func cutShort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "1000")
	serveTrack(w, r)
}

func cutChunked(w http.ResponseWriter, r *http.Request) {
	serveTrack(w, r)
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func cutGzip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	zipped := zip(trackBody("a"))
	w.Write(zipped[:len(zipped)-8])
}

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestCutBodiesAreNeverSaved(t *testing.T) {
	for name, cut := range map[string]http.HandlerFunc{"short": cutShort, "chunked": cutChunked, "gzip": cutGzip} {
		t.Run(name, func(t *testing.T) {
			repo := tracksOf(t, byID)
			server := newOrigin(t, cut)
			result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retries: 1})}, "a", "b")
			if result.Failed != 2 || !errors.Is(result.Items[0].Err, io.ErrUnexpectedEOF) {
				t.Error(result.Items)
			}
			if n, err := repo.Count(t.Context(), repository.All); n != 0 || err != nil {
				t.Errorf("%d were saved, %v", n, err)
			}
			if n := server.total(); n != 4 {
				t.Errorf("%d attempts, want 4", n)
			}
		})
	}
}

// short is a transport that does not notice when a body is cut short.
type short struct{}

func (short) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Header: http.Header{}, Request: req,
		ContentLength: 1000, Body: io.NopCloser(strings.NewReader("{}")),
	}, nil
}

func TestCutBodyThatTheTransportDoesNotNotice(t *testing.T) {
	repo := tracksOf(t, byID)
	client := resty.New().SetTransport(short{}).SetRetryWaitTime(time.Millisecond)
	result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: "http://localhost", Client: client})}, "a")
	if result.Failed != 1 || !errors.Is(result.Items[0].Err, io.ErrUnexpectedEOF) {
		t.Error(result.Items)
	}
}

func TestRetriesAreExhausted(t *testing.T) {
	server := newOrigin(t, status(http.StatusBadGateway))
	for _, test := range []struct{ retries, want int }{{0, 4}, {1, 2}, {fetch.NoRetries, 1}} {
		before := server.total()
		result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), Retries: test.retries})}, "a")
		var err *fetch.StatusError
		if result.Failed != 1 || !errors.As(result.Items[0].Err, &err) || err.Code != 502 {
			t.Error(result.Items)
		}
		if got := server.total() - before; got != test.want {
			t.Errorf("Retries %d: %d attempts, want %d", test.retries, got, test.want)
		}
	}
}

func TestSomeFailuresAreFinal(t *testing.T) {
	for _, code := range []int{201, 203, 204, 206, 304, 400, 401, 403, 405, 501, 505} {
		server := newOrigin(t, status(code))
		result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})}, "a")
		var err *fetch.StatusError
		if result.Failed != 1 || !errors.As(result.Items[0].Err, &err) || err.Code != code || server.total() != 1 {
			t.Errorf("%d: %v after %d requests", code, result.Items, server.total())
		}
	}
}

func TestConnectionRefused(t *testing.T) {
	server := newOrigin(t, nil)
	server.Close()
	result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})}, "a", "b")
	if result.Failed != 2 {
		t.Error(result.Items)
	}
}

func TestRetryAfter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, set := range map[string]func(http.Header){
		"seconds": func(h http.Header) { h.Set("Retry-After", "1") },
		"date": func(h http.Header) { // on a clock that is years off
			h.Set("Date", at.Format(http.TimeFormat))
			h.Set("Retry-After", at.Add(time.Second).Format(http.TimeFormat))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newOrigin(t, failOnce(set))
			result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)})}, "a")
			if result.Fetched != 1 || result.Elapsed < time.Second || result.Elapsed > 5*time.Second {
				t.Errorf("it took %v: %v", result.Elapsed, result.Items)
			}
		})
	}
	for name, set := range map[string]func(http.Header){
		"long":      func(h http.Header) { h.Set("Retry-After", "3600") },
		"very long": func(h http.Header) { h.Set("Retry-After", "99999999999") },
		"past":      func(h http.Header) { h.Set("Retry-After", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)) },
		"negative":  func(h http.Header) { h.Set("Retry-After", "-5") },
		"nonsense":  func(h http.Header) { h.Set("Retry-After", "soon") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newOrigin(t, failOnce(set))
			result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t), MaxRetryWait: 50 * time.Millisecond})}, "a")
			if result.Fetched != 1 || result.Elapsed > 2*time.Second {
				t.Errorf("it took %v: %v", result.Elapsed, result.Items)
			}
		})
	}
}

func failOnce(set func(http.Header)) http.HandlerFunc {
	var served atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) {
		if served.Swap(true) {
			serveTrack(w, r)
			return
		}
		set(w.Header())
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	// Every second request fails, with a body that nobody asked for.
	var n atomic.Int32
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, strings.Repeat("x", 100_000))
			return
		}
		serveTrack(w, r)
	})
	var dials atomic.Int32
	client := quick(t)
	transport := client.GetClient().Transport.(*http.Transport)
	dial := http.DefaultTransport.(*http.Transport).DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client, Retries: 20}), Concurrency: 4}, numbered(0, 100)...)
	if result.Fetched != 100 || dials.Load() > 30 { // 100 would be one for each failure
		t.Errorf("fetched %d with %d connections", result.Fetched, dials.Load())
	}
}

func TestURLsReachTheServerAsTheyAreBuilt(t *testing.T) {
	type key struct {
		ID    string `path:"id"`
		Query string `query:"q"`
	}
	repo := repositoryOf[key, string](t, request.Pattern[key]("/v1/{id}/x"))
	var uris atomic.Pointer[[]string]
	uris.Store(&[]string{})
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		all := append(slices.Clone(*uris.Load()), r.RequestURI)
		uris.Store(&all)
		io.WriteString(w, r.RequestURI)
	})
	keys := []key{
		{"a/b", ""}, {"ä €", "ü&="}, {"100%", "50%"}, {"what?", "?"}, {"{id}", "{id}"}, {"a+b c", "a+b c"},
		{"%2F", "%2F"}, {"a;b", "a;b"}, {"#", "#"}, {"日本", "語"}, {"a//b", "//"}, {"...", "../.."}, {"-_.~!$&'()*+,=:@", "!*'()"},
	}
	client := quick(t).SetPathParam("id", "wrong").SetFormData(map[string]string{"wrong": "wrong"}).SetUnescapeQueryParams(true)
	result, err := prefetch.Run(t.Context(), repo, slices.Values(keys), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client}), Concurrency: 1})
	if err != nil || result.Fetched != len(keys) {
		t.Fatal(result, err)
	}
	base, _ := url.Parse(server.URL)
	var want []string
	for _, k := range keys {
		req, err := repo.Settings().Endpoint.Request(t.Context(), base, k)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, req.URL.RequestURI())
		if got, _, err := repo.Get(t.Context(), k); err != nil || got != req.URL.RequestURI() {
			t.Errorf("under %+v is the answer to %s, %v", k, got, err)
		}
	}
	if diff := cmp.Diff(want, *uris.Load()); diff != "" {
		t.Error(diff)
	}
}

func TestClientSettingsApply(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		serveTrack(w, r)
	})
	var before, after atomic.Int32
	client := quick(t).
		SetBaseURL(server.URL+"/").
		SetHeader("X-App", "test").
		SetAuthToken("secret").
		SetCookie(&http.Cookie{Name: "session", Value: "1"}).
		SetQueryParam("api_key", "key").
		SetRetryCount(5).
		OnBeforeRequest(func(*resty.Client, *resty.Request) error { before.Add(1); return nil }).
		OnAfterResponse(func(*resty.Client, *resty.Response) error { after.Add(1); return nil })
	want := reflect.ValueOf(*client)
	header, query := client.Header.Clone(), client.QueryParam.Encode()

	result := run(t, tracksOf(t, request.Pattern[string]("GET /tracks/{id}", request.IgnoreQuery("api_key"))), &prefetch.Options{Client: to(t, fetch.Options{Client: client})}, "a")
	if result.Fetched != 1 || before.Load() != 1 || after.Load() != 1 {
		t.Fatalf("%v, middlewares ran %d and %d times", result.Items, before.Load(), after.Load())
	}
	req := seen.Load()
	got := []string{req.Header.Get("X-App"), req.Header.Get("Authorization"), req.Header.Get("Cookie"), req.URL.RawQuery}
	if diff := cmp.Diff([]string{"test", "Bearer secret", "session=1", "api_key=key"}, got); diff != "" {
		t.Error(diff)
	}

	for i := range want.NumField() {
		field := want.Type().Field(i)
		if is := reflect.ValueOf(*client).Field(i); field.Type.Comparable() && !is.Equal(want.Field(i)) {
			t.Errorf("the client's %s was changed", field.Name)
		} else if is.Kind() == reflect.Slice && is.Len() != want.Field(i).Len() {
			t.Errorf("the client's %s has another length", field.Name)
		}
	}
	if !reflect.DeepEqual(client.Header, header) || client.QueryParam.Encode() != query {
		t.Errorf("the client has header %v, query %v", client.Header, client.QueryParam)
	}
}

func TestClientConditionsAndHooksOfRetries(t *testing.T) {
	var served, hooks atomic.Int32
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 1 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		serveTrack(w, r)
	})
	client := quick(t).
		AddRetryCondition(func(resp *resty.Response, err error) bool { return resp.StatusCode() == http.StatusNotFound }).
		AddRetryHook(func(*resty.Response, error) { hooks.Add(1) })
	result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client})}, "a")
	if result.Fetched != 1 || hooks.Load() != 1 {
		t.Errorf("%v after %d hooks", result.Items, hooks.Load())
	}
}

func TestErrorOfTheClientsMiddleware(t *testing.T) {
	mistake := errors.New("the envelope says no")
	server := newOrigin(t, nil)
	for name, client := range map[string]*resty.Client{
		"before": quick(t).OnBeforeRequest(func(*resty.Client, *resty.Request) error { return mistake }),
		"after":  quick(t).OnAfterResponse(func(*resty.Client, *resty.Response) error { return mistake }),
	} {
		before := server.total()
		result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client})}, "a")
		if result.Failed != 1 || !errors.Is(result.Items[0].Err, mistake) {
			t.Errorf("%s: %v", name, result.Items)
		}
		if n := server.total() - before; n > 1 {
			t.Errorf("%s: %d attempts", name, n)
		}
	}
}

func TestClientThatDoesNotParse(t *testing.T) {
	server := newOrigin(t, nil)
	repo := tracksOf(t, byID)
	client := quick(t).SetDoNotParseResponse(true)
	if result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client})}, "a"); result.Fetched != 1 {
		t.Error(result.Items)
	}
	client = quick(t).OnBeforeRequest(func(_ *resty.Client, r *resty.Request) error {
		r.SetDoNotParseResponse(true)
		return nil
	})
	if result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client, Retries: fetch.NoRetries})}, "b"); result.Failed != 1 {
		t.Error(result.Items)
	}
}

func TestHeadersAndStatusAreKept(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		w.Header()["X-Many"] = []string{"a", "b"}
		w.Header().Set("Set-Cookie", "session=1")
		serveTrack(w, r)
	})
	run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL})}, "a")
	e, ok, err := repo.GetEntry(t.Context(), "a")
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	header, err := e.Header()
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
	if e.Status != 200 || e.Name != "Title of a" {
		t.Errorf("status %d, name %q", e.Status, e.Name)
	}
}

func TestGzip(t *testing.T) {
	for name, client := range map[string]*resty.Client{
		"by the transport": quick(t),
		"by resty":         quick(t).SetHeader("Accept-Encoding", "gzip"),
	} {
		t.Run(name, func(t *testing.T) {
			repo := tracksOf(t, byID)
			server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "gzip" {
					t.Errorf("Accept-Encoding is %q", r.Header.Get("Accept-Encoding"))
				}
				w.Header().Set("Content-Encoding", "gzip")
				w.Write(zip(trackBody("a")))
			})
			run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client})}, "a")
			e, ok, err := repo.GetEntry(t.Context(), "a")
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			header, _ := e.Header()
			if string(e.Payload) != trackBody("a") || header.Get("Content-Encoding") != "" || header.Get("Content-Length") != "" {
				t.Errorf("payload %q, header %v", e.Payload, header)
			}
		})
	}
}

func TestBodiesAreKeptByteForByte(t *testing.T) {
	repo := repositoryOf[string, []byte](t, byID)
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
	result, err := prefetch.Run(t.Context(), repo, slices.Values([]string{"a", "empty", "other"}), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL})})
	if err != nil || result.Fetched != 3 {
		t.Fatal(result, err)
	}
	got, err := repo.GetMany(t.Context(), []string{"a", "empty", "other"})
	if err != nil || !bytes.Equal(got["a"], body) || !bytes.Equal(got["other"], body) || len(got["empty"]) != 0 {
		t.Error("bodies differ", err)
	}
}

func TestMaxBody(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "large":
			io.WriteString(w, strings.Repeat(" ", 100_000))
		case "zipped":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zip(strings.Repeat(" ", 100_000)))
		}
		serveTrack(w, r)
	})
	for name, opts := range map[string]fetch.Options{
		"options": {MaxBody: 50_000},
		"client":  {Client: quick(t).SetResponseBodyLimit(50_000)},
	} {
		before := server.total()
		opts.BaseURL = server.URL
		result := run(t, repo, &prefetch.Options{Client: to(t, opts), Refresh: true}, "large", "zipped", "small")
		if counts(result) != [3]int{0, 1, 2} || server.total()-before != 3 {
			t.Errorf("%s: %v after %d requests", name, result.Items, server.total()-before)
		}
		for key, err := range result.Failures() {
			if !errors.Is(err, resty.ErrResponseBodyTooLarge) {
				t.Errorf("%s: %s: %v", name, key, err)
			}
		}
	}
}

func TestRedirectIsSavedUnderTheKeyAskedFor(t *testing.T) {
	repo := tracksOf(t, byID)
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "old" {
			http.Redirect(w, r, "/tracks/new", http.StatusMovedPermanently)
			return
		}
		serveTrack(w, r)
	})
	run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL})}, "old")
	if got, _, err := repo.Get(t.Context(), "old"); err != nil || got.ID != "new" {
		t.Error(got, err)
	}
	if ok, _ := repo.Contains(t.Context(), "new"); ok {
		t.Error("it is saved under the other key, too")
	}

	client := quick(t).SetRedirectPolicy(resty.NoRedirectPolicy())
	result := run(t, repo, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: client}), Refresh: true}, "old")
	var err *fetch.StatusError
	if result.Failed != 1 || !errors.As(result.Items[0].Err, &err) || err.Code != 301 || !errors.Is(err, resty.ErrAutoRedirectDisabled) {
		t.Error(result.Items)
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
			repo := repositoryOf[string, string](t, endpoint)
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
			result, err := prefetch.Run(t.Context(), repo, slices.Values([]string{"a", "b", "ü"}), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: quick(t)}), Concurrency: 1})
			if err != nil || result.Fetched != 3 || served.Load() != 6 {
				t.Fatal(result, err, served.Load())
			}
			got, err := repo.GetMany(t.Context(), []string{"a", "b", "ü"})
			if diff := cmp.Diff(map[string]string{"a": `{"q":"a"}`, "b": `{"q":"b"}`, "ü": `{"q":"ü"}`}, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestErrorsTellNoSecrets(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch path.Base(r.URL.Path) {
		case "abort":
			panic(http.ErrAbortHandler)
		case "loop":
			http.Redirect(w, r, r.RequestURI, http.StatusFound)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	endpoint := request.Pattern[string]("/tracks/{id}", request.IgnoreQuery("token"))
	base := strings.Replace(server.URL, "http://", "http://me:s3cret@", 1) + "?token=s3cret"
	client := quick(t).SetQueryParam("key", "s3cret")
	result := run(t, tracksOf(t, endpoint), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: base, Client: client, Retries: 1})}, "abort", "loop", "forbidden")
	if result.Failed != 3 {
		t.Fatal(result.Items)
	}
	for key, err := range result.Failures() {
		if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), server.URL+"/tracks/"+key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestRequestThatCannotBeBuilt(t *testing.T) {
	server := newOrigin(t, nil)
	result := run(t, tracksOf(t, byID), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL})}, "..", "a", "")
	if counts(result) != [3]int{0, 1, 2} {
		t.Error(result.Items)
	}
}

// What the client adds to a request may make it another's.
func TestAnAnswerForAnotherKeyIsNotSaved(t *testing.T) {
	server := newOrigin(t, serveTrack)
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
		User   string `header:"Authorization,hash"`
	}
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[key, string]{
		Name: "tracks", Endpoint: request.Pattern[key]("GET api.example.com/tracks/{id}"), Payload: payload.String(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine := request.HeaderHash("Bearer mine")
	for name, test := range map[string]struct {
		client  *resty.Client
		fetched []key
	}{
		"nothing is added":     {quick(t), []key{{ID: "a"}, {ID: "a", Market: "DE"}}},
		"a token":              {quick(t).SetAuthToken("mine"), []key{{ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}}},
		"a known parameter":    {quick(t).SetQueryParam("market", "US"), nil},
		"an unknown parameter": {quick(t).SetQueryParam("lang", "de"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			keys := []key{{ID: "a"}, {ID: "a", Market: "DE"}, {ID: "a", User: mine}, {ID: "a", Market: "DE", User: mine}, {ID: "a", User: "another's"}}
			result, err := prefetch.Run(t.Context(), repo, slices.Values(keys), &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL, Client: test.client}), Refresh: true})
			if err != nil {
				t.Fatal(err)
			}
			var fetched []key
			for _, item := range result.Items {
				if item.Status == prefetch.Fetched {
					fetched = append(fetched, item.Key)
				}
			}
			if diff := cmp.Diff(test.fetched, fetched); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMaxFailuresCountsWhatCannotBeDecoded(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>log in") })
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	repo, err := repository.New(t.Context(), store, settings.RepositorySettings[int, any]{
		Name: "tracks", Endpoint: request.Pattern[int]("GET /tracks/{id}"), Payload: payload.JSON[any](),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	endless := func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	result, err := prefetch.Run(t.Context(), repo, endless, &prefetch.Options{Client: to(t, fetch.Options{BaseURL: server.URL}), MaxFailures: 5})
	if !errors.Is(err, prefetch.ErrMaxFailures) || result.Failed < 5 {
		t.Errorf("%d failed, %v", result.Failed, err)
	}
}

// A panic of the user's code is Run's.
func TestAPanicIsTheCallers(t *testing.T) {
	server := newOrigin(t, serveTrack)
	store, err := sqlite.OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	own := to(t, fetch.Options{BaseURL: server.URL})
	middleware := quick(t).OnBeforeRequest(func(*resty.Client, *resty.Request) error { panic("oops") })
	for name, opts := range map[string]*prefetch.Options{
		"a middleware": {Client: to(t, fetch.Options{BaseURL: server.URL, Client: middleware})},
		"a name":       {Client: own},
		"progress":     {Client: own, Progress: func(prefetch.Progress) { panic("oops") }},
		"an item":      {Client: own},
		"a group":      {Client: own},
	} {
		t.Run(name, func(t *testing.T) {
			s := settings.RepositorySettings[int, string]{
				Name: name, Endpoint: request.Pattern[int]("GET /tracks/{id}"), Payload: payload.String(),
			}
			if name == "a name" {
				s.NameOf = func(string) string { panic("oops") }
			}
			if name == "a group" {
				s.Batch = request.BatchFunc(request.BatchFuncs[int]{
					MaxKeys: 10, Together: func(int) (any, bool) { panic("oops") },
					Build: func(context.Context, *url.URL, []int) (*http.Request, error) { return nil, nil },
					Take:  func([]byte, []int) ([][]byte, error) { return nil, nil },
				})
			}
			repo, err := repository.New(t.Context(), store, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if p := recover(); p != "oops" {
					t.Errorf("recovered %v", p)
				}
			}()
			if name == "an item" {
				_, err = prefetch.Each(t.Context(), repo, slices.Values(numbers(500)), opts, func(prefetch.Item[int]) { panic("oops") })
			} else {
				_, err = prefetch.Run(t.Context(), repo, slices.Values(numbers(500)), opts)
			}
			t.Errorf("no panic, %v", err)
		})
	}
}

func numbers(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

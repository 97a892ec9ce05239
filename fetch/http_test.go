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
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-resty/resty/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
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

func TestClientSettingsApply(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		serve(w, r)
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

	a := ask(t, request.Pattern[string]("GET /tracks/{id}", request.IgnoreQuery("api_key")), fetch.Options{Client: client}, "a")[0]
	if a.Err != nil || before.Load() != 1 || after.Load() != 1 {
		t.Fatalf("%v, middlewares ran %d and %d times", a.Err, before.Load(), after.Load())
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
		serve(w, r)
	})
	client := quick(t).
		AddRetryCondition(func(resp *resty.Response, err error) bool { return resp.StatusCode() == http.StatusNotFound }).
		AddRetryHook(func(*resty.Response, error) { hooks.Add(1) })
	a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "a")[0]
	if a.Err != nil || hooks.Load() != 1 {
		t.Errorf("%v after %d hooks", a.Err, hooks.Load())
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
		a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "a")[0]
		if !errors.Is(a.Err, mistake) {
			t.Errorf("%s: %v", name, a.Err)
		}
		if n := server.total() - before; n > 1 {
			t.Errorf("%s: %d attempts", name, n)
		}
	}
}

func TestClientThatDoesNotParse(t *testing.T) {
	server := newOrigin(t, nil)
	client := quick(t).SetDoNotParseResponse(true)
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "a")[0]; a.Err != nil {
		t.Error(a.Err)
	}
	client = quick(t).OnBeforeRequest(func(_ *resty.Client, r *resty.Request) error {
		r.SetDoNotParseResponse(true)
		return nil
	})
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client, Retries: fetch.NoRetries}, "b")[0]; a.Err == nil {
		t.Error("there is an answer without a body")
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

func TestGzip(t *testing.T) {
	for name, client := range map[string]*resty.Client{
		"by the transport": quick(t),
		"by resty":         quick(t).SetHeader("Accept-Encoding", "gzip"),
	} {
		t.Run(name, func(t *testing.T) {
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
			source := sourceOf(t, clientOf(t, fetch.Options{BaseURL: server.URL, Client: client}), settingsOf(byID, batchOf(2)))
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
		})
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
	for name, opts := range map[string]fetch.Options{
		"options": {MaxBody: 50_000},
		"client":  {Client: quick(t).SetResponseBodyLimit(50_000)},
	} {
		before := server.total()
		opts.BaseURL = server.URL
		got := ask(t, byID, opts, "large", "zipped", "small")
		if got[2].Err != nil || server.total()-before != 3 {
			t.Errorf("%s: %v after %d requests", name, got[2].Err, server.total()-before)
		}
		for _, a := range got[:2] {
			if !errors.Is(a.Err, resty.ErrResponseBodyTooLarge) {
				t.Errorf("%s: %v", name, a.Err)
			}
		}
	}
}

func TestRedirects(t *testing.T) {
	server := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "old" {
			http.Redirect(w, r, "/tracks/new", http.StatusMovedPermanently)
			return
		}
		serve(w, r)
	})
	if a := ask(t, byID, fetch.Options{BaseURL: server.URL}, "old")[0]; string(a.Entry.Payload) != trackBody("new") {
		t.Error(a.Err)
	}
	client := quick(t).SetRedirectPolicy(resty.NoRedirectPolicy())
	a := ask(t, byID, fetch.Options{BaseURL: server.URL, Client: client}, "old")[0]
	var err *fetch.StatusError
	if !errors.As(a.Err, &err) || err.Code != 301 || !errors.Is(err, resty.ErrAutoRedirectDisabled) {
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

package restyfetch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/fetch/restyfetch"
	"github.com/endpointcache/endpointcache/request"
)

func TestClientSettingsApplyAndAreLeftAsTheyAre(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
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
		SetPathParam("id", "wrong").
		SetRetryCount(5).
		SetDoNotParseResponse(true).
		OnBeforeRequest(func(*resty.Client, *resty.Request) error { before.Add(1); return nil }).
		OnAfterResponse(func(*resty.Client, *resty.Response) error { after.Add(1); return nil })
	want := reflect.ValueOf(*client)
	header, query := client.Header.Clone(), client.QueryParam.Encode()

	endpoint := request.Pattern[string]("GET /tracks/{id}", request.IgnoreQuery("api_key"))
	a := ask(t, sourceOf(t, restyfetch.Options(client), bodies(endpoint, nil)), "a")[0]
	if a.Err != nil || string(a.Entry.Payload) != trackBody("a") || before.Load() != 1 || after.Load() != 1 {
		t.Fatalf("%q, %v, middlewares ran %d and %d times", a.Entry.Payload, a.Err, before.Load(), after.Load())
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
		} else if (is.Kind() == reflect.Slice || is.Kind() == reflect.Map) && is.Len() != want.Field(i).Len() {
			t.Errorf("the client's %s has another length", field.Name)
		}
	}
	if !reflect.DeepEqual(client.Header, header) || client.QueryParam.Encode() != query {
		t.Errorf("the client has header %v, query %v", client.Header, client.QueryParam)
	}
}

func TestWithoutAClient(t *testing.T) {
	server := newServer(t, nil)
	opts := at(server.URL, nil)
	if a := askOne(t, opts, "a"); a.Err != nil || string(a.Entry.Payload) != trackBody("a") {
		t.Errorf("%q, %v", a.Entry.Payload, a.Err)
	}
	server.CloseClientConnections() // which nobody else can
}

// The endpoint says what is asked for, to the letter.
func TestURLsReachTheServerAsTheyAreBuilt(t *testing.T) {
	type key struct {
		ID    string `path:"id"`
		Query string `query:"q"`
	}
	endpoint := request.Pattern[key]("/v1/{id}/x")
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) })
	keys := []key{
		{"a/b", ""}, {"ä €", "ü&="}, {"100%", "50%"}, {"what?", "?"}, {"{id}", "{id}"}, {"a+b c", "a+b c"},
		{"%2F", "%2F"}, {"a;b", "a;b"}, {"#", "#"}, {"日本", "語"}, {"a//b", "//"}, {"...", "../.."}, {"-_.~!$&'()*+,=:@", "!*'()"},
	}
	client := quick(t).SetPathParam("id", "wrong").SetFormData(map[string]string{"wrong": "wrong"}).SetUnescapeQueryParams(true)
	got := ask(t, sourceOf(t, at(server.URL, client), bodies(endpoint, nil)), keys...)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		req, err := endpoint.Request(t.Context(), base, k)
		if err != nil {
			t.Fatal(err)
		}
		if got := got[i]; got.Err != nil || string(got.Entry.Payload) != req.URL.RequestURI() {
			t.Errorf("for %+v the answer is that to %s, %v", k, got.Entry.Payload, got.Err)
		}
	}
}

// posting is an endpoint that sends the key as a body.
func posting(method string) request.Endpoint[string] {
	return request.Func(
		func(*http.Request) (string, bool, error) { return "", false, nil },
		func(ctx context.Context, base *url.URL, key string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, method, base.JoinPath("search").String(), strings.NewReader(key))
			if err == nil {
				req.Header.Set("Content-Type", "text/plain")
				req.Host = "search.example.com"
			}
			return req, err
		})
}

func TestBodyIsSentOnEachAttempt(t *testing.T) {
	for _, method := range []string{http.MethodPost, http.MethodGet, "QUERY"} {
		t.Run(method, func(t *testing.T) {
			server := newServer(t, nil)
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.Method != method || r.Host != "search.example.com" || r.Header.Get("Content-Type") != "text/plain" {
					t.Errorf("%s to %s with header %v", r.Method, r.Host, r.Header)
				}
				if server.count.Add(1)%2 == 1 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				w.Write(body)
			})
			client := quick(t).SetRetryCount(3).AddRetryCondition(isUnavailable)
			keys := []string{"a", "b", "ü"}
			for i, a := range ask(t, sourceOf(t, at(server.URL, client), bodies(posting(method), nil)), keys...) {
				if a.Err != nil || string(a.Entry.Payload) != keys[i] {
					t.Errorf("%q, %v; want %q", a.Entry.Payload, a.Err, keys[i])
				}
			}
			if n := server.asked(); n != 6 {
				t.Errorf("%d requests", n)
			}
		})
	}
	server := newServer(t, nil)
	a := ask(t, sourceOf(t, at(server.URL, quick(t).SetRetryCount(3)), bodies(posting(http.MethodHead), nil)), "a")[0]
	if a.Err == nil || server.asked() != 0 {
		t.Errorf("a body of HEAD: %v", a.Err)
	}
}

func isUnavailable(resp *resty.Response, err error) bool {
	return err != nil || resp.StatusCode() == http.StatusServiceUnavailable
}

// What a middleware has made of the body is what is kept, and one that it had resty leave
// alone is read all the same.
func TestMiddlewareAndTheBody(t *testing.T) {
	server := newServer(t, nil)
	for name, test := range map[string]struct {
		client *resty.Client
		want   string
	}{
		"left alone": {quick(t).OnBeforeRequest(func(_ *resty.Client, r *resty.Request) error {
			r.SetDoNotParseResponse(true)
			return nil
		}), trackBody("a")},
		"by the client": {quick(t).SetDoNotParseResponse(true), trackBody("a")},
		"replaced": {quick(t).OnAfterResponse(func(_ *resty.Client, r *resty.Response) error {
			r.SetBody([]byte("{}"))
			return nil
		}), "{}"},
	} {
		a := askOne(t, at(server.URL, test.client), "a")
		header, err := a.Entry.Header()
		if a.Err != nil || err != nil || string(a.Entry.Payload) != test.want {
			t.Errorf("%s: %q, %v, %v", name, a.Entry.Payload, a.Err, err)
		}
		if got := header.Get("Content-Length"); (got == "") != (name == "replaced") {
			t.Errorf("%s: Content-Length is %q", name, got)
		}
	}
}

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.Bytes()
}

func TestGzip(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if ids, many := idsOf(r); many {
			w.Write(zip(tracksBody(ids...)))
		} else {
			w.Write(zip(trackBody("a")))
		}
	})
	for name, client := range map[string]*resty.Client{
		"by the transport": quick(t),
		"by resty":         quick(t).SetHeader("Accept-Encoding", "gzip"),
	} {
		source := sourceOf(t, at(server.URL, client), bodies(byID, batchOf(2)))
		for i, a := range ask(t, source, "b", "c", "a") {
			header, err := a.Entry.Header()
			if a.Err != nil || err != nil {
				t.Fatal(name, a.Err, err)
			}
			want := trackBody([]string{"b", "c", "a"}[i])
			if string(a.Entry.Payload) != want || header.Get("Content-Encoding") != "" || header.Get("Content-Length") != "" {
				t.Errorf("%s: payload %q, header %v", name, a.Entry.Payload, header)
			}
		}
	}
}

func TestBodyThatIsTooLarge(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		ids, many := idsOf(r)
		switch {
		case path.Base(r.URL.Path) == "zipped":
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(zip(strings.Repeat(" ", 100_000)))
		case many && len(ids) > 1, path.Base(r.URL.Path) == "large":
			io.WriteString(w, strings.Repeat(" ", 100_000))
		}
		serve(w, r)
	})
	client := quick(t).SetResponseBodyLimit(50_000)
	got := ask(t, sourceOf(t, at(server.URL, client), bodies(byID, nil)), "large", "zipped", "small")
	if got[2].Err != nil || server.asked() != 3 {
		t.Errorf("the small one: %v", got[2].Err)
	}
	for _, a := range got[:2] {
		if !errors.Is(a.Err, fetch.ErrBodyTooLarge) || !errors.Is(a.Err, resty.ErrResponseBodyTooLarge) {
			t.Error(a.Err)
		}
	}
	for _, a := range ask(t, sourceOf(t, at(server.URL, client), bodies(byID, batchOf(2))), "a", "b") {
		if a.Err != nil {
			t.Errorf("of a batch that is halved: %v", a.Err)
		}
	}
	opts := at(server.URL, quick(t))
	opts.MaxBody = 50_000
	if a := askOne(t, opts, "large"); !errors.Is(a.Err, fetch.ErrBodyTooLarge) {
		t.Errorf("with MaxBody: %v", a.Err)
	}
}

func TestRedirects(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "old" {
			http.Redirect(w, r, "/tracks/new", http.StatusMovedPermanently)
			return
		}
		serve(w, r)
	})
	if a := askOne(t, at(server.URL, quick(t)), "old"); a.Err != nil || string(a.Entry.Payload) != trackBody("new") {
		t.Error(a.Err)
	}
	server.asked()
	for name, retried := range map[string]bool{"once": false, "with the retries of fetch": true} {
		opts := at(server.URL, quick(t).SetRedirectPolicy(resty.NoRedirectPolicy()))
		if retried {
			opts.Retry = nil
		}
		a := askOne(t, opts, "old")
		var err *fetch.StatusError
		if n := server.asked(); !errors.As(a.Err, &err) || err.Code != 301 || !errors.Is(err, resty.ErrAutoRedirectDisabled) || n != 1 {
			t.Errorf("%s: %v after %d requests", name, a.Err, n)
		}
	}
}

func TestTimeoutOfTheClient(t *testing.T) {
	server := newServer(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a := askOne(t, at(server.URL, quick(t).SetTimeout(50*time.Millisecond)), "a")
	var failed *fetch.RequestError
	var timeout interface{ Timeout() bool }
	if !errors.As(a.Err, &failed) || !errors.As(a.Err, &timeout) || !timeout.Timeout() {
		t.Error(a.Err)
	}
}

func TestDigestAuth(t *testing.T) {
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Digest ") {
			w.Header().Set("WWW-Authenticate", `Digest realm="test", nonce="1", qop="auth", algorithm=MD5`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		serve(w, r)
	})
	type key struct {
		ID   string `path:"id"`
		User string `header:"Authorization,hash"`
	}
	endpoint := request.Pattern[key]("/tracks/{id}")
	client := quick(t).SetDigestAuth("me", "secret")
	for _, a := range ask(t, sourceOf(t, at(server.URL, client), bodies(endpoint, nil)), key{ID: "a"}, key{ID: "b"}) {
		if a.Err != nil {
			t.Error(a.Err)
		}
	}
	if n := server.asked(); n != 4 {
		t.Errorf("%d requests", n)
	}
}

package privacy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

var params = strings.Fields(`
	token access_token private_token job_token bearer_token deploy_token user_key application_key api_key code passphrase
	PHPSESSID otp SAMLResponse assertion ticket hmac csrf token_v2 tok email sig password client_secret
`)

var headers = strings.Fields(`
	Authorization Proxy-Authorization Cookie X-Api-Key X-Auth-Token X-Csrf-Token Private-Token X-Tenant Baggage From
	X-Forwarded-User DPoP X-Whatever
`)

// request has secrets in all its parts.
func (w *watch) request(t *testing.T, method, base, path string) *http.Request {
	t.Helper()
	u, err := url.Parse(base + path)
	check(t, err)
	if strings.HasSuffix(path, "/user") {
		u.User = url.UserPassword("user", w.secret("the password of a URL"))
	}
	query := url.Values{}
	for _, name := range params {
		query.Set(name, w.secret("the parameter "+name))
	}
	query.Set("next", "/a?token="+w.secret("a parameter of a URL in a parameter"))
	u.RawQuery = query.Encode()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"password":"` + w.secret("a member of a request's body") + `"}`)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, u.String(), body)
	check(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, name := range headers {
		if u.User == nil || name != "Authorization" {
			req.Header.Set(name, w.secret("the header "+name+" of a request"))
		}
	}
	return req
}

// roundTrip asks twice, of which the second may be a hit.
func (w *watch) roundTrip(rt http.RoundTripper, req *http.Request) {
	for range 2 {
		again := req.Clone(req.Context())
		if req.GetBody != nil {
			again.Body, _ = req.GetBody()
		}
		resp, err := rt.RoundTrip(again)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		w.tries("RoundTrip", err)
	}
}

func TestTransport(t *testing.T) {
	for _, kind := range stores {
		for mode, p := range map[string]policy.Policy{
			"by the clock":     {Methods: []string{"POST"}, ExpireStatus: map[int]policy.Expiry{401: policy.After(time.Hour)}},
			"by Cache-Control": {CacheControl: policy.On, Expire: policy.After(time.Hour), Methods: []string{"POST"}},
		} {
			t.Run(kind.name+" "+mode, func(t *testing.T) {
				w, dir := newWatch(t), t.TempDir()
				api := newAPI(t, w)
				c, err := cache.New(kind.open(t, dir, w), &cache.Options{
					Policy: p, Logger: w.logger(), Redact: redact.Rules{JSON: []string{"password"}},
				})
				check(t, err)
				repo, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
				check(t, err)
				base := &http.Transport{ResponseHeaderTimeout: 300 * time.Millisecond}
				defer base.CloseIdleConnections()
				rt := transport.New(c, &transport.Options{Base: base})
				for _, path := range []string{
					"/ok", "/ok/user", "/ok;jsessionid=" + w.secret("a parameter of the path"), "/moved", "/nowhere", "/loop",
					"/scheme", "/fail", "/refuse", "/slow", "/cut", "/text",
				} {
					w.roundTrip(rt, w.request(t, http.MethodGet, api.URL, path))
				}
				w.roundTrip(rt, w.request(t, http.MethodPost, api.URL, "/ok"))
				w.roundTrip(rt, w.request(t, http.MethodGet, "http://127.0.0.1:1", "/refused"))
				req := w.request(t, http.MethodGet, api.URL, "/ok/saved")
				key, _, err := repo.Key(req)
				check(t, err)
				w.tell("a key", fmt.Sprintf("%+v", key))
				header := http.Header{"X-Auth-Token": {w.secret("a header that is saved")}, "Content-Type": {"application/json"}}
				entry, err := repository.NewEntry(200, repository.Head{Header: header}, []byte(`{"password":"`+w.secret("a member that is saved")+`"}`))
				check(t, err)
				check(t, repo.SaveEntry(t.Context(), key, entry))
				_, err = repo.Settings().Endpoint.Request(t.Context(), nil, key)
				w.failed("Request", err)
				w.tell("Stats", fmt.Sprintf("%+v", c.Stats()))
				if n, err := c.Count(t.Context(), repository.All); n < 4 || err != nil {
					t.Errorf("%d entries are stored, %v", n, err)
				}
				check(t, c.Close())
				w.check(dir)

				damage(t, dir)
				w.damaged(kind, dir, api)
				w.check(dir)
			})
		}
	}
}

// damaged uses a store whose files are damaged.
func (w *watch) damaged(kind store, dir string, api *api) {
	t := w.t
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v", p)
		}
	}()
	opened, err := reopen(kind, t, dir, w)
	if err != nil {
		w.failed("Open", err)
		return
	}
	c, err := cache.New(opened, &cache.Options{Logger: w.logger()})
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
	w.tries("CreateRepository", err)
	rt := transport.New(c, nil)
	w.roundTrip(rt, w.request(t, http.MethodGet, api.URL, "/ok"))
	_, err = c.Count(t.Context(), repository.All)
	w.tries("Count", err)
	_, err = c.Clear(t.Context(), repository.All)
	w.tries("Clear", err)
}

// What a response varies by is noted beside it, and may be a credential.
func TestVariantsOfCredentialsCannotBeFoundByTrying(t *testing.T) {
	w, dir := newWatch(t), t.TempDir()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Vary", "X-Api-Key")
		rw.Header().Set("Cache-Control", "max-age=60")
	}))
	defer server.Close()
	c, err := cache.New(stores[1].open(t, dir, w), &cache.Options{Policy: policy.Policy{CacheControl: policy.On}, Logger: w.logger()})
	check(t, err)
	_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{
		Name: "varying", Pattern: "/{id}", Payload: payload.Bytes(), Scope: settings.Shared,
	})
	check(t, err)
	client := &http.Client{Transport: transport.New(c, nil)}
	for i, pin := range []string{"1234", "5678", "1234"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/a", nil)
		check(t, err)
		req.Header.Set("X-Api-Key", pin)
		resp, err := client.Do(req)
		check(t, err)
		resp.Body.Close()
		if hit := resp.Header.Get("Age") != "" || strings.Contains(resp.Header.Get("Cache-Status"), "hit"); hit != (i == 2) {
			t.Errorf("request %d: the header is %v", i, resp.Header)
		}
		w.secrets[rfc9111.Variant(http.Header{"Vary": {"X-Api-Key"}}, req.Header)] = "a digest of the header X-Api-Key"
	}
	w.tell("Stats", fmt.Sprintf("%+v", c.Stats()))
	check(t, c.Close())
	w.check(dir)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// The values of panics are often errors of the network.
func TestPanics(t *testing.T) {
	w := newWatch(t)
	text := func() string { return "refused: https://h/?token=" + w.secret("a URL in a panic") }
	for _, opts := range []cache.Options{
		{}, {Policy: policy.Policy{Keep: func(*policy.Exchange) bool { panic(text()) }}},
	} {
		opts.Logger = w.logger()
		c, err := cache.New(stores[1].open(t, t.TempDir(), w), &opts)
		check(t, err)
		_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
			Name: "panics", Scope: settings.Shared, Pattern: "/v1/{id}", Payload: payload.String(),
			NameOf: func(string) string { panic(text()) },
		})
		check(t, err)
		w.roundTrip(transport.New(c, &transport.Options{Base: roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req, Header: http.Header{}, Body: http.NoBody,
			}, nil
		})}), httptest.NewRequest(http.MethodGet, "http://h/v1/a", nil))
		rt := transport.New(c, &transport.Options{Base: roundTripper(func(*http.Request) (*http.Response, error) { panic(text()) })})
		_, err = rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://h/v1/base", nil)) //nolint:bodyclose // there is none
		w.failed("RoundTrip", err)
		check(t, c.Close())
	}
	w.check("")
}

// Package scopetest tries whether two users of one cache can get each other's answers: through
// every door, in sequence and at once, in both modes, however they show who they are.
package scopetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

// own is what the API tells each user of a thing.
type own struct {
	ID   string `json:"id"`
	User string `json:"user"`
}

type things = settings.RepositorySettings[string, own]

// api tells whoever asks for a thing who has asked. A token is a user's name, a hyphen and a
// number.
type api struct {
	*httptest.Server
	requests atomic.Int64
}

func newAPI(t testing.TB) *api {
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func userOf(r *http.Request) string {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, ok := r.BasicAuth(); ok {
		token = password
	}
	for _, other := range []string{r.Header.Get("X-Api-Key"), r.Header.Get("X-Session-Token"), r.URL.Query().Get("access_token")} {
		if other != "" {
			token = other
		}
	}
	if c, err := r.Cookie("session"); err == nil {
		token = c.Value
	}
	name, _, _ := strings.Cut(token, "-")
	return name
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	user := userOf(r)
	if user == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Set-Cookie", "seen="+user)
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Etag", `"same for all"`)
	w.Header().Set("X-User", user)
	id := strings.TrimPrefix(r.URL.Path, "/things/")
	switch {
	case strings.HasPrefix(id, "moved"):
		to := url.URL{Path: "/things/" + strings.TrimPrefix(id, "moved"), RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
	case strings.HasPrefix(id, "busy"):
		tell(w, http.StatusServiceUnavailable, own{id, user})
	default:
		tell(w, http.StatusOK, own{id, user})
	}
}

func tell(w http.ResponseWriter, status int, what own) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(what)
}

// user is one of those who ask.
type user struct {
	name  string
	round int // of the token
}

func (u user) token() string { return fmt.Sprintf("%s-%d", u.name, u.round) }

// way is how users show who they are: they add credentials to a request above the cache, or
// below it with a base transport.
type way struct {
	name  string
	above func(u user, req *http.Request)
	below func(u user, base http.RoundTripper, host string) http.RoundTripper
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func inHeader(name, prefix string) func(user, *http.Request) {
	return func(u user, req *http.Request) { req.Header.Set(name, prefix+u.token()) }
}

var ways = []way{
	{name: "bearer", above: inHeader("Authorization", "Bearer ")},
	{name: "cookie", above: inHeader("Cookie", "session=")},
	{name: "api key", above: inHeader("X-Api-Key", "")},
	{name: "session token", above: inHeader("X-Session-Token", "")},
	{name: "parameter", above: func(u user, req *http.Request) {
		req.URL.RawQuery = url.Values{"access_token": {u.token()}}.Encode()
	}},
	{name: "user information", above: func(u user, req *http.Request) { req.URL.User = url.UserPassword("me", u.token()) }},
	{name: "added below", below: func(u user, base http.RoundTripper, _ string) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Set("Authorization", "Bearer "+u.token())
			return base.RoundTrip(req)
		})
	}},
	{name: "added below, beside a key for all", above: inHeader2("X-Api-Key", ""), below: func(u user, base http.RoundTripper, _ string) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			req = req.Clone(req.Context())
			req.Header.Del("X-Api-Key")
			req.Header.Set("Authorization", "Bearer "+u.token())
			return base.RoundTrip(req)
		})
	}},
	{name: "origin", below: func(u user, base http.RoundTripper, host string) http.RoundTripper {
		return origin.New(base, &origin.Options{Credentials: &origin.Credentials{Hosts: []string{host}, Token: origin.Static(u.token())}})
	}},
}

func inHeader2(name, value string) func(user, *http.Request) {
	return func(_ user, req *http.Request) { req.Header.Set(name, value+"app-1") }
}

// world is a cache that users share.
type world struct {
	t     testing.TB
	api   *api
	cache *cache.ResponseCache
	scope settings.Scope
	named bool // the calls' contexts name the identity
}

func (w *world) context(u user) context.Context {
	if w.named {
		return identity.With(w.t.Context(), u.name)
	}
	return w.t.Context()
}

// client is a user's client over the cache.
func (w *world) client(u user, by way, jar http.CookieJar) *http.Client {
	base := http.DefaultTransport
	if by.below != nil {
		base = by.below(u, base, strings.TrimPrefix(w.api.URL, "http://"))
	}
	return &http.Client{Transport: transport.New(w.cache, &transport.Options{Base: base}), Jar: jar}
}

// get asks for a thing and returns whose answer came.
func (w *world) get(u user, by way, client *http.Client, id string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.context(u), http.MethodGet, w.api.URL+"/things/"+id, nil)
	check(w.t, err)
	if by.above != nil {
		by.above(u, req)
	}
	resp, err := client.Do(req)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(resp.Body)
	check(w.t, err)
	var got own
	if err := json.Unmarshal(body, &got); err != nil || got.User != u.name || resp.Header.Get("X-User") != u.name {
		w.t.Errorf("%s asked for %s and got %s's answer: %d %s (%v)", u.name, id, got.User, resp.StatusCode, body, err)
	}
	for _, c := range resp.Cookies() {
		if c.Value != u.name {
			w.t.Errorf("%s asked for %s and got a cookie of %s", u.name, id, c.Value)
		}
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var users = []user{{"alice", 1}, {"bob", 1}}

// each calls ask for both users, in sequence and at once.
func each(ask func(u user, round string)) {
	for range 2 {
		for _, u := range users {
			ask(u, "s")
		}
	}
	var group sync.WaitGroup
	for range 3 {
		for _, u := range users {
			group.Go(func() { ask(u, "c") })
		}
	}
	group.Wait()
}

// Run tries everything on a cache over the store that open returns, and closes it.
func Run(t *testing.T, open func(t testing.TB) driver.Store) {
	store := open(t)
	t.Cleanup(func() { check(t, store.Close()) })
	n := 0
	for _, scope := range []settings.Scope{settings.Undeclared, settings.PerIdentity} {
		for _, control := range []policy.Switch{policy.Off, policy.On} {
			n++
			name := fmt.Sprintf("%v, %s", scope, map[policy.Switch]string{policy.Off: "by policy", policy.On: "by headers"}[control])
			t.Run(name, func(t *testing.T) {
				run(t, store, fmt.Sprint("t", n), scope, policy.Policy{CacheControl: control})
			})
		}
	}
}

// kept is a store that is not closed with its cache.
type kept struct{ driver.Store }

func (kept) Close() error { return nil }

func run(t *testing.T, store driver.Store, prefix string, scope settings.Scope, p policy.Policy) {
	c, err := cache.New(kept{store}, &cache.Options{Policy: p})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	for i, typed := range []bool{true, false} {
		w := &world{t: t, api: newAPI(t), cache: c, scope: scope}
		name := fmt.Sprint(prefix, "_", i)
		if typed {
			s := things{
				Name: name, Scope: scope, Policy: policy.Policy{StaleIfError: 1 << 40},
				Endpoint: request.Pattern[string]("GET "+strings.TrimPrefix(w.api.URL, "http://")+"/things/{id}", request.IgnoreQuery("access_token")),
			}
			_, err = cache.CreateRepository(t.Context(), c, s)
		} else {
			all := settings.CatchAll(name, &request.AnyOptions{IgnoreHeaders: []string{"*"}, IgnoreQuery: []string{"*"}})
			all.Scope = scope
			_, err = cache.CreateRepository(t.Context(), c, all)
		}
		check(t, err)
		w.throughTransports(typed)
	}
	if scope == settings.PerIdentity {
		named(t, c, prefix+"_named")
	}
	throughFetchers(t, c, prefix, scope)
}

func (w *world) throughTransports(typed bool) {
	for i, by := range ways {
		for _, u := range users { // each with a client of its own
			client := w.client(u, by, nil)
			w.get(u, by, client, fmt.Sprint("own", i))
		}
		clients := map[string]*http.Client{}
		for _, u := range users {
			jar, err := cookiejar.New(nil)
			check(w.t, err)
			clients[u.name] = w.client(u, by, jar)
		}
		for _, kind := range []string{"", "moved", "busy"} {
			if kind == "busy" && by.name == "origin" {
				continue // it would pause
			}
			each(func(u user, round string) {
				w.get(u, by, clients[u.name], fmt.Sprintf("%s%s%d%t", kind, round, i, typed))
			})
		}
		if w.scope == settings.PerIdentity && by.below == nil {
			w.hits(by, clients["alice"], fmt.Sprint("again", i, typed))
		}
	}
}

// hits checks that what a user has asked for is stored for that user.
func (w *world) hits(by way, client *http.Client, id string) {
	w.t.Helper()
	w.get(users[0], by, client, id)
	before := w.api.requests.Load()
	client.Jar = nil // a cookie that was set would be another credential
	w.get(users[0], by, client, id)
	w.get(users[0], by, client, id)
	if n := w.api.requests.Load() - before; n > 1 {
		w.t.Errorf("%s: a user's own answer is asked for again: %d requests", by.name, n)
	}
}

// named checks that users who are named keep what is stored when their tokens change.
func named(t *testing.T, c *cache.ResponseCache, name string) {
	for _, typed := range []bool{true, false} {
		w := &world{t: t, api: newAPI(t), cache: c, scope: settings.PerIdentity, named: true}
		var err error
		if typed {
			_, err = cache.CreateRepository(t.Context(), c, things{
				Name: name, Scope: settings.PerIdentity,
				Pattern: "GET " + strings.TrimPrefix(w.api.URL, "http://") + "/things/{id}",
			})
		} else {
			c.Remove(name[:strings.LastIndex(name, "_")] + "_1") // the catch-all of other tests
			all := settings.CatchAll(name+"_all", nil)
			all.Scope = settings.PerIdentity
			_, err = cache.CreateRepository(t.Context(), c, all)
		}
		check(t, err)
		by := ways[0]
		client := w.client(users[0], by, nil)
		each(func(u user, round string) { w.get(u, by, client, round+"named") })
		before := w.api.requests.Load()
		for _, u := range users {
			u.round++
			w.get(u, by, client, "snamed")
		}
		if n := w.api.requests.Load() - before; n != 0 {
			t.Errorf("after their tokens were rotated, two named users made %d requests (typed: %t)", n, typed)
		}
	}
}

// throughFetchers tries the typed doors.
func throughFetchers(t *testing.T, c *cache.ResponseCache, prefix string, scope settings.Scope) {
	a := newAPI(t)
	repo, err := cache.CreateRepository(t.Context(), c, things{Name: prefix + "_typed", Scope: scope, Pattern: "GET /things/{id}"})
	check(t, err)
	fetchers := map[string]*fetch.Fetcher[string, own]{}
	for _, u := range users {
		client, err := fetch.NewClient(&fetch.Options{
			BaseURL: a.URL, Retry: &origin.RetryOptions{Retries: origin.NoRetries},
			Origin: &origin.Options{Credentials: &origin.Credentials{Token: origin.Static(u.token())}},
		})
		check(t, err)
		t.Cleanup(func() { check(t, client.Close()) })
		f, err := fetch.New(client, repo, nil)
		if scope == settings.Undeclared {
			if !errors.Is(err, settings.ErrScope) {
				t.Errorf("a fetcher whose client has credentials, without a scope: %v", err)
			}
			// So is one whose own http.Client has them.
			signed, signErr := fetch.NewClient(&fetch.Options{BaseURL: a.URL, Client: &http.Client{
				Transport: ways[len(ways)-1].below(u, http.DefaultTransport, strings.TrimPrefix(a.URL, "http://")),
			}})
			check(t, signErr)
			t.Cleanup(func() { check(t, signed.Close()) })
			if _, err := fetch.New(signed, repo, nil); !errors.Is(err, settings.ErrScope) {
				t.Errorf("a fetcher whose http.Client has credentials, without a scope: %v", err)
			}
			// What adds them is not known now.
			client, err = fetch.NewClient(&fetch.Options{BaseURL: a.URL, Client: &http.Client{Transport: ways[6].below(u, http.DefaultTransport, "")}})
			check(t, err)
			t.Cleanup(func() { check(t, client.Close()) })
			f, err = fetch.New(client, repo, nil)
		}
		check(t, err)
		fetchers[u.name] = f
	}
	whose := func(u user, id string, got own, err error) {
		if err != nil || got.User != u.name {
			t.Errorf("%s fetched %s and got %s's answer: %v", u.name, id, got.User, err)
		}
	}
	each(func(u user, round string) {
		got, err := fetchers[u.name].Fetch(t.Context(), round+"one")
		whose(u, "one", got, err)
		got, err = fetchers[u.name].Fetch(t.Context(), "moved"+round+"one")
		whose(u, "moved", got, err)
		entry, _, err := fetchers[u.name].FetchEntry(t.Context(), round+"one")
		check(t, err)
		if h, err := entry.Head(); err != nil || h.Header.Get("X-User") != u.name {
			t.Errorf("%s fetched an entry and got %s's: %v", u.name, h.Header.Get("X-User"), err)
		}
	})
	each(func(u user, round string) {
		results, err := fetchers[u.name].FetchMany(t.Context(), []string{round + "a", round + "b", round + "one"})
		check(t, err)
		for _, r := range results {
			whose(u, r.Key, r.Value, r.Err)
		}
	})
	each(func(u user, round string) {
		if _, err := prefetch.Run(t.Context(), fetchers[u.name], slices.Values([]string{round + "p", round + "q"}), nil); err != nil {
			t.Error(err)
		}
		got, err := fetchers[u.name].Fetch(t.Context(), round+"p")
		whose(u, "p", got, err)
	})
	before := a.requests.Load()
	for _, u := range users {
		got, err := fetchers[u.name].Fetch(t.Context(), "sp")
		whose(u, "p", got, err)
	}
	if n := a.requests.Load() - before; scope == settings.PerIdentity && n != 0 {
		t.Errorf("what users have prefetched is asked for again: %d requests", n)
	}
	if scope == settings.PerIdentity {
		identities(t, repo, fetchers)
	}
}

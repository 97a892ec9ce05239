package cache_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

type everyKey struct {
	Artist string     `path:"artist"`
	Number int8       `path:"number"`
	Big    uint64     `query:"big"`
	Market string     `query:"market" default:"DE"`
	Tags   string     `query:"tags,set"`
	IDs    string     `query:"ids,list"`
	Live   bool       `query:"live"`
	At     time.Time  `query:"at"`
	Addr   netip.Addr `query:"addr" column:"Some Address"`
	Lang   string     `header:"Accept-Language"`
	Level  int        `query:"level,required"`
	Quoted string     `query:"a \"b\""`
}

type searchKey struct {
	Sector string `body:"filter.sector,required"`
	Page   int    `body:"page" default:"1"`
	Sizes  string `body:"sizes,list,number"`
	Kind   string `query:"kind"`
}

type methodKey struct {
	Method string `method:""`
	Path   string `path:"rest"`
}

type hashKey struct {
	ID   string `path:"id"`
	Auth string `header:"Authorization,hash"`
}

type tokenKey struct {
	ID    string `path:"id"`
	Token string `query:"access_token"`
}

// stored saves bodies in a repository of a file's, and returns its keys.
func saved[K comparable](t *testing.T, c *cache.ResponseCache, s settings.RepositorySettings[K, []byte], keys ...K) {
	t.Helper()
	s.Payload = payload.Bytes()
	r, err := cache.CreateRepository(t.Context(), c, s)
	check(t, err)
	for _, key := range keys {
		check(t, r.Save(t.Context(), key, []byte("{}")))
	}
}

// texts are requests as text, empty where there is none.
func texts(t *testing.T, c *cache.Contents, repository string) (all []string) {
	t.Helper()
	for _, e := range entriesOf(t, c, cache.Query{}) {
		if e.Repository != repository {
			continue
		}
		req, err := c.Request(t.Context(), e)
		if err != nil {
			if !errors.Is(err, cache.ErrNoRequest) {
				t.Fatal(err)
			}
			all = append(all, "")
			continue
		}
		text := req.Method + " " + req.URL.String()
		for _, name := range []string{"Accept-Language", "Accept"} {
			if value := req.Header.Get(name); value != "" {
				text += " " + name + ": " + value
			}
		}
		if req.Body != nil {
			body, err := io.ReadAll(req.Body)
			check(t, err)
			text += " " + string(body)
		}
		all = append(all, text)
		l, err := c.Lookup(t.Context(), req)
		check(t, err)
		if req.GetBody != nil && l.Found || req.GetBody == nil {
			if !l.Found || !slices.Equal(l.Key, e.Key) || l.Repository != repository || l.Table != e.Table || !slices.Equal(l.Stored.Key, e.Key) {
				t.Errorf("%s: the lookup of the request for %v is %+v", text, e.Key, l)
			}
		} else {
			t.Errorf("%s: nothing is found: %q", text, l.Reasons)
		}
	}
	return all
}

func TestRequestsForStoredResponses(t *testing.T) {
	path := t.TempDir() + "/x.db"
	owner := openFile(t, path, &cache.Options{BaseURL: "https://api.test/base"})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	saved(t, owner, settings.RepositorySettings[everyKey, []byte]{
		Name: "every", BaseURL: "https://api.test", Endpoint: request.Pattern[everyKey]("GET /v1/{artist}/n{number}.json?fixed=1", request.IgnoreQuery("utm_*")),
	},
		everyKey{Artist: "a b/ü", Number: -7, Level: 1, Market: "DE"},
		everyKey{Artist: "x", Number: 7, Big: 1<<64 - 1, Market: "", Tags: "b,a", IDs: `b,a\,c`, Live: true, At: at, Addr: netip.MustParseAddr("::1"), Lang: "de", Quoted: `"&=`},
	)
	saved(t, owner, settings.RepositorySettings[string, []byte]{Name: "scalar", Pattern: "GET other.test/s/{id...}"}, "a/b", "c")
	saved(t, owner, settings.RepositorySettings[int, []byte]{Name: "number", Pattern: "/numbers/{n}"}, -5)
	saved(t, owner, settings.RepositorySettings[searchKey, []byte]{Name: "search", Pattern: "POST /search", BaseURL: "https://api.test"},
		searchKey{Sector: "x\"y", Page: 1}, searchKey{Sector: "z", Page: 2, Sizes: "1.50,2", Kind: "k"})
	saved(t, owner, settings.RepositorySettings[methodKey, []byte]{Name: "method", Pattern: "GET|PROPFIND /dav/{rest...}", BaseURL: "https://api.test"},
		methodKey{"PROPFIND", "a"}, methodKey{"GET", "a"})
	saved(t, owner, settings.RepositorySettings[hashKey, []byte]{Name: "hash", Pattern: "/hash/{id}", BaseURL: "https://api.test"},
		hashKey{"1", request.HeaderHash("Bearer x")}, hashKey{"2", ""})
	saved(t, owner, settings.RepositorySettings[tokenKey, []byte]{Name: "token", Pattern: "/token/{id}", BaseURL: "https://api.test"}, tokenKey{"1", "secret"}, tokenKey{"2", ""})
	functions := request.Func(func(req *http.Request) (string, bool, error) {
		return req.URL.Path, strings.HasPrefix(req.URL.Path, "/f/"), nil
	}, nil)
	saved(t, owner, settings.RepositorySettings[string, []byte]{Name: "functions", BaseURL: "https://api.test", Endpoint: functions}, "/f/1")
	saved(t, owner, settings.RepositorySettings[string, []byte]{Name: "none"}, "1")
	saved(t, owner, settings.RepositorySettings[string, []byte]{Name: "anywhere", Pattern: "/any/{id}", BaseURL: settings.AnyBaseURL}, "1")

	want := map[string][]string{
		"every": {
			"GET https://api.test/v1/a%20b%2F%C3%BC/n-7.json?fixed=1&market=DE&level=1",
			`GET https://api.test/v1/x/n7.json?fixed=1&big=18446744073709551615&market=&tags=a&tags=b&ids=b&ids=a%2Cc&live=true&at=2026-01-02T03%3A04%3A05.000000006%2B01%3A00&addr=%3A%3A1&level=0&a+%22b%22=%22%26%3D Accept-Language: de`,
		},
		"scalar":    {"GET https://api.test/base/s/a/b", "GET https://api.test/base/s/c"},
		"number":    {"GET https://api.test/base/numbers/-5"},
		"search":    {`POST https://api.test/search {"filter":{"sector":"x\"y"},"page":1}`, `POST https://api.test/search?kind=k {"filter":{"sector":"z"},"page":2,"sizes":[1.50,2]}`},
		"method":    {"PROPFIND https://api.test/dav/a", "GET https://api.test/dav/a"},
		"hash":      {"", "GET https://api.test/hash/2"},
		"token":     {"", "GET https://api.test/token/2"},
		"functions": {""}, "none": {""}, "anywhere": {""},
	}
	// The base's path is no part of a pattern with a host of its own.
	want["scalar"] = []string{"", ""}
	other := openFile(t, path, nil)
	for name, texted := range want {
		if got := texts(t, owner.Contents(), name); !slices.Equal(got, texted) {
			t.Errorf("%s: the requests are\n%q\nwant\n%q", name, got, texted)
		}
		if got := texts(t, other.Contents(), name); !slices.Equal(got, texted) {
			t.Errorf("%s, as it is remembered: the requests are\n%q\nwant\n%q", name, got, texted)
		}
	}
}

func TestRequestsOfACatchAll(t *testing.T) {
	path := t.TempDir() + "/x.db"
	owner := openFile(t, path, nil)
	r, err := cache.CreateRepository(t.Context(), owner, settings.CatchAll("rest", &request.AnyOptions{IgnoreQuery: []string{"utm_*"}, SortQuery: true}))
	check(t, err)
	for _, req := range []*http.Request{
		get(t, "https://api.test/a?b=2&a=1&utm_source=x"),
		get(t, "https://api.test/token?access_token=secret"),
		with(get(t, "https://api.test/html"), "Accept", "text/html", "User-Agent", "x"),
		with(get(t, "https://api.test/mine"), "Authorization", "Bearer x"),
		with(get(t, "https://api.test/custom"), "X-Custom", "x"),
	} {
		_, err := r.SaveResponse(t.Context(), answer(req, "body"))
		check(t, err)
	}
	want := []string{"GET https://api.test/a?a=1&b=2", "", "GET https://api.test/html Accept: text/html", "", ""}
	for name, c := range map[string]*cache.ResponseCache{"owner": owner, "other": openFile(t, path, nil)} {
		if got := texts(t, c.Contents(), "rest"); !slices.Equal(got, want) {
			t.Errorf("%s: the requests are %q, want %q", name, got, want)
		}
		for url, found := range map[string]bool{
			"https://api.test/a?utm_medium=y&a=1&b=2": true, "https://api.test/a?a=1&b=3": false, "https://api.test/token?access_token=secret": true,
			"https://api.test/token?access_token=other": false, "https://api.test/mine": false,
		} {
			l, err := c.Contents().Lookup(t.Context(), get(t, url))
			check(t, err)
			if l.Found != found || l.Repository != "rest" {
				t.Errorf("%s: %s: the lookup is %+v", name, url, l)
			}
			if !found && len(l.Near) == 0 && strings.Contains(url, "?") {
				t.Errorf("%s: %s: nothing is near: %q", name, url, l.Reasons)
			}
		}
		l, err := c.Contents().Lookup(t.Context(), with(get(t, "https://api.test/mine"), "Authorization", "Bearer x"))
		check(t, err)
		if !l.Found {
			t.Errorf("%s: %q", name, l.Reasons)
		}
	}
}

func with(req *http.Request, pairs ...string) *http.Request {
	req.Header = headers(pairs...)
	return req
}

type albumOf struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

func TestLookups(t *testing.T) {
	path := t.TempDir() + "/x.db"
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := &cache.Options{Now: func() time.Time { return now }}
	owner := openFile(t, path, clock)
	albums, err := cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[albumOf, string]{
		Name: "albums", Pattern: "GET /v1/albums/{id}", Payload: payload.String(), BaseURL: "https://api.test",
	})
	check(t, err)
	check(t, albums.Save(t.Context(), albumOf{"6rqh", "SE"}, "body", repository.ExpireIn(4*time.Hour)))
	check(t, albums.Save(t.Context(), albumOf{"6rqh", "US"}, "body"))
	check(t, albums.Save(t.Context(), albumOf{"other", "DE"}, "body"))
	_, err = cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[string, string]{
		Name: "mine", Pattern: "GET /v1/me/{id}", Payload: payload.String(), BaseURL: "https://api.test", Scope: settings.PerIdentity,
	})
	check(t, err)
	mine, err := cache.Repository[string, string](owner, "mine")
	check(t, err)
	check(t, mine.Save(identity.With(t.Context(), "ann"), "1", "body"))
	_, err = owner.SaveResponse(t.Context(), answer(get(t, "https://second.test/v1/albums/elsewhere?market=DE"), "body"))
	check(t, err)
	now = now.Add(40 * time.Minute)

	for name, tt := range map[string]struct {
		req        *http.Request
		repository string
		found      bool
		near       int
		verdict    cache.Verdict
		reasons    []string
	}{
		"a hit": {get(t, "https://api.test/v1/albums/6rqh?market=SE"), "albums", true, 0, cache.Serve, []string{"It is fresh for another 3h20m."}},
		"of HEAD": {method(get(t, "https://api.test/v1/albums/6rqh?market=SE"), http.MethodHead), "albums", true, 0, cache.Serve, []string{
			"It is fresh for another 3h20m.", "A HEAD is answered by the stored response to a GET.",
		}},
		"without a host": {get(t, "/v1/albums/6rqh?market=SE"), "albums", true, 0, cache.Serve, []string{"It is fresh for another 3h20m."}},
		"another market": {get(t, "https://api.test/v1/albums/6rqh?market=DE"), "albums", false, 2, cache.Fetch, []string{
			"Nothing is stored for its key.", `It is stored with "SE" in market, where the request has "DE".`,
		}},
		"another origin": {get(t, "https://third.test/v1/albums/6rqh?market=SE"), "albums", false, 1, cache.Fetch, []string{
			"Nothing is stored of the origin https://third.test: there are responses of https://api.test, https://second.test.", "It is stored of another origin: https://api.test.",
		}},
		"in another origin": {get(t, "https://api.test/v1/albums/elsewhere?market=DE"), "albums", false, 1, cache.Fetch, []string{
			"Nothing is stored for its key.", "It is stored of another origin: https://second.test.",
		}},
		"another parameter": {get(t, "https://api.test/v1/albums/6rqh?market=SE&utm_source=x"), "", false, 0, cache.Fetch, []string{
			`The request belongs to no endpoint, and bypasses the cache. Those that are known are "GET /v1/albums/{id}", "GET /v1/me/{id}".`,
			`Without the parameter "utm_source", it would belong to "GET /v1/albums/{id}".`,
		}},
		"another method": {method(get(t, "https://api.test/v1/albums/6rqh?market=SE"), http.MethodPost), "", false, 0, cache.Fetch, []string{
			`The request belongs to no endpoint, and bypasses the cache. Those that are known are "GET /v1/albums/{id}", "GET /v1/me/{id}".`,
			`As a GET, it would belong to "GET /v1/albums/{id}".`,
		}},
		"with credentials": {with(get(t, "https://api.test/v1/albums/6rqh?market=SE"), "Authorization", "Bearer x"), "albums", false, 0, cache.Fetch, []string{
			"The request carries the header Authorization, and the repository's scope is not declared: it bypasses the cache.",
		}},
		"of nobody": {get(t, "https://api.test/v1/me/1"), "mine", false, 0, cache.Fetch, []string{
			"The responses of each identity are kept apart, and nothing tells whose request this is: it bypasses the cache.",
		}},
		"of somebody": {get(t, "https://api.test/v1/me/1").WithContext(identity.With(t.Context(), "ann")), "mine", true, 0, cache.Serve, []string{
			"It is fresh for another 6d23h.", `It is kept for the identity "ann" alone.`,
		}},
		"of somebody else": {get(t, "https://api.test/v1/me/1").WithContext(identity.With(t.Context(), "bob")), "mine", false, 1, cache.Fetch, []string{
			"Nothing is stored for its key.", `It was looked for among the responses of the identity "bob" alone.`, `It is stored for the identity "ann".`,
		}},
		"of another protocol": {with(get(t, "https://api.test/v1/albums/6rqh?market=SE"), "Upgrade", "websocket"), "", false, 0, cache.Fetch, []string{
			"The request asks for another protocol by Upgrade: it bypasses the cache.",
		}},
		"only if it has not changed": {with(get(t, "https://api.test/v1/albums/6rqh?market=SE"), "If-Match", `"1"`), "albums", true, 0, cache.Fetch, []string{
			"The request is to be done only where the origin's state is as its If-Match or If-Unmodified-Since says: the origin is asked.",
		}},
	} {
		for who, c := range map[string]*cache.ResponseCache{"owner": owner, "other": openFile(t, path, clock)} {
			t.Run(name+" "+who, func(t *testing.T) {
				before := c.Stats()
				l, err := c.Contents().Lookup(tt.req.Context(), tt.req)
				check(t, err)
				reasons := slices.DeleteFunc(l.Reasons, func(reason string) bool { return strings.HasPrefix(reason, "This is by its times") })
				if l.Found != tt.found || l.Repository != tt.repository || len(l.Near) != tt.near || l.Explanation.Verdict != tt.verdict || !slices.Equal(reasons, tt.reasons) {
					t.Errorf("the lookup is %+v\n%q", l, reasons)
				}
				if c.Stats() != before {
					t.Errorf("it has counted: %+v", c.Stats())
				}
			})
		}
	}
}

func method(req *http.Request, method string) *http.Request {
	req.Method = method
	return req
}

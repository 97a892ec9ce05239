package cache_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// lookedUp is what is told of a request.
func lookedUp(t *testing.T, c *cache.ResponseCache, req *http.Request) cache.Lookup {
	t.Helper()
	l, err := c.Contents().Lookup(t.Context(), req)
	check(t, err)
	return l
}

// record changes the record of a repository's declaration past the cache.
func record(t *testing.T, path, repository string, change func(fields map[string][]string)) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	table, err := store.OpenTable(t.Context(), driver.TableSpec{
		Name: exchange.RecordsTable, Key: []driver.Column{{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String}},
	})
	check(t, err)
	key := driver.Key{"declaration", repository}
	var e driver.Entry
	check(t, table.Get(t.Context(), []driver.Key{key}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, found driver.Entry) { e = found }))
	h, err := head.Decode(e.Header)
	check(t, err)
	change(h.Header)
	e.Key, e.PayloadSum, e.MetaSum = key, 0, 0
	e.Header, err = head.Encode(h)
	check(t, err)
	check(t, table.Put(t.Context(), []driver.Entry{e}))
}

// recipe is the name of what a record says of an endpoint.
const recipe = "recipe"

// What an earlier version has stored does not say how keys are taken from requests, until a program
// opens the repository.
func TestDeclarationsOfEarlierVersions(t *testing.T) {
	path := t.TempDir() + "/x.db"
	plain := settings.RepositorySettings[string, []byte]{Name: "plain", Pattern: "GET api.test/plain/{id}"}
	several := settings.RepositorySettings[struct {
		ArtistID string `path:"artistID"`
		Number   int    `path:"n"`
	}, []byte]{Name: "several", Pattern: "GET api.test/artists/{artistID}/{n}"}
	market := settings.RepositorySettings[albumOf, []byte]{Name: "market", Pattern: "GET api.test/albums/{id}"}
	fill := func() *cache.ResponseCache {
		c := openFile(t, path, nil)
		saved(t, c, plain, "1")
		saved(t, c, several, struct {
			ArtistID string `path:"artistID"`
			Number   int    `path:"n"`
		}{"a", 7})
		saved(t, c, market, albumOf{"1", "DE"})
		_, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("rest", nil))
		check(t, err)
		_, err = c.SaveResponse(t.Context(), answer(get(t, "https://other.test/a?b=1"), "body"))
		check(t, err)
		return c
	}
	check(t, fill().Close())
	for _, name := range []string{"plain", "several", "market", "rest"} {
		record(t, path, name, func(fields map[string][]string) {
			if _, ok := fields[recipe]; !ok {
				t.Errorf("%s has no recipe: %v", name, fields)
			}
			delete(fields, recipe)
		})
	}
	old := openFile(t, path, nil)
	for name, want := range map[string]string{
		"plain": "GET https://api.test/plain/1", "several": "GET https://api.test/artists/a/7", "market": "", "rest": "GET https://other.test/a?b=1",
	} {
		if got := texts(t, old.Contents(), name); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: the requests are %q, want %q", name, got, want)
		}
	}
	if l := lookedUp(t, old, get(t, "https://api.test/albums/1?market=DE")); l.Repository != "rest" {
		t.Errorf("the lookup is %+v", l)
	}
	check(t, fill().Close())
	if got := texts(t, old.Contents(), "market"); !slices.Equal(got, []string{"GET https://api.test/albums/1?market=DE"}) {
		t.Errorf("after it was opened, the requests are %q", got)
	}
	for _, lines := range [][]string{{"field string path:\"id\""}, {"field float path:\"id\"", "field string"}, {"of a newer version"}, {"field string path:\"x\"", `field string query:"market"`}} {
		record(t, path, "market", func(fields map[string][]string) { fields[recipe] = lines })
		if got := texts(t, openFile(t, path, nil).Contents(), "market"); !slices.Equal(got, []string{""}) {
			t.Errorf("%q: the requests are %q", lines, got)
		}
	}
}

// An API behind a gateway has requests with a path that its endpoints do not see.
func TestLookupsBehindAGateway(t *testing.T) {
	path := t.TempDir() + "/x.db"
	owner := openFile(t, path, nil)
	tracks := create(t, owner, settings.RepositorySettings[string, string]{Name: "tracks", Pattern: "GET /v1/tracks/{id}", Payload: payload.String()})
	doer := roundTrip(func(req *http.Request) (*http.Response, error) { return answer(req, "body"), nil })
	client, err := fetch.NewClient(&fetch.Options{BaseURL: "https://gw.test/spotify", Transport: doer})
	check(t, err)
	f, err := fetch.New(client, tracks, nil)
	check(t, err)
	_, err = f.Fetch(t.Context(), "a/b")
	check(t, err)
	for name, c := range map[string]*cache.ResponseCache{"owner": owner, "other": openFile(t, path, nil)} {
		if got := texts(t, c.Contents(), "tracks"); !slices.Equal(got, []string{"GET https://gw.test/spotify/v1/tracks/a%2Fb"}) {
			t.Errorf("%s: the requests are %q", name, got)
		}
		if l := lookedUp(t, c, get(t, "https://gw.test/other/v1/tracks/a%2Fb")); l.Found || l.Repository != "" {
			t.Errorf("%s: the lookup is %+v", name, l)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestLookupsOfWhatIsLeftAndDamaged(t *testing.T) {
	path := t.TempDir() + "/x.db"
	c := openFile(t, path, nil)
	s := settings.RepositorySettings[string, []byte]{Name: "tracks", Pattern: "GET api.test/tracks/{id}", Version: 1, BaseURL: settings.AnyBaseURL}
	saved(t, c, s, "left", "here", "text")
	check(t, c.Close())
	s.Version, s.Changed = 2, settings.Recreate
	c = openFile(t, path, nil)
	saved(t, c, s, "here", "text")
	// A program of the older version that is still there.
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	old, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	check(t, old.Put(t.Context(), []driver.Entry{{Key: driver.Key{"left"}, Status: 200, CachedAt: time.Now().UTC().Truncate(time.Microsecond)}}))
	change(t, path, "tracks~2", "here", func(e *driver.Entry) { e.Payload = []byte("other") })
	change(t, path, "tracks~2", "text", func(e *driver.Entry) { e.Header, e.MetaSum = "{", 0 })

	for name, c := range map[string]*cache.ResponseCache{"owner": c, "other": openFile(t, path, nil)} {
		if l := lookedUp(t, c, get(t, "https://api.test/tracks/left")); l.Found || !slices.Contains(l.Reasons, `It is stored in "tracks", which is left of another declaration and not used.`) {
			t.Errorf("%s: %+v", name, l)
		}
		for id, reason := range map[string]string{"here": "the checksum of the body does not fit: it is not as it was saved", "text": "the headers cannot be decoded"} {
			for range 2 {
				l := lookedUp(t, c, get(t, "https://api.test/tracks/"+id))
				if l.Found || !strings.HasPrefix(l.Reasons[0], "What is stored for its key is damaged, and counts as a miss: "+reason) || c.Stats().Damaged > 0 {
					t.Errorf("%s: %+v", name, l)
				}
			}
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func (unread) Close() error { return nil }

func TestLookupsReadNoBodyThatCannotBeReadAgain(t *testing.T) {
	path := t.TempDir() + "/x.db"
	owner := openFile(t, path, nil)
	saved(t, owner, settings.RepositorySettings[searchKey, []byte]{Name: "search", Pattern: "POST api.test/search"}, searchKey{Sector: "a", Page: 1})
	post := func(body io.Reader) *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.test/search", body)
		check(t, err)
		req.Header.Set("Content-Type", "application/json")
		return req
	}
	for name, c := range map[string]*cache.ResponseCache{"owner": owner, "other": openFile(t, path, nil)} {
		if l := lookedUp(t, c, post(unread{t})); l.Found || !strings.Contains(l.Reasons[0], "can be read only once") {
			t.Errorf("%s: %+v", name, l)
		}
		req := post(strings.NewReader(`{"page":1,"filter":{"sector":"a"}}`))
		if l := lookedUp(t, c, req); !l.Found {
			t.Errorf("%s: %+v", name, l)
		}
		if body, err := io.ReadAll(req.Body); err != nil || len(body) == 0 {
			t.Errorf("the body is gone: %q, %v", body, err)
		}
		if l := lookedUp(t, c, post(strings.NewReader(`{"filter":{"sector":"a"},"page":2}`))); l.Found || l.Repository != "search" || len(l.Near) != 1 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestLookupsByARouter(t *testing.T) {
	c := newCache(t, &cache.Options{Router: func(req *http.Request) string { return strings.TrimPrefix(req.URL.Host, "api.") }})
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "one", Pattern: "/{id}"}, "1")
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "two", Pattern: "/{id}"}, "2")
	if l := lookedUp(t, c, get(t, "https://api.two/2")); !l.Found || l.Repository != "two" {
		t.Errorf("the lookup is %+v", l)
	}
	if l := lookedUp(t, c, get(t, "https://api.three/2")); l.Found || l.Repository != "" {
		t.Errorf("the lookup is %+v", l)
	}
}

func TestLookupsWithoutAnything(t *testing.T) {
	c := newCache(t, nil)
	if l := lookedUp(t, c, get(t, "https://api.test/1")); l.Found || l.Explanation.Verdict != cache.Fetch || !slices.Equal(l.Reasons, []string{"No endpoint is known: the request bypasses the cache."}) {
		t.Errorf("the lookup is %+v", l)
	}
	for _, req := range []*http.Request{nil, {}} {
		if _, err := c.Contents().Lookup(t.Context(), req); err == nil {
			t.Error("a lookup of nothing is no error")
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Contents().Lookup(cancelled, get(t, "https://api.test/1")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Contents().Explain(t.Context(), cache.Stored{Table: "nobody"}); !errors.Is(err, cache.ErrNotFound) {
		t.Error(err)
	}
	saved(t, c, settings.RepositorySettings[string, []byte]{Name: "tracks", Endpoint: request.Pattern[string]("GET /{id}")}, "1")
	if _, err := c.Contents().Explain(t.Context(), cache.Stored{Table: "tracks"}); err == nil {
		t.Error("a response without a key is explained")
	}
	if _, err := c.Contents().Request(t.Context(), cache.Stored{Table: "tracks", Key: []cache.KeyColumn{{Name: "key", Value: 1}}}); err == nil {
		t.Error("there is a request for a key of another kind")
	}
}

// Whether a program heeds Vary shows in what it has stored: a lookup by another program tells what
// that one's transport does.
func TestLookupsOfAnotherProgramsResponsesThatVary(t *testing.T) {
	for name, p := range map[string]policy.Policy{"ignored": {}, "heeded": {CacheControl: policy.On}} {
		for _, vary := range []string{"Accept-Language", "Accept-Encoding, Origin", "Accept-Encoding", "*"} {
			t.Run(name+"/"+vary, func(t *testing.T) {
				path := t.TempDir() + "/x.db"
				store, err := sqlite.Open(t.Context(), path, nil)
				check(t, err)
				w := newWorld(t, store, cache.Options{})
				w.origin.answer = func(*http.Request) (int, http.Header, string) {
					return http.StatusOK, headers("Vary", vary, "Cache-Control", "max-age=3600"), "1"
				}
				s := endpoint("tracks", "GET api.test/tracks/{id}")
				s.Policy = p
				create(t, w.ResponseCache, s)
				first := headers("Accept-Language", "de", "Origin", "https://a.test")
				w.ask(t, "https://api.test/tracks/1", first)
				another := openFile(t, path, &cache.Options{Now: func() time.Time { return w.now }})
				for _, asked := range []http.Header{first, headers("Accept-Language", "fr", "Origin", "https://b.test")} {
					req := get(t, "https://api.test/tracks/1")
					req.Header = asked
					l, err := another.Contents().Lookup(t.Context(), req)
					check(t, err)
					if got := w.does(t, req); l.Explanation.Verdict != got {
						t.Errorf("%v is explained: %q; it was %v", l.Explanation.Verdict, l.Reasons, got)
					}
				}
			})
		}
	}
}

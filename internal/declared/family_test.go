package declared_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/transport"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answering answers each request with a track whose title is the request's host and one of its
// headers.
var answering = roundTripper(func(req *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Request: req, Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`"1"`}}}
	if req.Method != http.MethodGet {
		resp.StatusCode = http.StatusNoContent
		resp.Body = http.NoBody
		return resp, nil
	}
	for _, name := range strings.Split(req.Header.Get("X-Vary"), ",") {
		if name != "" {
			resp.Header.Add("Vary", name)
		}
	}
	body := `{"title":"` + req.URL.Host + req.Header.Get("Accept-Language") + `"}`
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
})

var errOffline = errors.New("nobody answers")

var offline = roundTripper(func(*http.Request) (*http.Response, error) { return nil, errOffline })

// send sends a request through the cache and returns the body of its answer.
func send(t *testing.T, c *cache.ResponseCache, base http.RoundTripper, method, url string, header http.Header) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	check(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := transport.New(c, &transport.Options{Base: base}).RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestTheTablesOfAllOriginsAreMigrated(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		c, _ := newCache(t, store)
		_, err := cache.CreateRepository(t.Context(), c, tracks1)
		check(t, err)
		for _, host := range []string{"a.test", "b.test", "c.test"} {
			_, err := send(t, c, answering, "GET", "https://"+host+"/v1/tracks/x", nil)
			check(t, err)
		}
		check(t, c.Close())

		c, _ = newCache(t, store)
		_, err = cache.CreateRepository(t.Context(), c, tracks2)
		check(t, err)
		for _, host := range []string{"a.test", "b.test", "c.test"} {
			if got, err := send(t, c, offline, "GET", "https://"+host+"/v1/tracks/x", nil); err != nil || got != `{"title":"`+host+`"}` {
				t.Errorf("%s: %s, %v", host, got, err)
			}
		}
		all, err := c.Tables(t.Context())
		check(t, err)
		var names []string
		for _, table := range all[1:] {
			names = append(names, table.Name+" "+table.Repository+" "+table.Origin)
			if !table.InUse || table.Left || table.Declaration.Version != 2 {
				t.Errorf("%+v", table)
			}
		}
		if got := strings.Join(names, "\n"); got != `tracks~2 tracks https://a.test
tracks~2@https://b.test tracks https://b.test
tracks~2@https://c.test tracks https://c.test` {
			t.Errorf("the tables are\n%s", got)
		}
		if n, err := c.Contents("tracks").Count(t.Context(), cache.Query{}); n != 3 || err != nil {
			t.Errorf("%d entries, %v", n, err)
		}

		dictionaries, err := store.OpenTable(t.Context(), driver.TableSpec{Name: exchange.DictionariesTable, Key: compress.Columns})
		check(t, err)
		for i, name := range []string{"tracks", "tracks@https://b.test", "others"} {
			check(t, dictionaries.Put(t.Context(), []driver.Entry{{Key: driver.Key{name, int64(i)}, Status: 200, CachedAt: time.Unix(1, 0).UTC()}}))
		}
		c.Remove("tracks")
		check(t, c.Drop(t.Context(), "tracks"))
		if names := tables(t, store); names != "" {
			t.Errorf("the tables are %s", names)
		}
		if n, err := dictionaries.Count(t.Context(), driver.Filter{}); n != 1 || err != nil {
			t.Errorf("%d dictionaries are left, %v", n, err)
		}
		for e, err := range records(t, store).Entries(t.Context(), driver.Selection{}) {
			check(t, err)
			if e.Key[0] != "digest-key" && e.Key[0] != "declaration" {
				t.Errorf("the record %q is left", e.Key)
			}
		}
	})
}

// What a write has made old stays so under another key.
func TestWhatIsOldStaysOld(t *testing.T) {
	type before struct {
		ID       string `path:"id"`
		Language string `header:"Accept-Language"`
	}
	type after struct {
		Language string `header:"Accept-Language"`
		ID       string `path:"id"`
	}
	older := settings.RepositorySettings[before, track1]{Name: "tracks", Pattern: "GET /v1/tracks/{id}"}
	newer := settings.RepositorySettings[after, track1]{Name: "tracks", Pattern: "GET /v1/tracks/{id}"}
	newer.Migrations = []settings.Migration[after, track1]{settings.MigrateKeys(older, func(k before) (after, bool, error) {
		return after{k.Language, strings.ToUpper(k.ID)}, true, nil
	})}
	onEachStore(t, func(t *testing.T, store driver.Store) {
		c, _ := newCache(t, store)
		_, err := cache.CreateRepository(t.Context(), c, older)
		check(t, err)
		german := http.Header{"Accept-Language": {"de"}}
		for _, id := range []string{"x", "y"} {
			_, err := send(t, c, answering, "GET", "https://a.test/v1/tracks/"+id, german)
			check(t, err)
		}
		_, err = send(t, c, answering, "DELETE", "https://a.test/v1/tracks/x", nil)
		check(t, err)
		r := create(t, store, newer)
		if _, ok, err := r.Get(t.Context(), after{"de", "X"}); ok || err != nil {
			t.Errorf("what was deleted is found: %v", err)
		}
		if _, ok, err := r.Get(t.Context(), after{"de", "X"}, repository.AllowExpired()); !ok || err != nil {
			t.Errorf("what was deleted is gone: %v", err)
		}
		want(t, r, after{"de", "Y"}, track1{"a.testde"})
	})
}

// Variants of a response besides the latest are as the older declaration had them.
func TestVariantsOfTheOlderDeclarationAreNotServed(t *testing.T) {
	varying := policy.Policy{CacheControl: policy.On, Expire: policy.Never()}
	older := settings.RepositorySettings[key1, track1]{Name: "tracks", Version: 1, Pattern: "GET /v1/tracks/{id}", Policy: varying}
	newer := settings.RepositorySettings[key1, track2]{Name: "tracks", Version: 2, Pattern: "GET /v1/tracks/{id}", Policy: varying}
	newer.Migrations = []settings.Migration[key1, track2]{settings.MigrateFrom(older, func(k key1, v track1) (key1, track2, bool, error) {
		return k, track2{v.Title}, true, nil
	})}
	onEachStore(t, func(t *testing.T, store driver.Store) {
		c, _ := newCache(t, store)
		_, err := cache.CreateRepository(t.Context(), c, older)
		check(t, err)
		headers := map[string]http.Header{}
		for _, language := range []string{"de", "fr"} {
			headers[language] = http.Header{"Accept-Language": {language}, "X-Vary": {"Accept-Language"}}
			_, err := send(t, c, answering, "GET", "https://a.test/v1/tracks/x", headers[language])
			check(t, err)
		}
		if got, err := send(t, c, offline, "GET", "https://a.test/v1/tracks/x", headers["de"]); err != nil || got != `{"title":"a.testde"}` {
			t.Fatalf("%s, %v", got, err)
		}
		c, _ = newCache(t, store)
		_, err = cache.CreateRepository(t.Context(), c, newer)
		check(t, err)
		if got, err := send(t, c, offline, "GET", "https://a.test/v1/tracks/x", headers["fr"]); err != nil || got != `{"name":"a.testfr"}` {
			t.Errorf("the latest is %s, %v", got, err)
		}
		if got, err := send(t, c, offline, "GET", "https://a.test/v1/tracks/x", headers["de"]); !errors.Is(err, errOffline) {
			t.Errorf("the other is %s, %v", got, err)
		}
	})
}

func TestCompressedBodiesAreMigrated(t *testing.T) {
	older, newer := tracks1, tracks2
	older.Compression = settings.Zstd
	body := `{"title":"` + strings.Repeat("la", 2000) + `"}`
	onEachStore(t, func(t *testing.T, store driver.Store) {
		e, err := repository.NewEntry(http.StatusOK, repository.Head{}, []byte(body))
		check(t, err)
		check(t, create(t, store, older).SaveEntry(t.Context(), key1{"a"}, e))
		for _, c := range []settings.Compression{settings.Uncompressed, settings.Zstd} {
			newer.Compression = c
			if got, ok, err := create(t, store, newer).GetRaw(t.Context(), key2{"a", "DE"}); string(got) != body || !ok || err != nil {
				t.Errorf("%.50s, %v, %v", got, ok, err)
			}
		}
	})
}

// Pieces of bodies are in dictionaries, too: they go with the bodies.
func TestRecreatedTablesHaveNoDictionaries(t *testing.T) {
	onEachStore(t, func(t *testing.T, store driver.Store) {
		c, _ := newCache(t, store)
		createIn(t, c, tracks1)
		for _, host := range []string{"a.test", "b.test"} {
			_, err := send(t, c, answering, "GET", "https://"+host+"/v1/tracks/x", nil)
			check(t, err)
		}
		dictionaries, err := store.OpenTable(t.Context(), driver.TableSpec{Name: exchange.DictionariesTable, Key: compress.Columns})
		check(t, err)
		for i, name := range []string{"tracks", "tracks@https://b.test", "others"} {
			check(t, dictionaries.Put(t.Context(), []driver.Entry{{Key: driver.Key{name, int64(i)}, Status: 200, CachedAt: time.Unix(1, 0).UTC()}}))
		}
		left := func(want int) {
			t.Helper()
			if n, err := dictionaries.Count(t.Context(), driver.Filter{}); n != want || err != nil {
				t.Errorf("%d dictionaries are left, %v, want %d", n, err, want)
			}
		}
		create(t, store, tracks2)
		left(3) // entries that were migrated may need them
		create(t, store, settings.RepositorySettings[key1, track2]{Name: "tracks", Version: 4, Changed: settings.Recreate})
		left(1)
	})
}

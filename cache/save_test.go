package cache_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func sequence(all ...cache.Stored) iter.Seq2[cache.Stored, error] {
	return func(yield func(cache.Stored, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func tablesOf(t *testing.T, c *cache.ResponseCache) []cache.Table {
	t.Helper()
	tables, err := c.Tables(t.Context())
	check(t, err)
	return tables
}

func TestSavedResponsesAreWhatTheyWere(t *testing.T) {
	from, to := newStores(t)
	usedStore(t, from)
	source, target := cacheOn(t, from, nil), cacheOn(t, to, nil)
	all := entriesOf(t, source.Contents(), cache.Query{Bodies: true})
	n, err := target.Contents().Save(t.Context(), sequence(all...), &cache.SaveOptions{Tables: tablesOf(t, source)})
	if err != nil || n != len(all) {
		t.Fatal(n, err)
	}
	wantEqual(t, from, to)
	ignored := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Size" }, cmp.Ignore())
	var have, want []cache.Table
	for _, table := range tablesOf(t, source) {
		if table.Repository != "" {
			want = append(want, table)
		}
	}
	for _, table := range tablesOf(t, target) {
		if table.Repository != "" {
			have = append(have, table)
		}
	}
	if d := cmp.Diff(want, have, ignored); d != "" {
		t.Errorf("the tables differ:\n%s", d)
	}
	// What is remembered lets the repository be created, and refuses another one.
	albums := endpoint("albums", "GET api.test/v2/albums/{id}")
	albums.Version = 2
	if _, err := cache.CreateRepository(t.Context(), target, albums); !errors.Is(err, driver.ErrSchema) {
		t.Errorf("another declaration: %v", err)
	}
	if n, err := target.Contents().Save(t.Context(), sequence(all[0]), nil); n != 1 || err != nil {
		t.Errorf("again, without declarations: %d, %v", n, err)
	}
}

// response is one that is as responses are.
func response(repo, key, body string) cache.Stored {
	e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: http.Header{"Etag": {`"1"`}}}, []byte(body))
	if err != nil {
		panic(err)
	}
	e.CachedAt = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	return cache.Stored{Repository: repo, Key: []cache.KeyColumn{{Name: "key", Value: key}}, Entry: e}
}

func TestInvalidResponsesAreNotSaved(t *testing.T) {
	c := newCache(t, nil)
	create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	for name, tt := range map[string]struct {
		change func(*cache.Stored)
		want   string
	}{
		"a key of another kind":           {func(e *cache.Stored) { e.Key[0].Value = 7 }, `"tracks": the key column "key" is a string, not a int`},
		"a key of more columns":           {func(e *cache.Stored) { e.Key = append(e.Key, cache.KeyColumn{Name: "x", Value: "y"}) }, "1 values, not 2"},
		"a key without columns":           {func(e *cache.Stored) { e.Key = nil }, "1 values, not 0"},
		"a column of another name":        {func(e *cache.Stored) { e.Key[0].Name = "id" }, `column 1 of the key is "key", not "id"`},
		"no status":                       {func(e *cache.Stored) { e.Status = 0 }, "the status is 0"},
		"a status of four digits":         {func(e *cache.Stored) { e.Status = 1000 }, "the status is 1000"},
		"no time of the request":          {func(e *cache.Stored) { e.CachedAt = time.Time{} }, "CachedAt is 0001"},
		"a year that is too late":         {func(e *cache.Stored) { e.ExpiresAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, "ExpiresAt is 10000"},
		"a year that is too early":        {func(e *cache.Stored) { e.UsedAt = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }, "UsedAt is 0000"},
		"a table of the cache's own":      {func(e *cache.Stored) { e.Repository = "endpointcache_records" }, "the cache's own"},
		"a name with a control character": {func(e *cache.Stored) { e.Repository = "a\nb" }, "control character"},
		"no repository":                   {func(e *cache.Stored) { e.Repository = "" }, "is empty"},
		"a new table without a key":       {func(e *cache.Stored) { e.Repository, e.Key = "new", nil }, "at least one column"},
		"a new table with another value":  {func(e *cache.Stored) { e.Repository, e.Key[0].Value = "new", 1.5 }, `"key" is a float64`},
	} {
		t.Run(name, func(t *testing.T) {
			c.Contents().Delete(t.Context(), cache.Query{})
			invalid := response("tracks", "b", "B")
			tt.change(&invalid)
			n, err := c.Contents().Save(t.Context(), sequence(response("tracks", "a", "A"), invalid, response("tracks", "c", "C")), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %s", err, tt.want)
			}
			if got := ids(entriesOf(t, c.Contents(), cache.Query{})); n != 1 || fmt.Sprint(got) != "[tracks:a]" {
				t.Errorf("%d were saved: %q", n, got)
			}
		})
	}
	for _, table := range tablesOf(t, c) {
		if table.Repository != "" && table.Name != "tracks" {
			t.Errorf("there is a table %q", table.Name)
		}
	}
}

func TestASaveStopsAtAnError(t *testing.T) {
	c := newCache(t, nil)
	broken := errors.New("the file is cut short")
	n, err := c.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for i := range 1200 {
			if !yield(response("tracks", fmt.Sprint(i), "A"), nil) {
				return
			}
		}
		yield(cache.Stored{}, broken)
	}, nil)
	stored, countErr := c.Contents().Count(t.Context(), cache.Query{})
	if !errors.Is(err, broken) || n != 1200 || stored != n || countErr != nil {
		t.Errorf("%d of %d were saved, %v, %v", stored, n, err, countErr)
	}
	if _, err := c.Contents("albums").Save(t.Context(), sequence(response("tracks", "a", "A")), nil); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("another repository's: %v", err)
	}
	albums := response("albums", "a", "A")
	if n, err := c.Contents("albums").Save(t.Context(), sequence(albums), nil); n != 1 || err != nil {
		t.Errorf("a repository that is not there yet: %d, %v", n, err)
	}
	if n, err := c.Contents().Save(t.Context(), sequence(), nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
}

func TestOfTwoResponsesOneIsSaved(t *testing.T) {
	for keepNewer, want := range map[bool]string{false: "older", true: "newer"} {
		c := newCache(t, nil)
		older, newer := response("tracks", "a", "older"), response("tracks", "a", "newer")
		newer.CachedAt = newer.CachedAt.Add(time.Second)
		opts := &cache.SaveOptions{KeepNewer: keepNewer}
		for name, save := range map[string]func() error{
			"in one save": func() error {
				_, err := c.Contents().Save(t.Context(), sequence(newer, older), opts)
				return err
			},
			"one after the other": func() error {
				_, err := c.Contents().Save(t.Context(), sequence(newer), opts)
				check(t, err)
				_, err = c.Contents().Save(t.Context(), sequence(older), opts)
				return err
			},
		} {
			check(t, save())
			if e, ok, err := c.Contents().Get(t.Context(), "tracks", "a"); !ok || err != nil || string(e.Payload) != want {
				t.Errorf("%s, KeepNewer %v: %q, %v, %v", name, keepNewer, e.Payload, ok, err)
			}
		}
	}
}

// A save of responses from elsewhere obeys the rules of what is stored, and a declaration names and tags.
func TestSavedResponsesObeyTheDeclaration(t *testing.T) {
	c := newCache(t, &cache.Options{Redact: redact.Rules{JSON: []string{"ssn"}, Headers: []string{"X-Customer"}}})
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, map[string]any]{
		Name: "tracks", Pattern: "GET api.test/tracks/{id}", Payload: payload.JSON[map[string]any](), Compression: settings.Zstd,
		NameOf: func(v map[string]any) string { return fmt.Sprint(v["title"]) },
		Tags:   func(string, map[string]any) []string { return []string{"t"} },
	})
	check(t, err)
	secret := func(repo string) cache.Stored {
		e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: http.Header{
			"X-Customer": {"7"}, "Set-Cookie": {"a=b"}, "Authorization": {"Bearer x"}, "Etag": {"1"}, "Content-Type": {"application/json"},
		}}, []byte(`{"title":"A","ssn":"123"}`))
		check(t, err)
		e.CachedAt = time.Now()
		return cache.Stored{Repository: repo, Key: []cache.KeyColumn{{Name: "key", Value: "a"}}, Entry: e}
	}
	redirect, err := repository.NewEntry(http.StatusFound, repository.Head{Header: http.Header{"Location": {"https://api.test/?access_token=x"}}}, nil)
	check(t, err)
	redirect.CachedAt = time.Now()
	led := secret("tracks")
	led.Key[0].Value, led.Entry = "b", redirect
	n, err := c.Contents().Save(t.Context(), sequence(secret("tracks"), secret("undeclared"), led), nil)
	if n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, table := range []string{"tracks", "undeclared"} {
		e, ok, err := c.Contents().Get(policy.With(t.Context(), policy.Policy{Cookies: policy.On}), table, "a")
		check(t, err)
		h, err := e.Head()
		check(t, err)
		if !ok || len(h.Header["X-Customer"])+len(h.Header["Set-Cookie"])+len(h.Header["Authorization"]) > 0 || h.Header.Get("Etag") != "1" ||
			string(e.Payload) != `{"title":"A","ssn":null}` {
			t.Errorf("%s: %v, %v, %s", table, ok, h.Header, e.Payload)
		}
	}
	if n, err := c.Contents().Count(t.Context(), cache.Query{Name: "A"}); n != 1 || err != nil {
		t.Errorf("%d have the name, %v", n, err)
	}
	check(t, c.InvalidateTags(t.Context(), "t"))
	if n := len(entriesOf(t, c.Contents("tracks"), cache.Query{State: repository.Expired})); n != 1 {
		t.Errorf("%d have the tag", n)
	}
}

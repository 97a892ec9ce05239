package cache_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

type albumKey struct {
	Artist string
	Number int
	Live   bool
}

// fullCache has three artists with three albums each, and tracks. Its clock stands still.
func fullCache(t *testing.T) (*cache.ResponseCache, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c := newCache(t, &cache.Options{Now: func() time.Time { return now }})
	albums, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[albumKey, string]{
		Name: "albums", Payload: payload.String(), NameOf: strings.ToUpper,
	})
	check(t, err)
	for a, artist := range []string{"daft", "air", "airbag"} {
		for n := range 3 {
			check(t, albums.Save(t.Context(), albumKey{artist, n, n == 1}, fmt.Sprintf("%s %d", artist, n), repository.ExpireIn(time.Duration(1+a)*time.Hour)))
			now = now.Add(time.Second)
		}
	}
	tracks := create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	for i := range 5 {
		check(t, tracks.Save(t.Context(), fmt.Sprint(i), strings.Repeat("x", 100*i)))
		now = now.Add(time.Second)
	}
	return c, &now
}

// ids are what identifies stored responses, in their order.
func ids(entries []cache.Stored) []string {
	var all []string
	for _, e := range entries {
		var key []string
		for _, column := range e.Key {
			key = append(key, fmt.Sprint(column.Value))
		}
		all = append(all, e.Repository+":"+strings.Join(key, ","))
	}
	return all
}

func openFile(t *testing.T, path string, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	c, err := cache.New(store, opts)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func memoryStore(t *testing.T) driver.Store {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

func entriesOf(t *testing.T, s *cache.Contents, q cache.Query) []cache.Stored {
	t.Helper()
	var all []cache.Stored
	for e, err := range s.Entries(t.Context(), q) {
		check(t, err)
		all = append(all, e)
	}
	return all
}

func TestContentsSelect(t *testing.T) {
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		query cache.Query
		want  []string
	}{
		"by the first column": {cache.Query{Key: map[string]any{"artist": "air"}}, []string{"albums:air,0,false", "albums:air,1,true", "albums:air,2,false"}},
		"by several columns":  {cache.Query{Key: map[string]any{"artist": "air", "number": 1}}, []string{"albums:air,1,true"}},
		"by a column in the middle": {
			cache.Query{Key: map[string]any{"number": 1}}, []string{"albums:daft,1,true", "albums:air,1,true", "albums:airbag,1,true"},
		},
		"by what a column begins with": {cache.Query{KeyPrefix: map[string]string{"artist": "airb"}, Key: map[string]any{"live": true}}, []string{"albums:airbag,1,true"}},
		"by a column that one has":     {cache.Query{Key: map[string]any{"key": "3"}}, []string{"tracks:3"}},
		"by name":                      {cache.Query{Name: "AIR 2"}, []string{"albums:air,2,false"}},
		"by what a name begins with":   {cache.Query{NamePrefix: "AIRB", MaxStatus: 200}, []string{"albums:airbag,0,false", "albums:airbag,1,true", "albums:airbag,2,false"}},
		"by status":                    {cache.Query{MinStatus: 201}, nil},
		"by age":                       {cache.Query{CachedFrom: start.Add(8 * time.Second), CachedBefore: start.Add(10 * time.Second)}, []string{"albums:airbag,2,false", "tracks:0"}},
		"by anything else": {cache.Query{
			Match: func(e cache.Stored) bool {
				return len(e.Payload) == 0 && e.Size > 0 && e.Key[0].Value.(string) > "2" && e.Repository == "tracks"
			},
		}, []string{"tracks:3", "tracks:4"}},
		"by bodies": {cache.Query{Bodies: true, Match: func(e cache.Stored) bool { return string(e.Payload) == "air 2" }}, []string{"albums:air,2,false"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := fullCache(t)
			all := c.Contents()
			if got := ids(entriesOf(t, all, tt.query)); !slices.Equal(got, tt.want) {
				t.Errorf("the entries are %q, want %q", got, tt.want)
			}
			n, err := all.Count(t.Context(), tt.query)
			check(t, err)
			if n != len(tt.want) {
				t.Errorf("the count is %d, want %d", n, len(tt.want))
			}
			before := ids(entriesOf(t, all, cache.Query{}))
			n, err = all.Delete(t.Context(), tt.query)
			check(t, err)
			left := slices.DeleteFunc(before, func(id string) bool { return slices.Contains(tt.want, id) })
			if got := ids(entriesOf(t, all, cache.Query{})); n != len(tt.want) || !slices.Equal(got, left) {
				t.Errorf("%d were deleted, and %q are left", n, got)
			}
		})
	}
}

func TestContentsOfOneRepository(t *testing.T) {
	c, _ := fullCache(t)
	tracks := c.Contents("tracks")
	n, err := tracks.Count(t.Context(), cache.Query{})
	check(t, err)
	size, err := tracks.Size(t.Context())
	check(t, err)
	if n != 5 || size.Entries != 5 || size.Bytes < 1000 || size.Bytes > 4000 {
		t.Errorf("there are %d of %+v", n, size)
	}
	whole, err := c.Contents().Size(t.Context())
	check(t, err)
	if whole.Entries != 14 || whole.Bytes <= size.Bytes {
		t.Errorf("the whole is %+v", whole)
	}
	if _, err := tracks.Delete(t.Context(), cache.Query{}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Contents().Count(t.Context(), cache.Query{}); err != nil || n != 9 {
		t.Errorf("%d are left: %v", n, err)
	}
}

func TestContentsNeedNoRepositories(t *testing.T) {
	file := t.TempDir() + "/music.db"
	first := openFile(t, file, nil)
	check(t, create(t, first, endpoint("tracks", "GET api.test/tracks/{id}")).Save(t.Context(), "a", "body"))
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Etag": {`"x"`}}, Body: http.NoBody, Request: get(t, "https://other.test/tracks/b")}
	anywhere := endpoint("anywhere", "GET /tracks/{id}")
	r := create(t, first, anywhere)
	_, err := r.SaveResponse(t.Context(), resp)
	check(t, err)
	resp.Request = get(t, "https://third.test/tracks/b")
	_, err = r.SaveResponse(t.Context(), resp)
	check(t, err)
	check(t, first.Close())

	c := openFile(t, file, nil)
	all := entriesOf(t, c.Contents(), cache.Query{})
	var places []string
	for _, e := range all {
		places = append(places, e.Repository+" "+e.Origin)
	}
	if want := []string{"anywhere ", "anywhere https://third.test", "tracks "}; !slices.Equal(places, want) {
		t.Errorf("the entries are of %q, want %q", places, want)
	}
	e, ok, err := c.Contents().Get(t.Context(), "tracks", "a")
	check(t, err)
	if !ok || string(e.Payload) != "body" || e.Status != 200 || e.Size < 4 || e.UsedAt.IsZero() {
		t.Errorf("the entry is %+v, found: %v", e, ok)
	}
	if _, ok, err := c.Contents().Get(t.Context(), "tracks", "b"); ok || err != nil {
		t.Errorf("one that is not there: %v, %v", ok, err)
	}
	e, ok, err = c.Contents().Get(t.Context(), "anywhere@https://third.test", "b")
	check(t, err)
	header, err := e.Header()
	check(t, err)
	if !ok || header.Get("Etag") != `"x"` {
		t.Errorf("the header is %v, found: %v", header, ok)
	}
}

func TestContentsErrors(t *testing.T) {
	c, _ := fullCache(t)
	all := c.Contents()
	for name, err := range map[string]error{
		"a value of another kind": func() error {
			_, err := all.Count(t.Context(), cache.Query{Key: map[string]any{"number": "1"}})
			return err
		}(),
		"a prefix of an integer": func() error {
			_, err := all.Delete(t.Context(), cache.Query{KeyPrefix: map[string]string{"number": "1"}})
			return err
		}(),
		"an unknown state":        func() error { _, err := all.Count(t.Context(), cache.Query{State: 9}); return err }(),
		"a negative status":       func() error { _, err := all.Count(t.Context(), cache.Query{MinStatus: -1}); return err }(),
		"a negative lifetime":     func() error { _, err := all.Touch(t.Context(), cache.Query{}, -time.Hour); return err }(),
		"no lifetime":             func() error { _, err := all.Touch(t.Context(), cache.Query{}, 0); return err }(),
		"a key of another length": func() error { _, _, err := all.Get(t.Context(), "albums", "air"); return err }(),
		"a negative limit":        func() error { _, err := all.List(t.Context(), cache.Listing{Limit: -1}); return err }(),
		"an unknown order":        func() error { _, err := all.List(t.Context(), cache.Listing{Order: 99}); return err }(),
		"a made up place":         func() error { _, err := all.List(t.Context(), cache.Listing{After: "e30"}); return err }(),
		"no place at all":         func() error { _, err := all.List(t.Context(), cache.Listing{After: "%"}); return err }(),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	if _, _, err := all.Get(t.Context(), "none", "x"); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("a table that is not there: %v", err)
	}
}

func TestContentsLifetimes(t *testing.T) {
	c, now := fullCache(t)
	all := c.Contents()
	tracks, err := cache.Repository[string, string](c, "tracks")
	check(t, err)

	n, err := all.Expire(t.Context(), cache.Query{Key: map[string]any{"key": "3"}})
	check(t, err)
	_, ok, err := tracks.Get(t.Context(), "3")
	check(t, err)
	if n != 1 || ok {
		t.Errorf("%d expired; a live one is found: %v", n, ok)
	}
	value, ok, err := tracks.Get(t.Context(), "3", repository.AllowExpired())
	check(t, err)
	if !ok || len(value) != 300 {
		t.Errorf("it is not stored any more: %v", ok)
	}

	n, err = all.Touch(t.Context(), cache.Query{State: repository.Expired}, time.Minute)
	check(t, err)
	if _, ok, err = tracks.Get(t.Context(), "3"); n != 1 || !ok || err != nil {
		t.Errorf("%d were touched; found: %v, %v", n, ok, err)
	}
	*now = now.Add(2 * time.Minute)
	if n, err = all.Count(t.Context(), cache.Query{State: repository.Expired}); n != 1 || err != nil {
		t.Errorf("%d have expired: %v", n, err)
	}

	n, err = all.Touch(t.Context(), cache.Query{Match: func(e cache.Stored) bool { return e.Repository == "albums" }}, settings.NeverExpire)
	check(t, err)
	*now = now.Add(100 * 24 * time.Hour)
	live, err := all.Count(t.Context(), cache.Query{State: repository.Live})
	check(t, err)
	if n != 9 || live != 9 {
		t.Errorf("%d never expire, and %d are live", n, live)
	}
}

func TestContentsAreListed(t *testing.T) {
	c, now := fullCache(t)
	for i := range 30 {
		r := create(t, c, endpoint(fmt.Sprint("more", i%10, i/10), fmt.Sprintf("GET api.test/more%d/{id}", i)))
		for j := range 3 {
			check(t, r.Save(t.Context(), fmt.Sprint(j), "same")) // equal in all orders but one
		}
		*now = now.Add(time.Second)
	}
	all := c.Contents()
	for _, order := range []cache.Order{cache.ByKey, cache.ByName, cache.ByCached, cache.ByUsed, cache.ByExpiry, cache.BySize} {
		var ways [2][]string
		for way, descending := range []bool{false, true} {
			var previous cache.Stored
			after := ""
			for pages := 0; ; pages++ {
				page, err := all.List(t.Context(), cache.Listing{Order: order, Descending: descending, Limit: 8, After: after})
				check(t, err)
				for _, e := range page.Entries {
					a, b := previous, e
					if descending {
						a, b = b, a
					}
					sorted := map[cache.Order]bool{
						cache.ByKey: a.Table <= b.Table, cache.ByName: a.Name <= b.Name, cache.ByCached: !b.CachedAt.Before(a.CachedAt),
						cache.ByUsed: !b.UsedAt.Before(a.UsedAt), cache.ByExpiry: !b.ExpiresAt.Before(a.ExpiresAt), cache.BySize: a.Size <= b.Size,
					}
					if len(ways[way]) > 0 && !sorted[order] {
						t.Errorf("order %d, descending %v: %+v is before %+v", order, descending, a, b)
					}
					previous = e
				}
				ways[way] = append(ways[way], ids(page.Entries)...)
				if after = page.Next; after == "" {
					if pages != (14+90-1)/8 {
						t.Errorf("there are %d pages", pages+1)
					}
					break
				}
				if len(page.Entries) != 8 {
					t.Errorf("a page has %d entries", len(page.Entries))
				}
			}
		}
		slices.Reverse(ways[1])
		if !slices.Equal(ways[0], ways[1]) {
			t.Errorf("order %d: descending is not the reverse of ascending", order)
		}
		once := make(map[string]bool)
		for _, id := range ways[0] {
			once[id] = true
		}
		if len(once) != 104 || len(ways[0]) != 104 {
			t.Errorf("order %d has %d entries, %d of them different", order, len(ways[0]), len(slices.Collect(maps.Keys(once))))
		}
	}
	page, err := all.List(t.Context(), cache.Listing{
		Order: cache.ByName, Limit: 2, Query: cache.Query{Match: func(e cache.Stored) bool { return strings.HasSuffix(e.Name, "1") }},
	})
	check(t, err)
	if got := ids(page.Entries); !slices.Equal(got, []string{"albums:air,1,true", "albums:airbag,1,true"}) || page.Next == "" {
		t.Errorf("the page is %q, and there is more: %v", got, page.Next != "")
	}
}

func TestCacheWithinItsLimits(t *testing.T) {
	c := newCache(t, &cache.Options{Limit: settings.Limit{Entries: 200}, StoreTimeout: waitfor.Limit})
	limited := endpoint("tracks", "GET api.test/tracks/{id}")
	limited.Limit = settings.Limit{Entries: 50, Evict: settings.OldestFirst}
	tracks, albums := create(t, c, limited), create(t, c, endpoint("albums", "GET api.test/albums/{id}"))
	for i := range 400 {
		check(t, tracks.Save(t.Context(), fmt.Sprint(i), "body"))
		check(t, albums.Save(t.Context(), fmt.Sprint(i), "body"))
		own, err := tracks.Count(t.Context(), repository.All)
		check(t, err)
		all, err := c.Count(t.Context(), repository.All)
		check(t, err)
		if own > 55 || all > 220 {
			t.Fatalf("after %d saves there are %d tracks, and %d in all", i, own, all)
		}
	}
	waitfor.True(t, "the cache is within its limits", func() bool {
		own, err := tracks.Count(t.Context(), repository.All)
		check(t, err)
		all, err := c.Count(t.Context(), repository.All)
		check(t, err)
		return own <= 50 && all <= 200
	})
	if _, ok, err := tracks.Get(t.Context(), "399"); !ok || err != nil {
		t.Errorf("the latest is there: %v, %v", ok, err)
	}
}

func TestWhatExpiredLongAgoIsCleared(t *testing.T) {
	c := newCache(t, &cache.Options{KeepExpired: time.Hour, ClearEvery: time.Millisecond})
	tracks := create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	check(t, tracks.Save(t.Context(), "long", "body", repository.ExpireAt(time.Now().Add(-2*time.Hour))))
	check(t, tracks.Save(t.Context(), "just", "body", repository.ExpireAt(time.Now().Add(-time.Minute))))
	check(t, tracks.Save(t.Context(), "live", "body"))
	waitfor.True(t, "one is cleared", func() bool {
		n, err := tracks.Count(t.Context(), repository.All)
		check(t, err)
		return n == 2
	})
}

func TestALimitNeedsACache(t *testing.T) {
	s := endpoint("tracks", "GET api.test/tracks/{id}")
	s.Limit = settings.Limit{Entries: 1}
	if _, err := repository.New(t.Context(), memoryStore(t), s, nil); err == nil {
		t.Error("a repository that stands alone takes a limit that nobody keeps")
	}
	for _, limit := range []settings.Limit{{Entries: -1}, {Bytes: -1}, {Evict: 9}} {
		s.Limit = limit
		if s.Validate() == nil {
			t.Errorf("%+v is taken", limit)
		}
		if _, err := cache.New(memoryStore(t), &cache.Options{Limit: limit}); err == nil {
			t.Errorf("%+v is taken by a cache", limit)
		}
	}
}

func TestACacheOfAFileThatMayOnlyBeRead(t *testing.T) {
	file := t.TempDir() + "/music.db"
	declared := endpoint("tracks", "GET api.test/tracks/{id}")
	first := openFile(t, file, nil)
	check(t, create(t, first, declared).Save(t.Context(), "a", "body"))
	check(t, first.Close())

	store, err := sqlite.Open(t.Context(), file, &sqlite.Options{ReadOnly: true})
	check(t, err)
	c, err := cache.New(store, &cache.Options{Limit: settings.Limit{Entries: 10}, ClearEvery: time.Millisecond})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	tracks := create(t, c, declared)
	if body, ok, err := tracks.Get(t.Context(), "a"); body != "body" || !ok || err != nil {
		t.Errorf("a get: %q, %v, %v", body, ok, err)
	}
	page, err := c.Contents().List(t.Context(), cache.Listing{Order: cache.ByName})
	if err != nil || len(page.Entries) != 1 {
		t.Errorf("a listing: %v, %v", page, err)
	}
	if err := tracks.Save(t.Context(), "b", "body"); !errors.Is(err, driver.ErrReadOnly) {
		t.Errorf("a save: %v", err)
	}
}

func TestWhatMayStandInIsKept(t *testing.T) {
	c := newCache(t, &cache.Options{KeepExpired: time.Hour, ClearEvery: time.Millisecond})
	needed := endpoint("tracks", "GET api.test/tracks/{id}")
	needed.Policy.StaleIfError = 48 * time.Hour
	tracks, albums := create(t, c, needed), create(t, c, endpoint("albums", "GET api.test/albums/{id}"))
	for _, r := range []*repository.ResponseRepository[string, string]{tracks, albums} {
		check(t, r.Save(t.Context(), "old", "body", repository.ExpireAt(time.Now().Add(-72*time.Hour))))
		check(t, r.Save(t.Context(), "late", "body", repository.ExpireAt(time.Now().Add(-24*time.Hour))))
	}
	left := func(r *repository.ResponseRepository[string, string]) int {
		n, err := r.Count(t.Context(), repository.All)
		check(t, err)
		return n
	}
	waitfor.True(t, "what is of no use is cleared", func() bool { return left(albums) == 0 && left(tracks) <= 1 })
	if left(tracks) != 1 {
		t.Error("what may stand in for a response is cleared")
	}
}

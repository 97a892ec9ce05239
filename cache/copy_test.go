package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/internal/ruined"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/tier"
	"github.com/endpointcache/endpointcache/transport"
)

// newStores are two stores that outlive their caches.
func newStores(t *testing.T) (from, to driver.Store) {
	t.Helper()
	file, err := sqlite.Open(t.Context(), t.TempDir()+"/from.db", nil)
	check(t, err)
	t.Cleanup(func() { check(t, file.Close()) })
	return kept{file}, kept{memoryStore(t)}
}

// clock is one that goes on when it is told, for caches with work in the background.
type clock struct{ us atomic.Int64 }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.us.Store(at.UnixMicro())
	return c
}

func (c *clock) now() time.Time { return time.UnixMicro(c.us.Load()).UTC() }

func (c *clock) goOn() { c.us.Add(time.Second.Microseconds()) }

func cacheOn(t *testing.T, store driver.Store, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(store, opts)
	check(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// copied copies a store as a program does that knows no repositories.
func copied(t *testing.T, from, to driver.Store, opts *cache.CopyOptions) (cache.CopyProgress, error) {
	t.Helper()
	return cacheOn(t, from, nil).CopyTo(t.Context(), cacheOn(t, to, nil), opts)
}

// parts compares all of stored responses but for their sizes, which are a store's own. What was made old
// before it expires appears with less than a microsecond in its expiry.
var parts = cmp.Options{
	cmp.Transformer("instant", func(t time.Time) string { return t.Truncate(time.Microsecond).String() }),
	cmpopts.IgnoreFields(cache.Stored{}, "Size"), cmp.AllowUnexported(repository.Entry{}), cmp.Comparer(bytes.Equal),
}

// contentsOf are the responses of a store, sorted, as they appear at an instant when all invalidations
// have been.
func contentsOf(t *testing.T, store driver.Store) []cache.Stored {
	t.Helper()
	late := &cache.Options{Now: func() time.Time { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }, KeepExpired: -1}
	all := entriesOf(t, cacheOn(t, store, late).Contents(), cache.Query{Bodies: true})
	slices.SortFunc(all, func(a, b cache.Stored) int {
		return slices.Compare([]string{a.Table, fmt.Sprint(a.Key)}, []string{b.Table, fmt.Sprint(b.Key)})
	})
	return all
}

func wantEqual(t *testing.T, from, to driver.Store) {
	t.Helper()
	if d := cmp.Diff(contentsOf(t, from), contentsOf(t, to), parts); d != "" {
		t.Errorf("the stores differ (-source +target):\n%s", d)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type page struct {
	Path string `path:"path"`
}

// A repository with all that stores keep beside entries: dictionaries, variants, identities, origins
// and marks.
var pagesOf = settings.RepositorySettings[page, string]{
	Name: "pages", Pattern: "GET /pages/{path}", Payload: payload.String(), Compression: settings.Zstd, Scope: settings.PerIdentity,
	Version: 3, Policy: policy.Policy{CacheControl: policy.On},
	Tags: func(p page, _ string) []string { return []string{"all", p.Path[:1]} },
}

func bodyOf(i int) string {
	return fmt.Sprintf(`{"id":%d,"title":"A page of some length %x","links":{"self":"https://api.example.com/v1/pages/%d"}}`, i, uint32(i)*2654435761, i)
}

func TestACopyIsReadAsTheSourceIs(t *testing.T) {
	from, to := newStores(t)
	clock := newClock(time.Now())
	opts := &cache.Options{Now: clock.now}
	source := cacheOn(t, from, opts)
	pages, err := cache.CreateRepository(t.Context(), source, pagesOf)
	check(t, err)
	alice, bob := identity.With(t.Context(), "alice"), identity.With(t.Context(), "bob")
	values := make(map[page]string)
	for i := range 700 {
		values[page{fmt.Sprintf("%c%d", 'a'+i%3, i)}] = bodyOf(i)
	}
	requests := 0
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		requests++
		resp := answer(req, req.URL.Host+" "+req.Header.Get("Accept-Language"))
		resp.Header = http.Header{"Vary": {"Accept-Language"}, "Cache-Control": {"max-age=3600"}}
		return resp, nil
	})
	ask := func(c *cache.ResponseCache, ctx context.Context, url, language string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		check(t, err)
		req.Header.Set("Accept-Language", language)
		resp, err := transport.New(c, &transport.Options{Base: base}).RoundTrip(req)
		check(t, err)
		return readAll(t, resp)
	}
	for _, host := range []string{"one.test", "two.test"} {
		for _, language := range []string{"de", "en", "fr"} {
			ask(source, bob, "https://"+host+"/pages/varied", language)
		}
	}
	check(t, pages.SaveMany(alice, values))
	waitfor.True(t, "a dictionary", func() bool {
		check(t, pages.SaveMany(alice, values))
		return dictionaries(t, from) > 0
	})
	check(t, pages.SaveMany(alice, values)) // which are compressed with it
	clock.goOn()
	check(t, source.InvalidateTags(t.Context(), "b"))
	clock.goOn()
	check(t, pages.Save(bob, page{"b"}, "saved after the invalidation"))
	check(t, source.Close())

	progress, err := copied(t, from, to, nil)
	check(t, err)
	if want := 700 + 1 + 2 + 4; progress.Copied != want || progress.Total != want || progress.Entries != want || progress.Bytes == 0 {
		t.Errorf("copied %+v, want %d", progress, want)
	}
	wantEqual(t, from, to)

	target := cacheOn(t, to, opts)
	at, err := cache.CreateRepository(t.Context(), target, pagesOf)
	check(t, err)
	for key, value := range values {
		got, ok, err := at.Get(alice, key)
		if want := key.Path[0] != 'b'; err != nil || ok != want || ok && got != value {
			t.Fatalf("%v is %q, %v, %v", key, got, ok, err)
		}
	}
	if got, ok, err := at.Get(bob, page{"b"}); got != "saved after the invalidation" || !ok || err != nil {
		t.Errorf("%q, %v, %v", got, ok, err)
	}
	before := requests
	for _, host := range []string{"one.test", "two.test"} {
		for _, language := range []string{"de", "en", "fr"} {
			if got := ask(target, bob, "https://"+host+"/pages/varied", language); got != host+" "+language {
				t.Errorf("%s in %s is %q", host, language, got)
			}
		}
	}
	if requests != before {
		t.Errorf("the origin was asked %d times", requests-before)
	}
	if again, err := copied(t, from, to, nil); err != nil || again.Copied != 0 || again.Entries != progress.Entries {
		t.Errorf("a second time: %+v, %v", again, err)
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	entry, err := repository.ReadEntry(resp)
	check(t, err)
	return string(entry.Payload)
}

func dictionaries(t *testing.T, store driver.Store) int {
	t.Helper()
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_dictionaries", Key: compress.Columns})
	check(t, err)
	n := 0
	for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Meta}) {
		check(t, err)
		if e.ExpiresAt.IsZero() { // the right to make one is not for ever
			n++
		}
	}
	return n
}

// usedStore fills a store with 2000 tracks, some of which were used, and albums that were made old.
func usedStore(t *testing.T, store driver.Store) {
	t.Helper()
	c := cacheOn(t, store, nil)
	tracks := create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	values := make(map[string]string)
	for i := range 2000 {
		values[fmt.Sprint(i)] = bodyOf(i)
	}
	check(t, tracks.SaveMany(t.Context(), values))
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	for i := range 5 {
		check(t, table.Use(t.Context(), []driver.Key{{fmt.Sprint(i)}}, time.Now().UTC().Add(time.Duration(1+i)*time.Hour).Truncate(time.Microsecond)))
	}
	albums, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "albums", Version: 1, Payload: payload.String(), Tags: func(string, string) []string { return []string{"a"} },
	})
	check(t, err)
	check(t, albums.SaveMany(t.Context(), map[string]string{"a": "A", "b": "B"}))
	check(t, c.InvalidateTags(t.Context(), "a"))
	check(t, c.Close())
}

// However often it breaks off, and wherever, a copy comes to an end, and no entry is written twice.
func TestACopyGoesOnWhereItWas(t *testing.T) {
	from, _ := newStores(t)
	usedStore(t, from)
	_, whole := newStores(t)
	all, err := copied(t, from, whole, nil)
	check(t, err)
	wantEqual(t, from, whole)
	for _, side := range []string{"source", "target", "context"} {
		t.Run(side, func(t *testing.T) {
			_, to := newStores(t)
			sum, broken := 0, 0
			for step := int64(1); ; step++ {
				ctx, cancel := context.WithCancel(t.Context())
				source, target := from, to
				var left atomic.Int64
				left.Store(step)
				switch side {
				case "source":
					source = &failing{Store: from, left: &left}
				case "target":
					target = &failing{Store: to, left: &left}
				}
				opts := &cache.CopyOptions{Progress: func(p cache.CopyProgress) {
					if side == "context" && left.Add(-1) < 0 {
						cancel()
					}
				}}
				progress, err := cacheOn(t, source, nil).CopyTo(ctx, cacheOn(t, target, nil), opts)
				cancel()
				sum += progress.Copied
				if err == nil {
					break
				}
				if broken++; !errors.Is(err, errBroken) && !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			if sum != all.Copied || broken < 3 {
				t.Errorf("%d entries were written in %d tries, want %d", sum, broken+1, all.Copied)
			}
			wantEqual(t, from, to)
			target := cacheOn(t, to, nil)
			albums, err := cache.CreateRepository(t.Context(), target, settings.RepositorySettings[string, string]{
				Name: "albums", Version: 1, Payload: payload.String(), Tags: func(string, string) []string { return []string{"a"} },
			})
			check(t, err)
			if _, ok, err := albums.Get(t.Context(), "a"); ok || err != nil {
				t.Errorf("what was made old is live: %v, %v", ok, err)
			}
		})
	}
}

// The source is not written to, and the target has to be.
func TestACopyOfAStoreThatIsReadOnly(t *testing.T) {
	from, to := newStores(t)
	usedStore(t, from)
	if _, err := copied(t, &failing{Store: from, readOnly: true}, to, nil); err != nil {
		t.Error(err)
	}
	wantEqual(t, from, to)
	_, to = newStores(t)
	progress, err := copied(t, from, &failing{Store: to, readOnly: true}, nil)
	if !errors.Is(err, errBroken) || progress.Copied != 0 {
		t.Errorf("%+v, %v", progress, err)
	}
	// A store without anything that caches keep.
	bare, to := newStores(t)
	table, err := bare.OpenTable(t.Context(), driver.TableSpec{Name: "x", Key: []driver.Column{{Name: "id", Kind: driver.Int}}})
	check(t, err)
	check(t, table.Put(t.Context(), []driver.Entry{{Key: driver.Key{int64(7)}, Status: 200, CachedAt: time.Now().UTC().Truncate(time.Microsecond)}}))
	if progress, err := copied(t, &failing{Store: bare, readOnly: true}, to, nil); err != nil || progress.Copied != 1 {
		t.Errorf("%+v, %v", progress, err)
	}
	wantEqual(t, bare, to)
}

func TestAStoreIsNotCopiedToItself(t *testing.T) {
	path := t.TempDir() + "/x.db"
	one, two := openFile(t, path, nil), openFile(t, path, nil)
	create(t, one, endpoint("tracks", "GET api.test/tracks/{id}"))
	shared := memoryStore(t)
	fast, err := tier.New(kept{shared}, nil)
	check(t, err)
	for name, pair := range map[string][2]*cache.ResponseCache{
		"one cache":             {one, one},
		"two caches on a store": {cacheOn(t, kept{shared}, nil), cacheOn(t, kept{shared}, nil)},
		"below a layer":         {cacheOn(t, kept{shared}, nil), cacheOn(t, fast, nil)},
		"a file opened twice":   {one, two},
	} {
		if _, err := pair[0].CopyTo(t.Context(), pair[1], nil); !errors.Is(err, cache.ErrSameStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	records, err := shared.OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_records", Key: []driver.Column{
		{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String},
	}})
	check(t, err)
	if n, err := records.Count(t.Context(), driver.Filter{}); n != 0 || err != nil {
		t.Errorf("%d records are left, %v", n, err)
	}
}

func TestCopiesThatCannotBe(t *testing.T) {
	from, to := newStores(t)
	usedStore(t, from)
	target := cacheOn(t, to, nil)
	albums := endpoint("albums", "GET api.test/v2/albums/{id}")
	albums.Version = 2
	create(t, target, albums)
	_, err := copied(t, from, to, nil)
	if !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), `"albums"`) ||
		!strings.Contains(err.Error(), "want version 1: ") || !strings.Contains(err.Error(), `have version 2: endpoint "GET api.test/v2/albums/{id}"`) {
		t.Errorf("another declaration: %v", err)
	}
	if n := len(contentsOf(t, to)); n != 0 {
		t.Errorf("%d entries were copied nevertheless", n)
	}
	if progress, err := copied(t, from, to, &cache.CopyOptions{Repositories: []string{"tracks"}}); err != nil || progress.Copied != 2000 {
		t.Errorf("a repository that fits: %+v, %v", progress, err)
	}
	if _, err := copied(t, from, to, &cache.CopyOptions{Repositories: []string{"tracks", "nothing"}}); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("a repository that is not there: %v", err)
	}
	var none *cache.ResponseCache
	if _, err := none.CopyTo(t.Context(), target, nil); err == nil {
		t.Error("no source is no error")
	}
	if _, err := target.CopyTo(t.Context(), none, nil); err == nil {
		t.Error("no target is no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cacheOn(t, from, nil).CopyTo(ctx, target, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
}

func TestACopyToAStoreWithEntriesOfItsOwn(t *testing.T) {
	from, to := newStores(t)
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	opts := &cache.Options{Now: func() time.Time { return now }}
	save := func(store driver.Store, values map[string]string) {
		c := cacheOn(t, store, opts)
		check(t, create(t, c, endpoint("tracks", "GET api.test/tracks/{id}")).SaveMany(t.Context(), values))
		check(t, c.Close())
	}
	save(from, map[string]string{"a": "source", "b": "source", "c": "source"})
	save(to, map[string]string{"b": "target"}) // of the same instant: it gives way
	now = now.Add(time.Second)
	save(to, map[string]string{"c": "target", "d": "target"})
	got := func() string {
		var all []string
		for _, e := range contentsOf(t, to) {
			all = append(all, e.Key[0].Value.(string)+":"+string(e.Payload))
		}
		return strings.Join(all, " ")
	}
	progress, err := copied(t, from, to, nil)
	if want := "a:source b:source c:target d:target"; err != nil || got() != want || progress.Copied != 2 || progress.Kept != 1 {
		t.Errorf("%s, %+v, %v, want %s", got(), progress, err, want)
	}
	progress, err = copied(t, from, to, &cache.CopyOptions{Replace: true})
	if want := "a:source b:source c:source d:target"; err != nil || got() != want || progress.Copied != 1 || progress.Kept != 0 {
		t.Errorf("replaced: %s, %+v, %v, want %s", got(), progress, err, want)
	}
}

// The stores have met the origins in another order, have given other numbers to tables, and make
// digests with keys of their own.
func TestACopyToAStoreWithOtherTables(t *testing.T) {
	from, to := newStores(t)
	clock := newClock(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC))
	opts := &cache.Options{Now: clock.now}
	users := settings.RepositorySettings[string, string]{
		Name: "users", Pattern: "GET /users/{id}", Payload: payload.String(), Scope: settings.PerIdentity, Version: 2,
		Policy: policy.Policy{CacheControl: policy.On, Lease: time.Minute},
	}
	requests := 0
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		requests++
		if req.Method != http.MethodGet {
			return answer(req, ""), nil
		}
		resp := answer(req, req.URL.Host+req.URL.Path+req.Header.Get("Accept"))
		resp.Header = http.Header{"Vary": {"Accept"}, "Cache-Control": {"max-age=3600"}}
		return resp, nil
	})
	open := func(store driver.Store) *cache.ResponseCache {
		c := cacheOn(t, store, opts)
		_, err := cache.CreateRepository(t.Context(), c, users)
		check(t, err)
		return c
	}
	ask := func(c *cache.ResponseCache, method, url, accept string) string {
		t.Helper()
		req, err := http.NewRequestWithContext(identity.With(t.Context(), "alice"), method, url, nil)
		check(t, err)
		req.Header.Set("Accept", accept)
		resp, err := transport.New(c, &transport.Options{Base: base}).RoundTrip(req)
		check(t, err)
		return readAll(t, resp)
	}
	older := users
	older.Version = 1
	{ // the source has given up a table
		c := cacheOn(t, from, opts)
		_, err := cache.CreateRepository(t.Context(), c, older)
		check(t, err)
		check(t, c.Close())
		newer := users
		newer.Changed = settings.Recreate
		c = cacheOn(t, from, opts)
		_, err = cache.CreateRepository(t.Context(), c, newer)
		check(t, err)
		check(t, c.Close())
	}
	source, target := open(from), open(to)
	for _, accept := range []string{"a", "b"} {
		ask(source, "GET", "https://one.test/users/1", accept)
		ask(source, "GET", "https://one.test/users/2", accept)
		ask(source, "GET", "https://two.test/users/1", accept)
	}
	ask(target, "GET", "https://two.test/users/9", "a")
	ask(target, "GET", "https://two.test/users/8", "a")
	clock.goOn()
	ask(source, "PUT", "https://one.test/users/2", "a")
	ask(source, "PUT", "https://two.test/users/1", "a")
	ask(target, "PUT", "https://two.test/users/8", "a")
	clock.goOn()
	check(t, source.Close())
	if _, err := copied(t, from, to, nil); err != nil {
		t.Fatal(err)
	}
	var tables []string
	for _, e := range contentsOf(t, to) {
		tables = append(tables, e.Table)
	}
	if got, want := strings.Join(slices.Compact(tables), " "), "users users@https://one.test"; got != want {
		t.Errorf("the tables are %q, want %q", got, want)
	}
	check(t, target.Close())
	target = open(to)
	for _, tt := range []struct {
		url    string
		stored bool
	}{
		{"https://one.test/users/1", true}, {"https://one.test/users/2", false}, {"https://two.test/users/1", false},
		{"https://two.test/users/9", true}, {"https://two.test/users/8", false},
	} {
		for _, accept := range []string{"a", "b"} {
			if strings.HasSuffix(tt.url, "9") && accept == "b" {
				continue
			}
			before := requests
			if got := ask(target, "GET", tt.url, accept); got != strings.TrimPrefix(tt.url, "https://")+accept {
				t.Errorf("%s is %q", tt.url, got)
			}
			if stored := requests == before; stored != tt.stored {
				t.Errorf("%s, %s: stored: %v", tt.url, accept, stored)
			}
		}
	}
}

// What a reader would not get, as it was damaged, is not copied, and the copy is checked as the source
// is.
func TestACopyLeavesOutWhatIsDamaged(t *testing.T) {
	from, to := newStores(t)
	c := cacheOn(t, from, nil)
	check(t, create(t, c, endpoint("tracks", "GET api.test/tracks/{id}")).SaveMany(t.Context(), map[string]string{"a": "A", "b": "B", "c": "C"}))
	table, err := from.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	read := func(table driver.Table, id string) (e driver.Entry) {
		check(t, table.Get(t.Context(), []driver.Key{{id}}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, got driver.Entry) { e = got }))
		e.Key = driver.Key{id}
		return e
	}
	damaged := read(table, "a")
	damaged.Payload = []byte("Z")
	found := read(table, "c") // damaged before, and put out of the way
	found.CachedAt, found.ExpiresAt = ruined.At, ruined.At
	check(t, table.Put(t.Context(), []driver.Entry{damaged, found}))
	progress, err := copied(t, from, to, nil)
	if err != nil || progress.Copied != 1 || progress.Damaged != 2 {
		t.Errorf("%+v, %v", progress, err)
	}
	// From a store that needs no checksums to one that does.
	back, _ := newStores(t)
	if _, err := copied(t, to, back, nil); err != nil {
		t.Error(err)
	}
	there, err := back.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	if got, want := read(there, "b"), read(table, "b"); got.PayloadSum != want.PayloadSum || got.MetaSum != want.MetaSum || want.MetaSum == 0 {
		t.Errorf("the checksums are %x %x, want %x %x", got.PayloadSum, got.MetaSum, want.PayloadSum, want.MetaSum)
	}
}

// What limits the target's contents does so for a copy, too.
func TestACopyToAStoreWithALimit(t *testing.T) {
	from, to := newStores(t)
	usedStore(t, from)
	target := cacheOn(t, to, &cache.Options{Limit: settings.Limit{Entries: 500, Evict: settings.OldestFirst}})
	progress, err := cacheOn(t, from, nil).CopyTo(t.Context(), target, nil)
	if err != nil || progress.Copied != progress.Total {
		t.Errorf("%+v, %v", progress, err)
	}
	waitfor.True(t, "no more than the limit", func() bool {
		n, err := target.Contents().Count(t.Context(), cache.Query{})
		check(t, err)
		return n <= 500
	})
}

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// embedded runs a test on each store that needs no server, and on one whose reads are not
// prompt. Open opens it, the second time as another process would where it can.
func embedded(t *testing.T, run func(t *testing.T, open func() driver.Store)) {
	memoryStore := func() driver.Store { return tracktest.Opened[*memory.Store](t)(memory.New(nil)) }
	t.Run("memory", func(t *testing.T) {
		store := shared{memoryStore()}
		run(t, func() driver.Store { return store })
	})
	t.Run("not prompt", func(t *testing.T) {
		store := shared{&tracktest.Counted{Store: memoryStore()}}
		run(t, func() driver.Store { return store })
	})
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cache.db")
		run(t, func() driver.Store { return tracktest.Opened[*sqlite.Store](t)(sqlite.Open(t.Context(), path, nil)) })
	})
	t.Run("filesystem", func(t *testing.T) {
		path := t.TempDir()
		run(t, func() driver.Store {
			return tracktest.Opened[*filesystem.Store](t)(filesystem.Open(t.Context(), path, nil))
		})
	})
}

// shared is a store that several caches have.
type shared struct{ driver.Store }

func (shared) Close() error { return nil }

// album has its artists for tags.
type album struct {
	Artists []string `json:"artists"`
}

func albums() settings.RepositorySettings[int, album] {
	return settings.RepositorySettings[int, album]{
		Name: "albums", Pattern: "GET /albums/{id}",
		Tags: func(_ int, a album) []string { return a.Artists },
	}
}

type albumsCache struct {
	*cache.ResponseCache
	albums *repository.ResponseRepository[int, album]
	now    func() time.Time
}

func openAlbums(t *testing.T, store driver.Store, s settings.RepositorySettings[int, album], opts *cache.Options) albumsCache {
	t.Helper()
	c, err := cache.New(store, opts)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	r, err := cache.CreateRepository(t.Context(), c, s)
	check(t, err)
	now := time.Now
	if opts != nil {
		now = opts.Now
	}
	return albumsCache{c, r, now}
}

// wantKeys asks by each read for all keys below n.
func (c albumsCache) wantKeys(t *testing.T, n int, present func(key int) bool) {
	t.Helper()
	keys, count := make([]int, n), 0
	for i := range keys {
		if keys[i] = i; present(i) {
			count++
		}
	}
	found, err := c.albums.GetMany(t.Context(), keys)
	check(t, err)
	entries, err := c.albums.GetEntries(t.Context(), keys)
	check(t, err)
	missing, err := c.albums.Missing(t.Context(), keys)
	check(t, err)
	expired, err := c.albums.GetEntries(t.Context(), keys, repository.AllowExpired())
	check(t, err)
	if len(found) != count || len(entries) != count || len(missing) != n-count {
		t.Errorf("%d values, %d entries, %d missing of %d, want %d", len(found), len(entries), len(missing), n, count)
	}
	for key := range found {
		if !present(key) {
			t.Errorf("%d is still there", key)
			break
		}
	}
	yielded := 0
	for key, err := range c.albums.Keys(t.Context()) {
		check(t, err)
		if yielded++; !present(key) {
			t.Errorf("%d is iterated over", key)
		}
	}
	if yielded != count {
		t.Errorf("%d keys are iterated over, want %d", yielded, count)
	}
	now := c.now()
	for key, e := range expired {
		if live := e.ExpiresAt.IsZero() || now.Before(e.ExpiresAt); live != present(key) {
			t.Errorf("%d expires at %v", key, e.ExpiresAt)
			break
		}
	}
}

func TestATagMakesManyEntriesOldInAllCaches(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 2_500
	}
	embedded(t, func(t *testing.T, open func() driver.Store) {
		if testing.Short() && t.Name() == "TestATagMakesManyEntriesOldInAllCaches/filesystem" {
			n = 300
		}
		one, two := openAlbums(t, open(), albums(), nil), openAlbums(t, open(), albums(), nil)
		values := make(map[int]album, n)
		for i := range n {
			values[i] = album{[]string{fmt.Sprintf("artist %d", i%10), "a, b"}}
		}
		check(t, one.albums.SaveMany(t.Context(), values))
		two.wantKeys(t, n, func(int) bool { return true })
		check(t, one.InvalidateTags(t.Context(), "artist 3", "artist 4", "artist 3"))
		for _, c := range []albumsCache{one, two} {
			c.wantKeys(t, n, func(key int) bool { return key%10 != 3 && key%10 != 4 })
		}
		check(t, two.albums.Save(t.Context(), 3, values[3]))
		for _, c := range []albumsCache{one, two} {
			c.wantKeys(t, n, func(key int) bool { return key == 3 || key%10 != 3 && key%10 != 4 })
		}
		check(t, two.InvalidateTags(t.Context(), "a, b"))
		one.wantKeys(t, n, func(int) bool { return false })
	})
}

// However many entries there are.
func TestATagIsOneWrite(t *testing.T) {
	store := &tracktest.Counted{Store: tracktest.Opened[*memory.Store](t)(memory.New(nil))}
	c := openAlbums(t, shared{store}, albums(), nil)
	values := make(map[int]album)
	for i := range 1000 {
		values[i] = album{[]string{"a"}}
	}
	check(t, c.albums.SaveMany(t.Context(), values))
	store.Take()
	check(t, c.InvalidateTags(t.Context(), "a", "b"))
	if got, want := store.Take(), map[string]int{"put": 1}; !maps.Equal(got, want) {
		t.Errorf("invalidation takes %v, want %v", got, want)
	}
	c.wantKeys(t, 1000, func(int) bool { return false })
	store.Take()
	_, _, err := c.albums.Get(t.Context(), 1)
	check(t, err)
	if got, want := store.Take(), map[string]int{"get": 2}; !maps.Equal(got, want) {
		t.Errorf("a read takes %v, want %v", got, want)
	}
}

// A table without tags, each of whose URLs has one key, has no marks to look for.
func TestWhatHasNoMarksCostsNothing(t *testing.T) {
	store := &tracktest.Counted{Store: tracktest.Opened[*memory.Store](t)(memory.New(nil))}
	s := albums()
	s.Tags = nil
	c := openAlbums(t, shared{store}, s, nil)
	check(t, c.albums.Save(t.Context(), 1, album{}))
	store.Take()
	if ok, err := c.albums.Contains(t.Context(), 1); !ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	if got, want := store.Take(), map[string]int{"get": 1}; !maps.Equal(got, want) {
		t.Errorf("a read takes %v, want %v", got, want)
	}
}

func TestClearRemovesTheMarksOfItsOwnTables(t *testing.T) {
	embedded(t, func(t *testing.T, open func() driver.Store) {
		c := openAlbums(t, open(), albums(), nil)
		any, err := cache.CreateRepository(t.Context(), c.ResponseCache, settings.CatchAll("any", nil))
		check(t, err)
		w, err := cache.AddWrite(c.ResponseCache, settings.WriteSettings[struct{}]{Pattern: "POST /a", InvalidatesAll: []string{"albums"}})
		check(t, err)
		check(t, c.albums.Save(t.Context(), 1, album{[]string{"tag"}}))
		check(t, any.Save(t.Context(), request.AnyKey{Method: "GET", URL: "https://h/"}, nil))
		check(t, w.Invalidate(t.Context(), struct{}{}))
		check(t, c.InvalidateTags(t.Context(), "tag"))
		other := openAlbums(t, open(), func() settings.RepositorySettings[int, album] {
			s := albums()
			s.Name = "others"
			return s
		}(), nil)
		check(t, other.albums.Save(t.Context(), 1, album{[]string{"other"}}))
		check(t, other.InvalidateTags(t.Context(), "other"))
		n, err := c.Clear(t.Context(), repository.All)
		if n != 2 || err != nil {
			t.Errorf("%d are cleared, %v", n, err)
		}
		other.wantKeys(t, 2, func(int) bool { return false }) // what is old stays so
		records, err := open().OpenTable(t.Context(), driver.TableSpec{Name: "endpointcache_records", Key: []driver.Column{
			{Name: "kind", Kind: driver.String}, {Name: "item", Kind: driver.String},
		}})
		check(t, err)
		var left []driver.Value
		for e, err := range records.Entries(t.Context(), driver.Selection{Parts: driver.Payload}) {
			check(t, err)
			if e.Key[0] == "mark" {
				left = append(left, string(e.Payload))
			}
		}
		if want := []driver.Value{"", ""}; !reflect.DeepEqual(left, want) {
			t.Errorf("the marks of tables %q are left, want those of two tags", left)
		}
	})
}

func TestAWriteIsRefused(t *testing.T) {
	c := openAlbums(t, tracktest.Opened[*memory.Store](t)(memory.New(nil)), albums(), nil)
	add := func(w settings.WriteSettings[int]) error {
		_, err := cache.AddWrite(c.ResponseCache, w)
		return err
	}
	all := []string{"albums"}
	for name, test := range map[string]struct {
		write settings.WriteSettings[int]
		want  error // nil: any
	}{
		"of nothing":              {settings.WriteSettings[int]{Pattern: "POST /albums/{id}"}, nil},
		"without a pattern":       {settings.WriteSettings[int]{InvalidatesAll: all}, nil},
		"without a method":        {settings.WriteSettings[int]{Pattern: "/albums/{id}", InvalidatesAll: all}, nil},
		"by GET":                  {settings.WriteSettings[int]{Pattern: "GET /albums/{id}", InvalidatesAll: all}, nil},
		"by HEAD, too":            {settings.WriteSettings[int]{Pattern: "POST|HEAD /albums/{id}", InvalidatesAll: all}, nil},
		"that is malformed":       {settings.WriteSettings[int]{Pattern: "POST /albums/{id", InvalidatesAll: all}, nil},
		"with two endpoints":      {settings.WriteSettings[int]{Pattern: "POST /albums/{id}", Endpoint: request.Pattern[int]("POST /a/{id}"), InvalidatesAll: all}, nil},
		"to an unknown one":       {settings.WriteSettings[int]{Pattern: "POST /albums/{id}", InvalidatesAll: []string{"album"}}, cache.ErrNotFound},
		"to keys of an unknown":   {settings.WriteSettings[int]{Pattern: "POST /albums/{id}", Invalidates: []settings.Invalidation[int]{settings.InvalidateKeys("album", func(id int) []int { return nil })}}, cache.ErrNotFound},
		"to keys of another type": {settings.WriteSettings[int]{Pattern: "POST /albums/{id}", Invalidates: []settings.Invalidation[int]{settings.InvalidateKeys("albums", func(id int) []string { return nil })}}, cache.ErrType},
		"without a function":      {settings.WriteSettings[int]{Pattern: "POST /albums/{id}", Invalidates: []settings.Invalidation[int]{settings.InvalidateKeys[int, int]("albums", nil)}}, nil},
	} {
		if err := add(test.write); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		} else {
			t.Log(err)
		}
	}
	check(t, add(settings.WriteSettings[int]{Pattern: "POST|PUT /albums/{id}", InvalidatesAll: all}))
	check(t, add(settings.WriteSettings[int]{Pattern: "DELETE /albums/{id}", InvalidatesAll: all}))
	for _, pattern := range []string{"POST|PUT /albums/{id}", "PUT|POST /albums/{album}"} {
		if err := add(settings.WriteSettings[int]{Pattern: pattern, InvalidatesAll: all}); !errors.Is(err, cache.ErrSamePattern) {
			t.Errorf("the same again: %v", err)
		}
	}
	// What is removed later is left out.
	w, err := cache.AddWrite(c.ResponseCache, settings.WriteSettings[int]{Pattern: "POST /other/{id}", InvalidatesAll: all})
	check(t, err)
	c.Remove("albums")
	check(t, w.Invalidate(t.Context(), 1))
}

func TestInvalidationHonoursItsContextAndTheStore(t *testing.T) {
	c := openAlbums(t, tracktest.Opened[*memory.Store](t)(memory.New(nil)), albums(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.InvalidateTags(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	check(t, c.InvalidateTags(t.Context()))
	check(t, c.Close())
	if err := c.InvalidateTags(t.Context(), "a"); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// A clock that is behind another's, or is set back, does not bring old entries back.
func TestClocksThatDiffer(t *testing.T) {
	embedded(t, func(t *testing.T, open func() driver.Store) {
		var behind atomic.Int64
		now := time.Now()
		ahead := openAlbums(t, open(), albums(), &cache.Options{Now: func() time.Time { return now.Add(time.Minute) }})
		late := openAlbums(t, open(), albums(), &cache.Options{Now: func() time.Time { return now.Add(-time.Duration(behind.Load())) }})
		a := album{[]string{"a"}}
		check(t, late.albums.Save(t.Context(), 1, a))
		check(t, ahead.InvalidateTags(t.Context(), "a"))
		late.wantKeys(t, 2, func(int) bool { return false }) // and it knows of the mark now
		check(t, late.albums.Save(t.Context(), 1, a))
		late.wantKeys(t, 2, func(key int) bool { return key == 1 })
		ahead.wantKeys(t, 2, func(key int) bool { return key == 1 })
		behind.Store(int64(time.Hour))
		check(t, late.InvalidateTags(t.Context(), "a"))
		late.wantKeys(t, 2, func(int) bool { return false })
		ahead.wantKeys(t, 2, func(int) bool { return false })
	})
}

// A pop returns a live entry or none.
func TestWhatIsOldIsNotPopped(t *testing.T) {
	embedded(t, func(t *testing.T, open func() driver.Store) {
		c := openAlbums(t, open(), albums(), nil)
		check(t, c.albums.SaveMany(t.Context(), map[int]album{1: {[]string{"a"}}, 2: {[]string{"b"}}}))
		check(t, c.InvalidateTags(t.Context(), "a"))
		for key, want := range map[int]bool{1: false, 2: true, 3: false} {
			if _, ok, err := c.albums.Pop(t.Context(), key); ok != want || err != nil {
				t.Errorf("pop %d: %t, %v", key, ok, err)
			}
		}
	})
}

// While others read, save and invalidate, no read returns what was saved before an
// invalidation that had ended.
func TestInvalidationWhileOthersReadAndSave(t *testing.T) {
	embedded(t, func(t *testing.T, open func() driver.Store) {
		s := settings.RepositorySettings[int, int]{Name: "versions", Tags: func(int, int) []string { return []string{"all"} }, Payload: payload.JSON[int]()}
		caches := make([]*repository.ResponseRepository[int, int], 2)
		var invalidate func() error
		for i := range caches {
			c, err := cache.New(open(), nil)
			check(t, err)
			t.Cleanup(func() { check(t, c.Close()) })
			caches[i], err = cache.CreateRepository(t.Context(), c, s)
			check(t, err)
			invalidate = func() error { return c.InvalidateTags(t.Context(), "all") }
		}
		var version, floor atomic.Int64
		rounds := 30
		var group sync.WaitGroup
		for key := range 4 {
			r := caches[key%2]
			group.Go(func() {
				for range rounds {
					// A save tells what was known when it began.
					asOf, v := time.Now(), int(version.Load())
					if err := r.Save(t.Context(), key, v, repository.AsOf(asOf)); err != nil {
						t.Error(err)
					}
					least := int(floor.Load())
					if got, ok, err := r.Get(t.Context(), key); err != nil || ok && got < least {
						t.Errorf("%d, %v; at least %d", got, err, least)
					}
				}
			})
		}
		group.Go(func() {
			for range rounds {
				next := version.Add(1)
				if err := invalidate(); err != nil {
					t.Error(err)
				}
				floor.Store(next)
			}
		})
		group.Wait()
	})
}

// Requests to one URL that differ in their headers go by one mark, and by single and bulk
// reads alike.
func TestBulkReadsObeyTheMarksOfURLs(t *testing.T) {
	embedded(t, func(t *testing.T, open func() driver.Store) {
		store := open()
		c, err := cache.New(store, nil)
		check(t, err)
		t.Cleanup(func() { check(t, c.Close()) })
		r, err := cache.CreateRepository(t.Context(), c, settings.CatchAll("any", nil))
		check(t, err)
		const n = 300
		values := make(map[request.AnyKey][]byte)
		var keys []request.AnyKey
		for i := range n {
			for _, accept := range []string{"Accept: a", "Accept: b"} {
				key := request.AnyKey{Method: http.MethodGet, URL: fmt.Sprintf("https://h/%d", i), Headers: accept}
				keys, values[key] = append(keys, key), []byte("body")
			}
		}
		check(t, r.SaveMany(t.Context(), values))
		w, err := cache.AddWrite(c, settings.WriteSettings[struct{}]{
			Pattern: "POST /x",
			Invalidates: []settings.Invalidation[struct{}]{settings.InvalidateKeys("any", func(struct{}) []request.AnyKey {
				return keys[:1]
			})},
		})
		check(t, err)
		check(t, w.Invalidate(t.Context(), struct{}{}))
		found, err := r.GetMany(t.Context(), keys)
		if err != nil || len(found) != 2*n-1 {
			t.Errorf("%d are found, %v", len(found), err)
		}
	})
}

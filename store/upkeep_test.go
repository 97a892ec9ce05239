package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// How long a store may take on a busy machine is not what these tests are about.
func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

// openCache opens a cache on a new store of that kind.
func (b backend) openCache(t *testing.T, kind string, opts *cache.Options) *cache.ResponseCache {
	t.Helper()
	c, err := cache.New(b.harness(kind).Open(t), opts)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func named(name string) settings.RepositorySettings[string, string] {
	return settings.RepositorySettings[string, string]{
		Name: name, Pattern: "GET api.test/" + name + "/{id}", Payload: payload.String(), NameOf: func(v string) string { return v[:1] },
	}
}

func TestEveryStoreStaysWithinLimits(t *testing.T) {
	for kind, b := range backends {
		for name, limit := range map[string]settings.Limit{
			"entries": {Entries: 40},
			"bytes":   {Bytes: 40_000, Evict: settings.OldestFirst},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				c := b.openCache(t, kind, nil)
				s := named("tracks")
				s.Limit = limit
				tracks, err := cache.CreateRepository(t.Context(), c, s)
				check(t, err)
				body := fmt.Sprintf("%01000d", 7)
				for i := range 100 {
					check(t, tracks.Save(t.Context(), fmt.Sprint(i), body))
					if i%10 != 9 {
						continue
					}
					size, err := c.Contents().Size(t.Context())
					check(t, err)
					if limit.Entries > 0 && size.Entries > 44 || limit.Bytes > 0 && size.Bytes > 44_000 {
						t.Fatalf("after %d saves the size is %+v", i+1, size)
					}
				}
				if _, ok, err := tracks.Get(t.Context(), "99"); !ok || err != nil {
					t.Errorf("the latest is there: %v, %v", ok, err)
				}
				if _, ok, err := tracks.Get(t.Context(), "0"); ok || err != nil {
					t.Errorf("the oldest is there: %v, %v", ok, err)
				}
			})
		}
	}
}

func TestContentsOfEveryStore(t *testing.T) {
	for kind, b := range backends {
		t.Run(kind, func(t *testing.T) {
			c := b.openCache(t, kind, nil)
			for _, name := range []string{"albums", "tracks"} {
				r, err := cache.CreateRepository(t.Context(), c, named(name))
				check(t, err)
				values := make(map[string]string)
				for i := range 12 {
					values[fmt.Sprintf("%c%02d", 'a'+i%2, i)] = fmt.Sprintf("%0*d", 10*i+1, i)
				}
				check(t, r.SaveMany(t.Context(), values))
			}
			all := c.Contents()
			count := func(want int, s *cache.Contents, q cache.Query) {
				t.Helper()
				if n, err := s.Count(t.Context(), q); n != want || err != nil {
					t.Errorf("the count is %d, %v, want %d", n, err, want)
				}
			}
			changed := func(what string, want int) func(int, error) {
				return func(n int, err error) {
					t.Helper()
					if n != want || err != nil {
						t.Errorf("%s: %d, %v, want %d", what, n, err, want)
					}
				}
			}
			for _, order := range []cache.Order{cache.ByKey, cache.ByName, cache.ByCached, cache.ByUsed, cache.ByExpiry, cache.BySize} {
				seen := make(map[string]bool)
				l := cache.Listing{Order: order, Descending: true, Limit: 10}
				for more := true; more; more = l.After != "" {
					page, err := all.List(t.Context(), l)
					check(t, err)
					for _, e := range page.Entries {
						seen[fmt.Sprint(e.Table, e.Key)] = true
					}
					l.After = page.Next
				}
				if len(seen) != 24 {
					t.Errorf("the listing in order %d has %d of 24", order, len(seen))
				}
			}
			count(24, all, cache.Query{})
			count(6, c.Contents("tracks"), cache.Query{KeyPrefix: map[string]string{"key": "a"}})
			count(2, all, cache.Query{Key: map[string]any{"key": "b05"}})
			changed("expire", 2)(all.Expire(t.Context(), cache.Query{Key: map[string]any{"key": "b05"}}))
			count(2, all, cache.Query{State: repository.Expired})
			changed("touch", 1)(c.Contents("albums").Touch(t.Context(), cache.Query{State: repository.Expired}, time.Hour))
			count(1, all, cache.Query{State: repository.Expired})
			changed("delete by prefix", 12)(all.Delete(t.Context(), cache.Query{KeyPrefix: map[string]string{"key": "a"}}))
			changed("delete by a predicate", 1)(all.Delete(t.Context(), cache.Query{
				State: repository.Live, Bodies: true, Match: func(e cache.Stored) bool { return e.Repository == "tracks" && len(e.Payload) == 111 },
			}))
			count(11, all, cache.Query{})
			changed("delete", 6)(c.Contents("albums").Delete(t.Context(), cache.Query{}))
			count(5, all, cache.Query{})
		})
	}
}

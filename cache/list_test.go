package cache_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// listed is a store that counts the pages that are listed, each of which may go through a whole
// table.
type listed struct {
	driver.Store
	pages   int
	longest int // of their limits
}

type listedTable struct {
	driver.Table
	store *listed
}

func (s *listed) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	return &listedTable{table, s}, err
}

func (t *listedTable) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	t.store.pages++
	t.store.longest = max(t.store.longest, l.Limit)
	return t.Table.List(ctx, l)
}

// A condition that only the caller can judge selects little: pages that had nothing make the next
// ones wider, unless they have bodies.
func TestAListingOfWhatIsRareReadsFewPages(t *testing.T) {
	const entries, limit = 3_000, 10
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	store := &listed{Store: memoryStore(t)}
	c, err := cache.New(store, &cache.Options{Now: func() time.Time { return now }})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "tracks", Payload: payload.String(), Tags: func(key, _ string) []string { return []string{key[4:]} },
	})
	check(t, err)
	values := make(map[string]string)
	for i := range entries {
		values[fmt.Sprintf("%04d%v", i, i%1_000 == 999)] = "body"
	}
	check(t, r.SaveMany(t.Context(), values))
	now = now.Add(time.Second)
	check(t, c.InvalidateTags(t.Context(), "false"))
	now = now.Add(time.Second)

	rare := func(e cache.Stored) bool { return e.Key[0].Value.(string)[4:] == "true" }
	for _, tt := range []struct {
		name  string
		query cache.Query
		order cache.Order
		wide  bool
	}{
		{"by a predicate", cache.Query{Match: rare}, cache.ByKey, true},
		{"by a predicate, by size", cache.Query{Match: rare}, cache.BySize, true},
		{"by what an invalidation has made old", cache.Query{State: repository.Live}, cache.ByName, true},
		{"by bodies", cache.Query{Match: rare, Bodies: true}, cache.ByKey, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store.pages, store.longest = 0, 0
			page, err := c.Contents("tracks").List(t.Context(), cache.Listing{Query: tt.query, Order: tt.order, Limit: limit})
			check(t, err)
			if len(page.Entries) != 3 || page.Next != "" {
				t.Errorf("%d entries, and more: %v", len(page.Entries), page.Next != "")
			}
			if tt.wide && store.pages > 20 {
				t.Errorf("the store has listed %d pages of %d entries", store.pages, entries)
			}
			if !tt.wide && store.longest > limit+1 {
				t.Errorf("the store has listed %d entries with bodies at once", store.longest)
			}
		})
	}
}

package cache_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// eachStore runs a test on a store in memory and on one in a file.
func eachStore(t *testing.T, test func(t *testing.T, store driver.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, memoryStore(t)) })
	t.Run("sqlite", func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), t.TempDir()+"/x.db", nil)
		check(t, err)
		t.Cleanup(func() { check(t, store.Close()) })
		test(t, store)
	})
}

func TestContentsKnowWhatAnInvalidationHasMadeOld(t *testing.T) {
	eachStore(t, func(t *testing.T, store driver.Store) {
		now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		c, err := cache.New(store, &cache.Options{Now: func() time.Time { return now }})
		check(t, err)
		t.Cleanup(func() { check(t, c.Close()) })
		r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
			Name: "tracks", Payload: payload.String(), Tags: func(key, _ string) []string { return []string{key[:1]} },
		})
		check(t, err)
		for i := range 20 {
			key := fmt.Sprintf("%c%02d", "ab"[i%2], i)
			check(t, r.Save(t.Context(), key, "body", repository.ExpireIn(time.Duration(1+i)*time.Hour)))
		}
		now = now.Add(time.Second)
		check(t, c.InvalidateTags(t.Context(), "a"))
		now = now.Add(time.Second)

		all := c.Contents()
		for _, state := range []repository.State{repository.All, repository.Live, repository.Expired} {
			q, want := cache.Query{State: state}, 10
			if state == repository.All {
				want = 20
			}
			if n, err := all.Count(t.Context(), q); n != want || err != nil {
				t.Errorf("state %d: the count is %d, %v, want %d", state, n, err, want)
			}
			if n := len(entriesOf(t, all, q)); n != want {
				t.Errorf("state %d: there are %d entries, want %d", state, n, want)
			}
			for _, order := range []cache.Order{cache.ByKey, cache.ByExpiry} {
				var listed []cache.Stored
				l := cache.Listing{Query: q, Order: order, Limit: 3}
				for more := true; more; more = l.After != "" {
					page, err := all.List(t.Context(), l)
					check(t, err)
					listed, l.After = append(listed, page.Entries...), page.Next
				}
				unique := slices.Compact(slices.Sorted(slices.Values(ids(listed))))
				if len(listed) != want || len(unique) != want {
					t.Errorf("state %d, order %d: %d are listed, %d of them different, want %d", state, order, len(listed), len(unique), want)
				}
				if order == cache.ByExpiry && !slices.IsSortedFunc(listed, func(a, b cache.Stored) int { return a.ExpiresAt.Compare(b.ExpiresAt) }) {
					t.Errorf("state %d: the listing by expiry is not sorted", state)
				}
			}
		}
		if n, err := all.Touch(t.Context(), cache.Query{State: repository.Expired}, time.Hour); n != 0 || err != nil {
			t.Errorf("%d that are old were touched, %v", n, err)
		}
		if n, err := all.Touch(t.Context(), cache.Query{}, time.Hour); n != 10 || err != nil {
			t.Errorf("%d were touched, %v", n, err)
		}
		if n, err := all.Delete(t.Context(), cache.Query{State: repository.Expired}); n != 10 || err != nil {
			t.Errorf("%d that are old were deleted, %v", n, err)
		}
		if n, err := all.Delete(t.Context(), cache.Query{State: repository.Live}); n != 10 || err != nil {
			t.Errorf("%d that are live were deleted, %v", n, err)
		}
	})
}

func TestLifetimesLeaveTheRecordedUse(t *testing.T) {
	eachStore(t, func(t *testing.T, store driver.Store) {
		now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		c, err := cache.New(store, &cache.Options{Now: func() time.Time { return now }})
		check(t, err)
		t.Cleanup(func() { check(t, c.Close()) })
		r := create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
		for _, id := range []string{"a", "b", "c", "d"} {
			check(t, r.Save(t.Context(), id, "body"))
		}
		table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
		check(t, err)
		check(t, table.Use(t.Context(), []driver.Key{{"a"}, {"b"}}, now.Add(time.Hour)))
		check(t, table.Use(t.Context(), []driver.Key{{"c"}}, now.Add(2*time.Hour)))
		want := []time.Time{now.Add(time.Hour), now.Add(time.Hour), now.Add(2 * time.Hour), now}
		now = now.Add(3 * time.Hour)
		for what, change := range map[string]func() (int, error){
			"touch":  func() (int, error) { return c.Contents().Touch(t.Context(), cache.Query{}, time.Hour) },
			"expire": func() (int, error) { return c.Contents().Expire(t.Context(), cache.Query{}) },
		} {
			if n, err := change(); n != 4 || err != nil {
				t.Errorf("%s: %d, %v", what, n, err)
			}
			page, err := c.Contents().List(t.Context(), cache.Listing{})
			check(t, err)
			for i, e := range page.Entries {
				if !e.UsedAt.Equal(want[i]) {
					t.Errorf("%s: %v was used %v, want %v", what, e.Key, e.UsedAt, want[i])
				}
			}
		}
	})
}

func TestContentsOfColumnsOfOtherKinds(t *testing.T) {
	type number uint16
	type text string
	c, _ := fullCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[struct{ Artist, Number int }, string]{Name: "z", Payload: payload.String()})
	check(t, err)
	all := c.Contents()
	for name, tt := range map[string]struct {
		query cache.Query
		want  int
	}{
		"a string in one table":         {cache.Query{Key: map[string]any{"artist": "air"}}, 3},
		"a string of a named type":      {cache.Query{Key: map[string]any{"artist": text("air")}}, 3},
		"an integer in another table":   {cache.Query{Key: map[string]any{"artist": 7}}, 0},
		"a prefix":                      {cache.Query{KeyPrefix: map[string]string{"artist": "air"}}, 6},
		"an integer of a named type":    {cache.Query{Key: map[string]any{"number": number(1)}}, 3},
		"an unsigned integer":           {cache.Query{Key: map[string]any{"number": uint64(1)}}, 3},
		"a byte":                        {cache.Query{Key: map[string]any{"number": int8(1)}}, 3},
		"columns of more than one":      {cache.Query{Key: map[string]any{"artist": "air", "key": "1"}}, 0},
		"a column that has no one kind": {cache.Query{Key: map[string]any{"artist": 7, "number": 1}}, 0},
	} {
		if n, err := all.Count(t.Context(), tt.query); n != tt.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", name, n, err, tt.want)
		}
	}
	for name, query := range map[string]cache.Query{
		"a name of another case":   {Key: map[string]any{"Artist": "air"}},
		"a fraction":               {Key: map[string]any{"number": 1.5}},
		"too great an integer":     {Key: map[string]any{"number": uint64(1 << 63)}},
		"nothing":                  {Key: map[string]any{"number": nil}},
		"a prefix of no string":    {KeyPrefix: map[string]string{"number": "1"}},
		"a prefix of no column":    {KeyPrefix: map[string]string{"numbers": ""}},
		"one column that none has": {Key: map[string]any{"artist": "air", "Number": 1}},
	} {
		n, err := all.Delete(t.Context(), query)
		if n != 0 || err == nil || !strings.Contains(strings.ToLower(err.Error()), "number") && name != "a name of another case" {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if n, err := all.Count(t.Context(), cache.Query{}); n != 14 || err != nil {
		t.Errorf("%d are left, %v", n, err)
	}
	none := newCache(t, nil)
	if n, err := none.Contents().Count(t.Context(), cache.Query{Key: map[string]any{"artist": "air"}}); n != 0 || err != nil {
		t.Errorf("an empty store has %d, %v", n, err)
	}
}

func TestContentsOfARepositoryThatIsNotThere(t *testing.T) {
	c, _ := fullCache(t)
	for _, name := range []string{"Tracks", "nonsense", "", "endpointcache_records"} {
		s := c.Contents("albums", name)
		_, counted := s.Count(t.Context(), cache.Query{})
		_, measured := s.Size(t.Context())
		_, listed := s.List(t.Context(), cache.Listing{})
		n, deleted := s.Delete(t.Context(), cache.Query{})
		for _, err := range []error{counted, measured, listed, deleted} {
			if n != 0 || !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("%q: %d, %v", name, n, err)
			}
		}
	}
}

func TestNextHasNoMoreThanItNeeds(t *testing.T) {
	c, _ := fullCache(t)
	for order, want := range map[cache.Order]string{cache.ByKey: "k", cache.ByName: "kn", cache.ByCached: "kc", cache.ByUsed: "ku", cache.ByExpiry: "ke", cache.BySize: "ks"} {
		page, err := c.Contents("albums").List(t.Context(), cache.Listing{Order: order, Limit: 2})
		check(t, err)
		text, err := base64.RawURLEncoding.DecodeString(page.Next)
		check(t, err)
		for _, field := range "kncues" {
			if strings.Contains(string(text), fmt.Sprintf(`"%c":`, field)) != strings.ContainsRune(want, field) {
				t.Errorf("order %d: the token is %s", order, text)
			}
		}
	}
}

func TestAListingThatCannotGoOnIsAnError(t *testing.T) {
	store := memoryStore(t)
	c, err := cache.New(store, nil)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	late := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	check(t, table.Put(t.Context(), []driver.Entry{{Key: driver.Key{"a"}, ExpiresAt: late}, {Key: driver.Key{"b"}, ExpiresAt: late}}))
	if page, err := c.Contents().List(t.Context(), cache.Listing{Order: cache.ByExpiry, Limit: 1}); err == nil {
		t.Errorf("the page is %+v", page)
	}
}

// hanging is a store of which one table does not open until it is let go.
type hanging struct {
	driver.Store
	arrived, release chan struct{}
}

func (s *hanging) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	if spec.Name == "albums" {
		close(s.arrived)
		<-s.release
	}
	return s.Store.OpenTable(ctx, spec)
}

func TestATableThatDoesNotOpenHoldsUpNoOther(t *testing.T) {
	store := memoryStore(t)
	for _, name := range []string{"albums", "tracks"} {
		_, err := store.OpenTable(t.Context(), driver.TableSpec{Name: name, Key: []driver.Column{{Name: "key", Kind: driver.String}}})
		check(t, err)
	}
	s := &hanging{store, make(chan struct{}), make(chan struct{})}
	c, err := cache.New(s, nil)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	done := make(chan error)
	go func() {
		_, err := c.Contents("albums").Count(context.Background(), cache.Query{})
		done <- err
	}()
	<-s.arrived
	_, err = c.Contents("tracks").Count(t.Context(), cache.Query{})
	check(t, err)
	close(s.release)
	check(t, <-done)
}

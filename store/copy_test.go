package store_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

type copyKey struct {
	Text   string
	Number int64
	Flag   bool
}

var copied = settings.RepositorySettings[copyKey, []byte]{
	Name: "copied", Payload: payload.Bytes(), Version: 3, Compression: settings.Zstd,
	Tags: func(k copyKey, _ []byte) []string { return []string{fmt.Sprint(k.Flag)} },
}

// fillToCopy saves so many responses with all that stores keep beside them, half of which an
// invalidation has made old.
func fillToCopy(t *testing.T, c *cache.ResponseCache, s driver.Store, many int) {
	t.Helper()
	_, err := cache.CreateRepository(t.Context(), c, copied)
	check(t, err)
	now := time.Now().UTC().Truncate(time.Microsecond)
	odd := []string{"", "a\x00b", "\xff", "ä", "a/b%2F", `"`}
	n, err := c.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for i := range many {
			body := described(i)
			switch i {
			case 1:
				body = nil
			case 2:
				body = bytes.Repeat([]byte{0, 0xff, 'x'}, 100_000)
			}
			h := repository.Head{
				Header: http.Header{"Etag": {fmt.Sprintf(`"%d"`, i)}, "X-Odd": {odd[i%len(odd)], "b", ""}},
				Notes:  map[string]string{"own": odd[i%len(odd)]}, Proto: "HTTP/2.0",
			}
			e, err := repository.NewEntry([]int{200, 404, 203}[i%3], h, body)
			check(t, err)
			e.Name, e.CachedAt = odd[i%len(odd)]+"name", now.Add(-time.Duration(i)*time.Second)
			if i%4 > 0 {
				e.ExpiresAt = now.Add(time.Hour + time.Duration(i)*time.Microsecond)
			}
			stored := cache.Stored{Repository: "copied", Entry: e, Key: []cache.KeyColumn{
				{Name: "text", Value: odd[i%len(odd)] + fmt.Sprint("key", i)}, {Name: "number", Value: int64(i)<<40 - 5}, {Name: "flag", Value: i%2 == 0},
			}}
			if i%5 == 0 {
				stored.UsedAt = e.CachedAt.Add(time.Duration(1+i%3) * 7 * time.Microsecond)
			}
			if !yield(stored, nil) {
				return
			}
		}
	}, nil)
	check(t, err)
	if n != many {
		t.Fatalf("%d of %d are saved", n, many)
	}
	check(t, c.InvalidateTags(t.Context(), "true"))
}

// allOf are the responses of a store by key, as a program sees them that does not know them.
func allOf(t *testing.T, c *cache.ResponseCache) map[string]cache.Stored {
	t.Helper()
	all := make(map[string]cache.Stored)
	for e, err := range c.Contents().Entries(t.Context(), cache.Query{Bodies: true}) {
		check(t, err)
		if e.Key == nil {
			t.Fatal("an entry has no key")
		}
		e.ExpiresAt = e.ExpiresAt.Truncate(time.Microsecond)
		all[fmt.Sprint(e.Key)] = e
	}
	return all
}

var copiedParts = cmp.Options{
	cmpopts.IgnoreFields(cache.Stored{}, "Size"), cmp.AllowUnexported(repository.Entry{}), cmp.Comparer(bytes.Equal),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".head" }, cmp.Ignore()),
	cmp.Transformer("head", func(e repository.Entry) any {
		h, err := e.Head()
		return []any{h, err, e.Name, e.Status, e.Payload, e.CachedAt, e.ExpiresAt}
	}),
}

// copyFrom copies a store to a new one of that kind, and compares what is in there then.
func (b backend) copyFrom(t *testing.T, from *cache.ResponseCache, kind string, want map[string]cache.Stored) *cache.ResponseCache {
	t.Helper()
	s := b.harness(kind).Open(t)
	to, err := cache.New(s, &cache.Options{KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, to.Close()) })
	progress, err := from.CopyTo(t.Context(), to, nil)
	check(t, err)
	if progress.Copied != len(want) || progress.Total != len(want) {
		t.Errorf("%+v of %d", progress, len(want))
	}
	if d := cmp.Diff(want, allOf(t, to), copiedParts); d != "" {
		t.Errorf("%s differs:\n%.3000s", kind, d)
	}
	if again, err := from.CopyTo(t.Context(), to, nil); err != nil || again.Copied != 0 || again.Entries != len(want) {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	// One that is not there, and one that is another: the rest need not be written.
	n, err := to.Contents().Delete(t.Context(), cache.Query{Key: map[string]any{"number": int64(-5)}})
	if n != 1 || err != nil {
		t.Errorf("%d are deleted, %v", n, err)
	}
	if n, err = to.Contents().Touch(t.Context(), cache.Query{Key: map[string]any{"number": int64(3)<<40 - 5}}, time.Minute); n != 1 || err != nil {
		t.Errorf("%d are touched, %v", n, err)
	}
	if again, err := from.CopyTo(t.Context(), to, nil); err != nil || again.Copied != 2 {
		t.Errorf("after a change: %+v, %v", again, err)
	}
	if d := cmp.Diff(want, allOf(t, to), copiedParts); d != "" {
		t.Errorf("after a change, %s differs:\n%.3000s", kind, d)
	}
	if _, err = cache.CreateRepository(t.Context(), to, copied); err != nil {
		t.Errorf("the declaration is not that of the source: %v", err)
	}
	to.Remove("copied")
	return to
}

// newSource is a store of that kind with something to copy.
func (b backend) newSource(t *testing.T, kind string, many int) (*cache.ResponseCache, map[string]cache.Stored) {
	t.Helper()
	s := b.harness(kind).Open(t)
	c, err := cache.New(s, &cache.Options{KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	fillToCopy(t, c, s, many)
	c.Remove("copied")
	return c, allOf(t, c)
}

// What is copied is the same on every store: in the short form around a ring of all, in the long one also
// from each to each.
func TestCopiesBetweenStores(t *testing.T) {
	kinds := slices.Sorted(maps.Keys(backends))
	t.Run("ring", func(t *testing.T) {
		many := 1200
		if testing.Short() {
			many = 120
		}
		c, want := backends[kinds[0]].newSource(t, kinds[0], many)
		for _, kind := range append(kinds[1:], kinds[0]) {
			c = backends[kind].copyFrom(t, c, kind, want)
		}
	})
	if testing.Short() {
		return
	}
	for _, from := range kinds {
		c, want := backends[from].newSource(t, from, 40)
		for _, to := range kinds {
			t.Run(from+" to "+to, func(t *testing.T) { backends[to].copyFrom(t, c, to, want) })
		}
	}
}

package archive_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at is the clock of the tests.
var at = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newCache(t testing.TB) *cache.ResponseCache {
	t.Helper()
	store, err := memory.New(nil)
	check(t, err)
	c, err := cache.New(store, &cache.Options{Now: func() time.Time { return at }, KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func contentsOf(t testing.TB, c *cache.ResponseCache) []cache.Stored {
	t.Helper()
	var all []cache.Stored
	for e, err := range c.Contents().Entries(t.Context(), cache.Query{Bodies: true}) {
		check(t, err)
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b cache.Stored) int {
		return slices.Compare([]string{a.Table, fmt.Sprint(a.Key)}, []string{b.Table, fmt.Sprint(b.Key)})
	})
	return all
}

var parts = cmp.Options{cmpopts.IgnoreFields(cache.Stored{}, "Size"), cmp.AllowUnexported(repository.Entry{}), cmp.Comparer(bytes.Equal)}

func wantEqual(t testing.TB, from, to *cache.ResponseCache) {
	t.Helper()
	if d := cmp.Diff(contentsOf(t, from), contentsOf(t, to), parts); d != "" {
		t.Errorf("what was read differs (-written +read):\n%s", d)
	}
}

type oddKey struct {
	Text   string
	Number int64
	Flag   bool
}

// fullCache has responses of all kinds of parts.
func fullCache(t testing.TB) *cache.ResponseCache {
	t.Helper()
	c := newCache(t)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "tracks", Version: 4, Pattern: "GET api.test/tracks/{id}", Payload: payload.String(),
	})
	check(t, err)
	_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[oddKey, []byte]{
		Name: "odd", Payload: payload.Bytes(), Scope: settings.PerIdentity,
	})
	check(t, err)
	var all []cache.Stored
	add := func(repo string, key []cache.KeyColumn, status int, h repository.Head, body string, change func(*cache.Stored)) {
		entry, err := repository.NewEntry(status, h, []byte(body))
		check(t, err)
		entry.CachedAt = at.Add(-time.Hour + 123456*time.Microsecond)
		e := cache.Stored{Repository: repo, Key: key, Entry: entry}
		if change != nil {
			change(&e)
		}
		all = append(all, e)
	}
	for i := range 3 {
		add("tracks", []cache.KeyColumn{{Name: "key", Value: fmt.Sprint("id ", i)}}, 200,
			repository.Head{Header: http.Header{"Content-Type": {"application/json"}, "Etag": {fmt.Sprintf(`"%d"`, i)}}},
			fmt.Sprintf(`{"title":"<Track> & %d"}`, i), func(e *cache.Stored) {
				e.Name, e.ExpiresAt = fmt.Sprint("Track ", i), at.Add(time.Duration(i-1)*time.Hour)
			})
	}
	for i, body := range []string{"", "\x00\xff\xfe", "plain \u2028 \u0007 \ufffd", "\xef\xbb\xbf{}", strings.Repeat("x", 1<<20)} {
		text := []string{"", "a\xffb", "ä\n", `"\`, "~"}[i]
		add("odd", []cache.KeyColumn{{Name: "identity", Value: text}, {Name: "text", Value: text}, {Name: "number", Value: int64(-1) << 63 >> i}, {Name: "flag", Value: i%2 == 0}},
			[]int{204, 200, 404, 599, 999}[i], repository.Head{
				Header: http.Header{"X-Odd": {"a", "\xff", ""}}, Trailer: http.Header{"X-Sum": {"1"}}, Proto: "HTTP/2.0", Reason: "Odd",
				Notes: map[string]string{"own": "note"},
			}, body, func(e *cache.Stored) { e.Name, e.UsedAt = text, e.CachedAt.Add(time.Duration(i)*time.Minute) })
	}
	n, err := c.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}, nil)
	if n != len(all) || err != nil {
		t.Fatal(n, err)
	}
	return c
}

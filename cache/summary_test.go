package cache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestSummaries(t *testing.T) {
	eachStore(t, func(t *testing.T, store driver.Store) {
		start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		now := start
		c, err := cache.New(store, &cache.Options{Now: func() time.Time { return now }})
		check(t, err)
		t.Cleanup(func() { check(t, c.Close()) })
		s := endpoint("tracks", "GET api.test/tracks/{id}")
		s.Version = 3
		s.Tags = func(key, _ string) []string { return []string{key[:1]} }
		tracks := create(t, c, s)
		create(t, c, endpoint("albums", "GET api.test/albums/{id}"))
		for i, key := range []string{"a1", "a2", "b1", "b2", "b3"} {
			now = start.Add(time.Duration(i) * time.Minute)
			check(t, tracks.Save(t.Context(), key, strings.Repeat("x", 1000), repository.ExpireIn(time.Duration(1+i)*time.Hour)))
		}
		gone, err := repository.NewEntry(404, repository.Head{}, nil)
		check(t, err)
		check(t, tracks.SaveEntry(t.Context(), "b4", gone))
		now = start.Add(2*time.Hour + time.Minute)
		got, err := c.Contents().Summaries(t.Context())
		check(t, err)
		summary := got[1]
		if len(got) != 2 || got[0].Name != "albums" || got[0].Live+got[0].Expired+got[0].Absent != 0 || !got[0].Oldest.IsZero() || !got[0].InUse {
			t.Errorf("the summaries are %+v", got)
		}
		size, err := c.Contents().Size(t.Context())
		check(t, err)
		if summary.Name != "tracks" || summary.Live != 4 || summary.Expired != 2 || summary.Absent != 1 || summary.Bytes != size.Bytes ||
			!summary.Oldest.Equal(start) || !summary.Newest.Equal(start.Add(4*time.Minute)) || summary.Declaration.Version != 3 {
			t.Errorf("the summary is %+v", summary)
		}
		check(t, c.InvalidateTags(t.Context(), "b"))
		got, err = c.Contents("tracks").Summaries(t.Context())
		check(t, err)
		if len(got) != 1 || got[0].Live != 0 || got[0].Expired != 6 {
			t.Errorf("after an invalidation, the summaries are %+v", got)
		}
	})
}

// What a program finds that knows no more than the file.
func TestSummariesNeedNoRepositories(t *testing.T) {
	path := t.TempDir() + "/x.db"
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	clock := &cache.Options{Now: func() time.Time { return now }}
	owner := openFile(t, path, clock)
	s := endpoint("tracks", "GET api.test/tracks/{id}")
	s.Tags = func(key, _ string) []string { return []string{key[:1]} }
	tracks := create(t, owner, s)
	for _, key := range []string{"a1", "b1", "b2"} {
		check(t, tracks.Save(t.Context(), key, "body"))
	}
	other := openFile(t, path, clock)
	before, err := other.Contents().Summaries(t.Context())
	check(t, err)
	now = now.Add(time.Second)
	check(t, owner.InvalidateTags(t.Context(), "b"))
	after, err := other.Contents().Summaries(t.Context())
	check(t, err)
	if before[0].Live != 3 || after[0].Live != 1 || after[0].InUse {
		t.Errorf("the summaries are %+v, and %+v", before, after)
	}
	if n, err := other.Contents().Count(t.Context(), cache.Query{State: repository.Expired}); n != 2 || err != nil {
		t.Errorf("%d are counted, %v", n, err)
	}
	want, err := owner.Contents().Summaries(t.Context())
	check(t, err)
	want[0].InUse = false
	if d := cmp.Diff(want, after); d != "" {
		t.Error(d)
	}
}

// An entry that was found damaged has no times of its own.
func TestSummariesOfWhatIsDamaged(t *testing.T) {
	path := t.TempDir() + "/x.db"
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c := openFile(t, path, &cache.Options{Now: func() time.Time { return now }})
	tracks := create(t, c, endpoint("tracks", "GET api.test/tracks/{id}"))
	for _, key := range []string{"a", "b"} {
		check(t, tracks.Save(t.Context(), key, "body"))
	}
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	table, err := store.OpenTable(t.Context(), driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	var e driver.Entry
	check(t, table.Get(t.Context(), []driver.Key{{"b"}}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, found driver.Entry) { e = found }))
	e.Key, e.Payload = driver.Key{"b"}, []byte("Body")
	check(t, table.Put(t.Context(), []driver.Entry{e}))
	if _, ok, err := tracks.Get(t.Context(), "b"); ok || err != nil {
		t.Fatalf("the damaged entry is found: %v", err)
	}
	got, err := c.Contents().Summaries(t.Context())
	check(t, err)
	if got[0].Live != 1 || got[0].Expired != 1 || !got[0].Oldest.Equal(now) || !got[0].Newest.Equal(now) {
		t.Errorf("the summary is %+v", got[0])
	}
}

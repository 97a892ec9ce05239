package cache_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// faultsOf are what is wrong, by the first value of the key.
func faultsOf(t *testing.T, s *cache.Contents, q cache.Query) (faults map[string]string, read int) {
	t.Helper()
	faults = make(map[string]string)
	for f, err := range s.Verify(t.Context(), q, func(e cache.Stored) {
		if e.Payload != nil {
			t.Errorf("%v is told with its body", e.Key)
		}
		read++
	}) {
		check(t, err)
		text := f.Err.Error()
		if f.Damage {
			text = "damage: " + text
		}
		faults[fmt.Sprint(f.Key[0].Value)] = text
	}
	return faults, read
}

// rows are all that a store has, as it is.
func rows(t *testing.T, path string) map[string][]driver.Entry {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	specs, err := store.Tables(t.Context())
	check(t, err)
	all := make(map[string][]driver.Entry)
	for _, spec := range specs {
		table, err := store.OpenTable(t.Context(), spec)
		check(t, err)
		for e, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}) {
			check(t, err)
			all[spec.Name] = append(all[spec.Name], e)
		}
	}
	return all
}

// change changes an entry past the cache.
func change(t *testing.T, path, table, key string, change func(*driver.Entry)) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	opened, err := store.OpenTable(t.Context(), driver.TableSpec{Name: table, Key: []driver.Column{{Name: "key", Kind: driver.String}}})
	check(t, err)
	var e driver.Entry
	check(t, opened.Get(t.Context(), []driver.Key{{key}}, driver.Selection{Parts: driver.Payload | driver.Meta}, func(_ int, found driver.Entry) { e = found }))
	e.Key = driver.Key{key}
	change(&e)
	check(t, opened.Put(t.Context(), []driver.Entry{e}))
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	path := t.TempDir() + "/x.db"
	owner := openFile(t, path, nil)
	type track struct{ Title string }
	tracks, err := cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[string, track]{Name: "tracks", Compression: settings.Zstd})
	check(t, err)
	for _, key := range []string{"right", "body", "header", "time", "status", "before", "frame"} {
		check(t, tracks.Save(t.Context(), key, track{strings.Repeat("title ", 100)}))
	}
	raw, err := cache.CreateRepository(t.Context(), owner, settings.RepositorySettings[string, []byte]{Name: "raw", Payload: payload.Bytes()})
	check(t, err)
	for key, response := range map[string]struct {
		contentType, coding string
		status              int
		body                string
	}{
		"json":         {"application/json", "", 200, `{"a":1}`},
		"broken json":  {"application/problem+json; charset=utf-8", "", 200, `{"a":1`},
		"empty json":   {"application/json", "", 200, ""},
		"no content":   {"application/json", "", 204, ""},
		"gone":         {"application/json", "", 404, ""},
		"html as json": {"application/json", "", 404, "<html>"},
		"lines":        {"application/x-ndjson", "", 200, "{}\n[1]\n\n"},
		"broken lines": {"application/x-ndjson", "", 200, "{}\n[1\n"},
		"no png":       {"image/png", "", 200, "GIF89a"},
		"no gzip":      {"application/json", "gzip", 200, "{}"},
		"brotli":       {"application/json", "br", 200, "\x00"},
		"text":         {"text/plain", "", 200, "\xff"},
	} {
		h := headers("Content-Type", response.contentType)
		if response.coding != "" {
			h.Set("Content-Encoding", response.coding)
		}
		e, err := repository.NewEntry(response.status, repository.Head{Header: h}, []byte(response.body))
		check(t, err)
		check(t, raw.SaveEntry(t.Context(), key, e))
	}
	change(t, path, "tracks", "body", func(e *driver.Entry) { e.Payload[len(e.Payload)-1] ^= 1 })
	change(t, path, "tracks", "frame", func(e *driver.Entry) { e.Payload, e.PayloadSum = []byte("no frame"), 0 })
	change(t, path, "tracks", "header", func(e *driver.Entry) { e.Header, e.MetaSum = `{"broken`, 0 })
	change(t, path, "tracks", "time", func(e *driver.Entry) { e.ExpiresAt = e.ExpiresAt.AddDate(1, 0, 0) })
	change(t, path, "tracks", "status", func(e *driver.Entry) { e.Status = 404 })
	change(t, path, "tracks", "before", func(e *driver.Entry) { e.Name = "x" })
	if _, ok, err := tracks.GetEntry(t.Context(), "before"); ok || err != nil {
		t.Fatalf("damage is not found: %v", err)
	}

	other := openFile(t, path, nil)
	before := rows(t, path)
	want := map[string]string{
		"body":   "damage: the checksum of the body does not fit: it is not as it was saved",
		"header": "damage: the headers cannot be decoded: ",
		"time":   "damage: the checksum of the headers, name and times does not fit: they are not as they were saved",
		"status": "damage: the checksum of the headers, name and times does not fit: they are not as they were saved\nthe checksum of the body does not fit: it is not as it was saved",
		"before": "damage: it was found damaged before, and waits to be replaced or cleared",
		"frame":  `damage: the body is kept as "zstd" and cannot be decompressed: `,

		"broken json":  "the body is not JSON, though its media type is application/problem+json: see byte 6",
		"empty json":   "the body is not JSON, though its media type is application/json: it is empty",
		"html as json": "the body is not JSON, though its media type is application/json: see byte 1",
		"broken lines": "line 2 of the body is not JSON, though its media type is application/x-ndjson: see byte 2",
		"no png":       "the body does not begin as one of the media type image/png",
		"no gzip":      "the body is not gzip, as its Content-Encoding says",
	}
	for name, c := range map[string]*cache.ResponseCache{"owner": owner, "other": other} {
		damaged := c.Stats().Damaged
		got, read := faultsOf(t, c.Contents(), cache.Query{})
		if read != 19 {
			t.Errorf("%s: %d are read", name, read)
		}
		for key, text := range want {
			if !strings.HasPrefix(got[key], text) {
				t.Errorf("%s: %s: %q, want %q", name, key, got[key], text)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: the faults are those of %q", name, slices.Sorted(maps.Keys(got)))
		}
		if c.Stats().Damaged != damaged {
			t.Errorf("%s: it counts %d", name, c.Stats().Damaged-damaged)
		}
	}
	if d := cmp.Diff(before, rows(t, path)); d != "" {
		t.Errorf("it has changed something:\n%s", d)
	}
	if got, read := faultsOf(t, other.Contents("raw"), cache.Query{KeyPrefix: map[string]string{"key": "broken "}}); len(got) != 2 || read != 2 {
		t.Errorf("of some, %d are read, and %q are wrong", read, got)
	}
	if _, err := other.Contents("nobody").Count(t.Context(), cache.Query{}); !errors.Is(err, cache.ErrNotFound) {
		t.Error(err)
	}
	for f, err := range other.Contents().Verify(t.Context(), cache.Query{}, nil) {
		check(t, err)
		if !f.Damage {
			continue
		}
		break // it can be left
	}
}

// What a declaration cannot decode is told by the cache that has it, without what is in the body.
func TestVerifyByTheDeclaration(t *testing.T) {
	path := t.TempDir() + "/x.db"
	old := openFile(t, path, nil)
	saved(t, old, settings.RepositorySettings[string, []byte]{Name: "tracks", Version: 1}, "1")
	check(t, old.Close())
	c := openFile(t, path, nil)
	_, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []int]{Name: "tracks", Version: 1})
	check(t, err)
	got, _ := faultsOf(t, c.Contents(), cache.Query{})
	if want := map[string]string{"1": "the repository's declaration cannot decode the body"}; !maps.Equal(got, want) {
		t.Errorf("the faults are %q", got)
	}
	if got, _ := faultsOf(t, openFile(t, path, nil).Contents(), cache.Query{}); len(got) > 0 {
		t.Errorf("without the declaration, the faults are %q", got)
	}
}

// A body that is compressed with a dictionary is read with it, and is damaged without.
func TestVerifyNeedsTheDictionary(t *testing.T) {
	path := t.TempDir() + "/x.db"
	c := openFile(t, path, nil)
	tracks, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{Name: "tracks", Payload: payload.Bytes(), Compression: settings.Zstd})
	check(t, err)
	body := func(i int) []byte {
		return fmt.Appendf(nil, `{"id":%d,"title":"Track %d","album":{"title":"Album %d","label":"A label of some length"},"links":{"self":"https://api.example.com/%d"}}`, i, i, i/10, i)
	}
	for i := range 600 {
		check(t, tracks.Save(t.Context(), fmt.Sprint(i), body(i)))
	}
	waitfor.True(t, "a dictionary", func() bool {
		check(t, tracks.Save(t.Context(), "last", body(1000)))
		all := rows(t, path)["tracks"]
		return 2*len(all[len(all)-1].Payload) < len(body(1000))
	})
	other := openFile(t, path, nil)
	if got, read := faultsOf(t, other.Contents(), cache.Query{}); len(got) > 0 || read != 601 {
		t.Errorf("%d are read, and wrong is %q", read, got)
	}
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	defer func() { check(t, store.Close()) }()
	check(t, store.DropTable(t.Context(), "endpointcache_dictionaries"))
	again := openFile(t, path, nil)
	got, _ := faultsOf(t, again.Contents(), cache.Query{})
	if !strings.HasPrefix(got["last"], `damage: the body is kept as "zstd" and cannot be decompressed: `) {
		t.Errorf("without the dictionary, wrong is %q", got)
	}
}

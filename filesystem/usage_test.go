package filesystem_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// usage returns when an entry was used last, and its size.
func usage(t *testing.T, table driver.Table, key driver.Key) (found driver.Entry) {
	t.Helper()
	sel := driver.Selection{Parts: driver.Usage}
	if err := table.Get(t.Context(), []driver.Key{key}, sel, func(_ int, e driver.Entry) { found = e }); err != nil {
		t.Fatal(err)
	}
	return found
}

// A use changes when the file was changed, and not the file.
func TestAUseWritesNoFile(t *testing.T) {
	_, _, table, e, path := reporting(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !before.ModTime().Equal(e.CachedAt) {
		t.Errorf("an entry that is not used was changed at %v, want %v", before.ModTime(), e.CachedAt)
	}
	for _, at := range []time.Time{now.Add(time.Microsecond), now.Add(time.Hour + 123_457*time.Microsecond)} {
		if err := table.Use(t.Context(), []driver.Key{e.Key, {"none", int64(1)}}, at); err != nil {
			t.Fatal(err)
		}
		if got := usage(t, table, e.Key).UsedAt; !got.Equal(at) {
			t.Errorf("it was used at %v, want %v", got, at)
		}
	}
	after, err := os.Stat(path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("it is another file: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
		t.Errorf("its content was changed: %v", err)
	}
	if got, ok := get(t, table, e.Key); !ok || !whole(got) {
		t.Error("it is not read")
	}
	none, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "*", "none*"))
	if err != nil || len(none) > 0 {
		t.Errorf("a use has made %v, %v", none, err)
	}
}

// Tools that copy files set their times to others: to that of the copy, to whole seconds, or
// to the past. An entry is never used before it was cached.
func TestTimesThatACopyHas(t *testing.T) {
	_, _, table, e, path := reporting(t)
	for _, tt := range []struct{ changed, want time.Time }{
		{now.Add(time.Minute), now.Add(time.Minute)},
		{now.Add(time.Minute + 999*time.Nanosecond), now.Add(time.Minute)},
		{now.Truncate(time.Second), e.CachedAt},
		{now.Add(-time.Hour), e.CachedAt},
		{time.Unix(0, 0), e.CachedAt},
	} {
		if err := os.Chtimes(path, tt.changed, tt.changed); err != nil {
			t.Fatal(err)
		}
		if got := usage(t, table, e.Key).UsedAt; !got.Equal(tt.want) {
			t.Errorf("changed at %v: used at %v, want %v", tt.changed, got, tt.want)
		}
	}
}

// Entries that were cached in years that file systems do not know.
func TestUsesOfOddTimes(t *testing.T) {
	_, _, table, e, _ := reporting(t)
	for _, year := range []int{1, 1600, 1901, 1969, 1970, 2039, 2500, 9999} {
		e.CachedAt = time.Date(year, 1, 2, 3, 4, 5, 678_901_000, time.UTC)
		if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
			t.Fatal(err)
		}
		if got := usage(t, table, e.Key).UsedAt; !got.Equal(e.CachedAt) {
			t.Errorf("it was used at %v, want %v", got, e.CachedAt)
		}
		if err := table.Use(t.Context(), []driver.Key{e.Key}, now); err != nil {
			t.Fatal(err)
		}
		want := now
		if e.CachedAt.After(now) {
			want = e.CachedAt
		}
		if got := usage(t, table, e.Key).UsedAt; !got.Equal(want) {
			t.Errorf("cached at %v, it was used at %v, want %v", e.CachedAt, got, want)
		}
	}
}

// Files of earlier versions have neither encoding nor checksums in their heads, and are as
// long ago used as they were cached, or written.
func TestAFileOfAnEarlierVersion(t *testing.T) {
	_, store, table, _, _ := reporting(t)
	key := driver.Key{"old", int64(7)}
	path, err := store.EntryPath("tracks", key)
	if err != nil {
		t.Fatal(err)
	}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	payload := []byte(`{"id": 7}`)
	lines := func(size int) string {
		return fmt.Sprintf("Length: %08d %d %08x\nStatus: 200\nCached: 2020-03-01T12:00:00.123456Z\nExpires: never\n"+
			"Table: tracks\nKey id: old\nKey n: 7\nName: One More Time\nHeaders: {}\n\n", size, len(payload), crc32.Checksum(payload, castagnoli))
	}
	first := len("endpointcache/1 00000000\n")
	text := lines(first + len(lines(0)))
	os.MkdirAll(filepath.Dir(path), 0o700)
	content := fmt.Appendf(nil, "endpointcache/1 %08x\n%s%s", crc32.Checksum([]byte(text), castagnoli), text, payload)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	written := now.Add(-time.Hour)
	if err := os.Chtimes(path, written, written); err != nil {
		t.Fatal(err)
	}
	e, ok := get(t, table, key)
	if !ok || e.Name != "One More Time" || e.Encoding != "" || e.PayloadSum != 0 || e.MetaSum != 0 || !bytes.Equal(e.Payload, payload) {
		t.Errorf("it is read as %+v, %v", e, ok)
	}
	if got := usage(t, table, key); !got.UsedAt.Equal(written) || got.Size != int64(len(content)) {
		t.Errorf("it was used at %v, want %v; its size is %d, want %d", got.UsedAt, written, got.Size, len(content))
	}
	r := driver.Renewal{Key: key, Seen: e.CachedAt, Header: "{}", CachedAt: now, MetaSum: 5}
	if renewed, err := table.Renew(t.Context(), []driver.Renewal{r}); err != nil || !renewed[0] {
		t.Errorf("renew: %v, %v", renewed, err)
	}
	if e, ok = get(t, table, key); !ok || e.MetaSum != 5 || !bytes.Equal(e.Payload, payload) || !usage(t, table, key).UsedAt.Equal(now) {
		t.Errorf("it was renewed to %+v, %v", e, ok)
	}
	if n, err := table.Clear(t.Context(), driver.Filter{Where: driver.Where{NamePrefix: "One"}}); err != nil || n != 1 {
		t.Errorf("clear by name: %d, %v", n, err)
	}
}

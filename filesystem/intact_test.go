package filesystem_test

import (
	"bytes"
	"log/slog"
	"os"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

// Each byte of a file is covered: whichever is changed, the entry is a miss that is reported,
// whatever is asked of it. Without its payload it is found if that alone is damaged.
func TestEveryByteOfAFileIsCovered(t *testing.T) {
	r := newReports()
	store := open(t, fastFolder(t), &filesystem.Options{Logger: slog.New(r)})
	if !store.Traits().Intact {
		t.Error("the store does not say so")
	}
	table := openTracks(t, store)
	e := track("a", 1, 1)
	e.Name, e.Header, e.Payload = "A name", `{"Etag":["1"]}`, []byte(`{"id": 1, "title": "A track"}`)
	e.Encoding, e.PayloadSum, e.MetaSum = "zstd", 0x12345678, 0x9abcdef0
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	path, err := store.EntryPath("tracks", e.Key)
	if err != nil {
		t.Fatal(err)
	}
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	head := bytes.Index(intact, []byte("\n\n")) + 2
	all := driver.Payload | driver.Meta | driver.Usage
	for at, is := range intact {
		for _, flip := range []byte{0x01, 0x02, 0x10, 0x20, 0x80, 0xff} {
			if _, err := file.WriteAt([]byte{is ^ flip}, int64(at)); err != nil {
				t.Fatal(err)
			}
			for _, parts := range []driver.Parts{driver.Payload, all, driver.Meta, driver.Usage, 0} {
				covered := at < head || parts&driver.Payload != 0
				found := false
				err := table.Get(t.Context(), []driver.Key{e.Key}, driver.Selection{Parts: parts}, func(int, driver.Entry) { found = true })
				if err != nil || found == covered || (r.take(path) > 0) != covered {
					t.Errorf("byte %d, %q for %q: a get of parts %b: found is %v, %v", at, is^flip, is, parts, found, err)
				}
			}
			n := 0
			for _, err := range table.Entries(t.Context(), driver.Selection{Parts: all}) {
				if err != nil {
					t.Errorf("byte %d: iterate: %v", at, err)
				}
				n++
			}
			if n > 0 || r.take(path) == 0 {
				t.Errorf("byte %d, %q for %q: an iteration yields %d", at, is^flip, is, n)
			}
		}
		if _, err := file.WriteAt([]byte{is}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := get(t, table, e.Key); !ok || got.Encoding != e.Encoding || got.PayloadSum != e.PayloadSum || got.MetaSum != e.MetaSum || !bytes.Equal(got.Payload, e.Payload) {
		t.Errorf("it is not read when it is intact again: %+v, %v", got, ok)
	}
}

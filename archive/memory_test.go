package archive_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
)

// onDisk is a cache whose responses are not in memory.
func onDisk(t *testing.T) *cache.ResponseCache {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/x.db", nil)
	check(t, err)
	c, err := cache.New(store, &cache.Options{KeepExpired: -1})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

// A file may be longer than memory: no more than some responses are there at a time.
func TestFilesAreNotHeldInMemory(t *testing.T) {
	const size, many = 2 << 20, 100
	from := onDisk(t)
	body := strings.Repeat("0123456789abcdef", size/16)
	n, err := from.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for i := range many {
			e, err := repository.NewEntry(200, repository.Head{}, []byte(body))
			e.CachedAt = at
			if !yield(cache.Stored{Repository: "large", Key: []cache.KeyColumn{{Name: "id", Value: fmt.Sprint(i)}}, Entry: e}, err) {
				return
			}
		}
	}, nil)
	if n != many || err != nil {
		t.Fatal(n, err)
	}
	for name, pass := range map[string]func(to *cache.ResponseCache, r io.Reader, w *io.PipeWriter) (int, error){
		"lines": func(to *cache.ResponseCache, r io.Reader, w *io.PipeWriter) (int, error) {
			go func() {
				_, err := archive.WriteLines(t.Context(), w, from.Contents(), cache.Query{})
				w.CloseWithError(err)
			}()
			return archive.ReadLines(t.Context(), r, to.Contents())
		},
		"HAR": func(to *cache.ResponseCache, r io.Reader, w *io.PipeWriter) (int, error) {
			go func() {
				_, err := archive.WriteHAR(t.Context(), w, from.Contents(), cache.Query{})
				w.CloseWithError(err)
			}()
			saved, _, err := archive.ReadHAR(t.Context(), r, to.Contents(), archive.HARTarget{})
			return saved, err
		},
	} {
		to := onDisk(t)
		r, w := io.Pipe()
		_, peak := memuse.Of(func() {
			if n, err := pass(to, r, w); n != many || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		})
		// What the collector comes late to on a busy machine is counted, too.
		if limit := int64(many * size / 2); peak > limit {
			t.Errorf("%s: %d MiB are held, of %d", name, peak>>20, many*size>>20)
		}
		t.Logf("%s: %d MiB", name, peak>>20)
	}
}

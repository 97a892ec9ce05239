package filesystem_test

import (
	"os"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// Files are not opened whose names tell that their keys begin otherwise, so what is
// wrong with them is not reported.
func TestLeadingValuesOpenOnlyFilesWithTheirNames(t *testing.T) {
	r, store, table, _, path := reporting(t)
	alike := driver.Key{"a:", int64(1)} // the name has an underscore for the colon
	other, err := store.EntryPath("tracks", alike)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{{Key: alike}, {Key: driver.Key{"a/", int64(1)}}, {Key: driver.Key{"b", int64(1)}}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, other} {
		if err := os.WriteFile(p, []byte("endpointcache/1 0"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	uses := map[string]func(driver.Filter) (int, error){
		"count": func(f driver.Filter) (int, error) { return table.Count(t.Context(), f) },
		"iterate": func(f driver.Filter) (n int, err error) {
			for _, err = range table.Entries(t.Context(), driver.Selection{Filter: f}) {
				n++
			}
			return n, err
		},
		"paths": func(f driver.Filter) (n int, err error) {
			for _, err = range store.Paths(t.Context(), "tracks", f) {
				n++
			}
			return n, err
		},
	}
	for name, use := range uses {
		for _, tt := range []struct {
			leading       string
			want          int
			path, another bool // is reported
		}{{"a", 0, true, false}, {"a:", 0, false, true}, {"a/", 1, false, true}, {"b", 1, false, false}} {
			n, err := use(driver.Filter{Leading: driver.Key{tt.leading}})
			if err != nil || n != tt.want {
				t.Errorf("%s by %q: %d, %v; want %d", name, tt.leading, n, err, tt.want)
			}
			if reported := r.take(path) > 0; reported != tt.path {
				t.Errorf("%s by %q reports %s: %v", name, tt.leading, path, reported)
			}
			if reported := r.take(other) > 0; reported != tt.another {
				t.Errorf("%s by %q reports %s: %v", name, tt.leading, other, reported)
			}
		}
	}
	// A clear removes the wreck that may have been one of those entries, and no other.
	if n, err := table.Clear(t.Context(), driver.Filter{Leading: driver.Key{"a"}}); n != 0 || err != nil {
		t.Errorf("clear: %d, %v; want 0", n, err)
	}
	for p, want := range map[string]bool{path: false, other: true} {
		if _, err := os.Stat(p); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", p, err == nil, want)
		}
	}
}

package sqlite_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

// FuzzTableNames opens two tables of any valid names, with columns of such names,
// beside one that nothing may touch. They are separate, or refused.
func FuzzTableNames(f *testing.F) {
	for _, seed := range [][2]string{
		{"audio-features", "select"}, {`a"b`, "a'b"}, {"x; DROP TABLE bystander", "--"}, {"tracks", "tracks expires_us"},
		{"日本", "%s?"}, {"sqlite_master", "main.tracks"}, {"Tracks", "tracks"}, {"a", "a"}, {"pragma", "temp.x"}, {"x", "X by size"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		ctx := t.Context()
		store := must(t)(sqlite.OpenMemory(ctx, nil))
		defer store.Close()
		bystander, err := store.OpenTable(ctx, tracks)
		if err != nil {
			t.Fatal(err)
		}
		var tables []driver.Table
		for i, name := range []string{one, two} {
			spec := driver.TableSpec{Name: name, Key: []driver.Column{{Name: "k" + two, Kind: driver.String}}}
			if spec.Validate() != nil || strings.EqualFold(name, tracks.Name) {
				return
			}
			table, err := store.OpenTable(ctx, spec)
			if err != nil {
				if reserved := strings.HasPrefix(strings.ToLower(name), "sqlite_"); i == 0 && !reserved {
					t.Fatalf("%q: %v", name, err)
				}
				return
			}
			if err := table.Put(ctx, []driver.Entry{{Key: driver.Key{name}, Payload: []byte(name)}}); err != nil {
				t.Fatal(err)
			}
			tables = append(tables, table)
		}
		for i, name := range []string{one, two} {
			found := false
			err := tables[i].Get(ctx, []driver.Key{{name}}, driver.Selection{Parts: driver.Payload}, func(_ int, e driver.Entry) {
				found = bytes.Equal(e.Payload, []byte(name))
			})
			n, countErr := tables[i].Count(ctx, driver.Filter{})
			_, listErr := tables[i].List(ctx, driver.Listing{Order: driver.BySize, Limit: 1})
			if listErr != nil && !strings.EqualFold(one, two+" by size") && !strings.EqualFold(two, one+" by size") {
				t.Errorf("%q is not listed: %v", name, listErr)
			}
			if err != nil || countErr != nil || !found || n != 1 && one != two {
				t.Errorf("%q has %d entries, its own: %v; %v, %v", name, n, found, err, countErr)
			}
		}
		specs, err := store.Tables(ctx)
		if want := 3; err != nil || one != two && len(specs) != want {
			t.Errorf("%d tables, %v, want %d", len(specs), err, want)
		}
		if _, err := tables[0].Clear(ctx, driver.Filter{}); err != nil {
			t.Error(err)
		}
		if n, err := bystander.Count(ctx, driver.Filter{}); err != nil || n != 0 {
			t.Errorf("the bystander has %d entries, %v", n, err)
		}
		if _, err := store.OpenTable(ctx, driver.TableSpec{Name: one, Key: tracks.Key}); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("%q with another key: %v", one, err)
		}
	})
}

package seal_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/seal"
)

// Whoever examines a store is told of what cannot be opened, and leaves it as it is.
func TestExaminationsTellOfWhatCannotBeOpened(t *testing.T) {
	for name, opts := range modes {
		t.Run(name, func(t *testing.T) {
			below, err := memory.New(nil)
			check(t, err)
			sealed, err := seal.New(below, keys(t, 1), opts)
			check(t, err)
			defer func() { check(t, sealed.Close()) }()
			spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
			table, err := sealed.OpenTable(t.Context(), spec)
			check(t, err)
			at := time.Now().UTC().Truncate(time.Microsecond)
			for _, id := range []string{"one", "two"} {
				check(t, table.Put(t.Context(), []driver.Entry{{Key: driver.Key{id}, Name: id, Status: 200, Payload: []byte(id), CachedAt: at}}))
			}
			all := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
			specs, err := below.Tables(t.Context())
			check(t, err)
			var raw driver.Table
			for _, s := range specs {
				if s.Name == "tracks" {
					raw, err = below.OpenTable(t.Context(), s)
					check(t, err)
				}
			}
			entries := func() (list []driver.Entry) {
				for e, err := range raw.Entries(t.Context(), all) {
					check(t, err)
					list = append(list, e)
				}
				slices.SortFunc(list, func(a, b driver.Entry) int { return strings.Compare(a.Header, b.Header) })
				return list
			}
			spoilt := entries()[1]
			spoilt.Payload = append([]byte{}, spoilt.Payload...)
			spoilt.Payload[len(spoilt.Payload)-1] ^= 1
			check(t, raw.Put(t.Context(), []driver.Entry{spoilt}))
			before := entries()

			for range 2 {
				var right, wrong int
				for found, err := range driver.Examine(t.Context(), sealed, table, spec, all) {
					check(t, err)
					switch {
					case found.Fault != nil:
						wrong++
						if found.Payload != nil || found.Name != "" {
							t.Errorf("it tells %+v", found.Entry)
						}
					case string(found.Payload) == found.Name && found.Key[0] == found.Name:
						right++
					default:
						t.Errorf("it tells %+v", found.Entry)
					}
				}
				if right != 1 || wrong != 1 {
					t.Errorf("%d are right, and %d wrong", right, wrong)
				}
			}
			if d := cmp.Diff(before, entries()); d != "" || sealed.Stats().Failed != 0 {
				t.Errorf("it has changed something, or counted %d:\n%s", sealed.Stats().Failed, d)
			}
			read := 0
			for _, err := range table.Entries(t.Context(), all) {
				check(t, err)
				read++
			}
			if read != 1 || sealed.Stats().Failed == 0 {
				t.Errorf("%d are read, and %d fail", read, sealed.Stats().Failed)
			}
		})
	}
}

package driver_test

import (
	"slices"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// A table that leaves out nearly all reads wider and wider pages of the other one, and has each
// entry on one page.
func TestSiftReadsFewPages(t *testing.T) {
	const entries, limit = 5_000, 10
	all := make([]driver.Entry, entries)
	for i := range all {
		all[i].Key = driver.Key{int64(i)}
	}
	for name, tt := range map[string]struct {
		every int64
		parts driver.Parts
		pages int
	}{
		"few are kept":              {500, driver.Meta, 20},
		"most are kept":             {1, driver.Meta, entries/limit + 1},
		"few are kept, with bodies": {500, driver.Payload, entries/limit + 20},
	} {
		t.Run(name, func(t *testing.T) {
			pages, longest := 0, 0
			list := func(l driver.Listing) ([]driver.Entry, error) {
				pages, longest = pages+1, max(longest, l.Limit)
				return l.Page(func(yield func(driver.Entry, error) bool) {
					for _, e := range all {
						if !yield(e, nil) {
							return
						}
					}
				})
			}
			var got []driver.Entry
			l := driver.Listing{Selection: driver.Selection{Parts: tt.parts}, Limit: limit}
			for {
				page, err := l.Sift(list, func(e *driver.Entry) (bool, error) { return e.Key[0].(int64)%tt.every == tt.every-1, nil })
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page...)
				if len(page) < limit {
					break
				}
				l.After = &page[len(page)-1]
			}
			var want []driver.Entry
			for i := tt.every - 1; i < entries; i += tt.every {
				want = append(want, all[i])
			}
			if !slices.EqualFunc(got, want, func(a, b driver.Entry) bool { return slices.Equal(a.Key, b.Key) }) {
				t.Errorf("%d entries, want %d", len(got), len(want))
			}
			if pages > tt.pages || tt.parts&driver.Payload != 0 && longest > limit {
				t.Errorf("%d pages of at most %d entries", pages, longest)
			}
		})
	}
}

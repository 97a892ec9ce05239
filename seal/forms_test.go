package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/sqlite"
)

// only has one column as a digest.
func only(column string) func(table, name string) seal.Form {
	return func(_, name string) seal.Form {
		if name == column {
			return seal.Digest
		}
		return seal.Clear
	}
}

func TestWhatATableIsOpenedAsHasToFit(t *testing.T) {
	below := newMemory(t)
	open := func(opts *seal.Options, spec driver.TableSpec) (*seal.Store, error) {
		s, err := seal.New(leftOpen{below}, keys(t, 1), opts)
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		_, err = s.OpenTable(t.Context(), spec)
		return s, err
	}
	id := &seal.Options{KeyColumn: only("id"), DigestKey: secret(5)}
	s, err := open(id, spec)
	check(t, err)
	specs, err := s.Tables(t.Context())
	check(t, err)
	if d := cmp.Diff([]driver.TableSpec{spec}, specs); d != "" {
		t.Errorf("the tables are not those that were opened:\n%s", d)
	}
	for name, c := range map[string]struct {
		opts *seal.Options
		spec driver.TableSpec
		want string
	}{
		"in the clear":       {nil, spec, "digests of id by"},
		"another column":     {&seal.Options{KeyColumn: only("page"), DigestKey: secret(5)}, spec, "digests of page by"},
		"all columns":        {&seal.Options{KeyColumn: digestAll, DigestKey: secret(5)}, spec, "digests of id, page by"},
		"another digest key": {&seal.Options{KeyColumn: only("id"), DigestKey: secret(6)}, spec, "digests of id by"},
		"another kind": {id, driver.TableSpec{Name: "tracks", Key: []driver.Column{
			{Name: "id", Kind: driver.Int}, {Name: "page", Kind: driver.Int},
		}}, "id int, page int"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(c.opts, c.spec)
			if !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "have id string, page int (digests of id") {
				t.Errorf("%v, want a SchemaError with %q", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		form seal.Form
		spec driver.TableSpec
	}{
		"a key column that is sealed":     {seal.Sealed, spec},
		"a key column of another form":    {9, spec},
		"a key column with the mark name": {seal.Clear, driver.TableSpec{Name: "x", Key: []driver.Column{{Name: "seal:1:x", Kind: driver.String}}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(&seal.Options{KeyColumn: func(string, string) seal.Form { return c.form }, DigestKey: secret(5)}, c.spec)
			var op *driver.OpError
			if !errors.As(err, &op) || op.Table != c.spec.Name {
				t.Errorf("%v, want an OpError", err)
			}
		})
	}
}

// leftOpen is a store that others go on using.
type leftOpen struct{ driver.Store }

func (leftOpen) Close() error { return nil }

// TestListingsAreRightWhateverIsADigest lists by what the store below cannot sort or select by.
func TestListingsAreRightWhateverIsADigest(t *testing.T) {
	var all []driver.Entry
	for i := range 40 {
		e := entry(i, i%5)
		e.Key = driver.Key{fmt.Sprintf("%c-%02d", 'a'+i%3, i*7%40), int64(i * 11 % 40)}
		e.Name = fmt.Sprintf("%c name %02d", 'x'+i%2, i*13%40)
		all = append(all, e)
	}
	plain := newMemory(t)
	want, err := plain.OpenTable(t.Context(), spec)
	check(t, err)
	check(t, want.Put(t.Context(), all))

	forms := map[string]*seal.Options{
		"id":   {KeyColumn: only("id"), DigestKey: secret(5)},
		"page": {KeyColumn: only("page"), DigestKey: secret(5), Names: seal.Clear},
	}
	for name, opts := range modes {
		forms[name] = opts
	}
	for name, opts := range forms {
		t.Run(name, func(t *testing.T) {
			s := openSealed(t, "sqlite", keys(t, 1), opts)
			table := s.table(t, spec)
			check(t, table.Put(t.Context(), all))
			for _, f := range []driver.Filter{
				{}, {Leading: driver.Key{"a-00"}}, {Where: driver.Where{Prefix: "b-"}}, {Where: driver.Where{Name: "x name 00"}},
				{Where: driver.Where{NamePrefix: "y"}}, {Where: driver.Where{NamePrefix: "y", Prefix: "c-", MinStatus: 110}},
				{State: driver.Expired, Now: all[2].ExpiresAt, Where: driver.Where{NamePrefix: "x"}},
				{Where: driver.Where{CachedFrom: all[1].CachedAt, CachedBefore: all[3].CachedAt, UsedBefore: all[2].CachedAt, Prefix: "a"}},
			} {
				for order := driver.ByKey; order <= driver.ByExpiry; order++ {
					for _, descending := range []bool{false, true} {
						l := driver.Listing{Selection: driver.Selection{Filter: f, Parts: driver.Meta}, Order: order, Descending: descending, Limit: 7}
						if d := cmp.Diff(listed(t, want, l), listed(t, table, l)); d != "" {
							t.Fatalf("the listing %+v differs:\n%s", l, d)
						}
					}
				}
				counted, err := table.Count(t.Context(), f)
				check(t, err)
				if n, _ := want.Count(t.Context(), f); n != counted {
					t.Errorf("the count of %+v is %d, want %d", f, counted, n)
				}
			}
			f := driver.Filter{Where: driver.Where{NamePrefix: "x", Prefix: "a"}}
			n, _ := want.Count(t.Context(), f)
			cleared, err := table.Clear(t.Context(), f)
			if check(t, err); cleared != n {
				t.Errorf("%d entries were cleared, want %d", cleared, n)
			}
			if left, err := table.Count(t.Context(), driver.Filter{}); err != nil || left != len(all)-n {
				t.Errorf("%d entries are left: %v", left, err)
			}
		})
	}
}

// listed are the keys and names of all pages of a listing.
func listed(tb testing.TB, t driver.Table, l driver.Listing) (all []string) {
	tb.Helper()
	for {
		page, err := t.List(tb.Context(), l)
		check(tb, err)
		for _, e := range page {
			all = append(all, fmt.Sprint(e.Key, e.Name))
		}
		if len(page) < l.Limit {
			return all
		}
		l.After = &page[len(page)-1]
	}
}

// watched is a store that tells of one change.
type watched struct{ driver.Store }

func (watched) Watch(_ context.Context, begun func(), changed func(driver.Change)) error {
	begun()
	changed(driver.Change{Table: "tracks", Keys: []driver.Key{{"a", int64(1)}}})
	changed(driver.Change{Table: "albums", Keys: []driver.Key{{"a", int64(1)}}})
	return driver.ErrClosed
}

func TestWatchersTellNoDigests(t *testing.T) {
	for name, c := range map[string]struct {
		below  driver.Store
		column func(table, column string) seal.Form
		found  bool
		keys   map[string]int // how many keys a change of a table has
	}{
		"no watcher":            {newMemory(t), nil, false, nil},
		"no watcher of digests": {newMemory(t), digestAll, false, nil},
		"in the clear":          {watched{newMemory(t)}, nil, true, map[string]int{"tracks": 1, "albums": 1}},
		"digests": {watched{newMemory(t)}, func(table, _ string) seal.Form {
			if table == "tracks" {
				return seal.Digest
			}
			return seal.Clear
		}, true, map[string]int{"tracks": 0, "albums": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := &seal.Options{KeyColumn: c.column}
			if c.column != nil {
				opts.DigestKey = secret(5)
			}
			s, err := seal.New(c.below, keys(t, 1), opts)
			check(t, err)
			defer s.Close()
			for _, table := range []string{"tracks", "albums"} {
				_, err := s.OpenTable(t.Context(), driver.TableSpec{Name: table, Key: spec.Key})
				check(t, err)
			}
			w, ok := driver.As[driver.Watcher](driver.Store(s))
			if ok != c.found {
				t.Fatalf("a watcher is found: %v", ok)
			}
			if !ok {
				return
			}
			got := make(map[string]int)
			err = w.Watch(t.Context(), func() {}, func(change driver.Change) { got[change.Table] = len(change.Keys) })
			if d := cmp.Diff(c.keys, got); d != "" || !errors.Is(err, driver.ErrClosed) {
				t.Errorf("the changes are (and %v):\n%s", err, d)
			}
		})
	}
}

// How a store is set up tells of no keys, and to compact it changes none.
func TestADigestedStoreIsTended(t *testing.T) {
	below, err := sqlite.OpenMemory(t.Context(), nil)
	check(t, err)
	for name, c := range map[string]struct {
		below                driver.Store
		diagnoses, compacted bool
	}{
		"both": {below, true, true},
		"one": {struct {
			driver.Store
			driver.Diagnoser
		}{below, below}, true, false},
		"other": {struct {
			driver.Store
			driver.Compactor
		}{below, below}, false, true},
		"neither": {newMemory(t), false, false},
	} {
		s, err := seal.New(c.below, keys(t, 1), &seal.Options{KeyColumn: digestAll, DigestKey: secret(5)})
		check(t, err)
		_, diagnoses := driver.As[driver.Diagnoser](driver.Store(s))
		_, compacts := driver.As[driver.Compactor](driver.Store(s))
		if diagnoses != c.diagnoses || compacts != c.compacted {
			t.Errorf("%s: it diagnoses: %v, and compacts: %v", name, diagnoses, compacts)
		}
		if _, ok := driver.As[*sqlite.Store](s); ok {
			t.Errorf("%s: the store below is found", name)
		}
		check(t, s.Close())
	}
}

package drivertest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// wantTables fails the test unless the store has these tables.
func wantTables(t *testing.T, s driver.Store, want ...driver.TableSpec) {
	t.Helper()
	have, err := s.Tables(t.Context())
	if err != nil {
		t.Fatalf("list tables: %v", err)
	}
	if !slices.EqualFunc(have, want, func(a, b driver.TableSpec) bool {
		return a.Name == b.Name && slices.Equal(a.Key, b.Key)
	}) {
		t.Errorf("the tables are %+.300q, want %+.300q", have, want)
	}
}

func drop(t *testing.T, s driver.Store, name string) {
	t.Helper()
	if err := s.DropTable(t.Context(), name); err != nil {
		t.Fatalf("drop %q: %v", name, err)
	}
}

func testTables(t *testing.T, h Harness) {
	key := []driver.Column{text("id"), integer("page"), boolean("explicit")}

	t.Run("tables are listed by name, with their keys", func(t *testing.T) {
		s := h.open(t)
		wantTables(t, s)
		var specs []driver.TableSpec
		for i, name := range []string{"a", "B", "a b", "tracks@https://api.test:8443", `q"'%_*`, "日本", "..", "a/b", "a.b"} {
			spec := driver.TableSpec{Name: name, Key: key[i%3:]}
			openTable(t, s, spec)
			specs = append(specs, spec)
		}
		slices.SortFunc(specs, func(a, b driver.TableSpec) int {
			return driver.CompareKeys(driver.Key{a.Name}, driver.Key{b.Name})
		})
		wantTables(t, s, specs...)
		if h.Reopen != nil {
			wantTables(t, h.reopen(t, s), specs...)
		}
	})

	t.Run("names that are long come back whole", func(t *testing.T) {
		s := h.open(t)
		long := strings.Repeat("x", 254)
		key := []driver.Column{text("a" + long), integer("b" + long), text(strings.Repeat("日", 85)), text("it's")}
		one, two := driver.TableSpec{Name: long + "1", Key: key}, driver.TableSpec{Name: long + "2", Key: key}
		openTable(t, s, two)
		e := version(driver.Key{"a", int64(1), "b", "c"}, 1)
		table := openTable(t, s, one)
		table.put(e)
		wantTables(t, s, one, two)
		drop(t, s, two.Name)
		wantTables(t, s, one)
		table.wantOnly(e)
	})

	t.Run("a table that is dropped is gone with its entries, and no other is", func(t *testing.T) {
		one := h.table(t, key...)
		other := openTable(t, one.store, driver.TableSpec{Name: "albums", Key: key})
		e := version(driver.Key{"a", int64(1), true}, 1)
		one.put(e)
		other.put(e)
		drop(t, one.store, one.spec.Name)
		wantTables(t, one.store, other.spec)
		other.wantOnly(e)
		drop(t, one.store, one.spec.Name)
		drop(t, one.store, "none")

		again := openTable(t, one.store, driver.TableSpec{Name: one.spec.Name, Key: []driver.Column{text("id")}})
		again.wantOnly()
		again.put(version(id(1), 1))
		again.wantOnly(version(id(1), 1))
		other.wantOnly(e)
	})

	t.Run("a table of many entries is dropped", func(t *testing.T) {
		table := h.ids(t)
		table.put(versions(ids(0, h.pages()), 1)...)
		drop(t, table.store, table.spec.Name)
		openTable(t, table.store, table.spec).wantOnly()
	})

	t.Run("stores drop one table at the same time", func(t *testing.T) {
		one := h.ids(t)
		stores := []driver.Store{one.store}
		if h.Reopen != nil {
			stores = append(stores, h.reopen(t, one.store))
		}
		for range rounds(5) {
			openTable(t, one.store, one.spec).put(versions(ids(0, 10), 1)...)
			together(t, func(ctx context.Context, g int) error {
				return stores[g%len(stores)].DropTable(ctx, one.spec.Name)
			})
			for _, s := range stores {
				wantTables(t, s)
			}
		}
		openTable(t, one.store, one.spec).wantOnly()
	})

	t.Run("a table is opened while others drop it", func(t *testing.T) {
		one := h.ids(t)
		stores := []driver.Store{one.store}
		for h.Reopen != nil && len(stores) < 4 {
			stores = append(stores, h.reopen(t, one.store))
		}
		together(t, func(ctx context.Context, g int) error {
			s := stores[g%len(stores)]
			for range rounds(20) {
				if _, err := s.OpenTable(ctx, one.spec); err != nil {
					return err
				}
				if err := s.DropTable(ctx, one.spec.Name); err != nil {
					return err
				}
			}
			return nil
		})
		openTable(t, one.store, one.spec).wantOnly()
	})

	t.Run("another store sees at once which tables there are", func(t *testing.T) {
		one := h.ids(t)
		second := h.reopen(t, one.store)
		wantTables(t, second, one.spec)
		openTable(t, second, one.spec)
		drop(t, one.store, one.spec.Name)
		wantTables(t, second)
		openTable(t, second, one.spec).wantOnly()
	})
}

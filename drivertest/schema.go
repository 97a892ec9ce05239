package drivertest

import (
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testSchema(t *testing.T, h Harness) {
	have := []driver.Column{text("id"), integer("page")}
	for _, tt := range []struct {
		name string
		want []driver.Column
	}{
		{"another column name is another schema", []driver.Column{text("id"), integer("number")}},
		{"another kind is another schema", []driver.Column{text("id"), text("page")}},
		{"an integer is no boolean", []driver.Column{text("id"), boolean("page")}},
		{"another order is another schema", []driver.Column{integer("page"), text("id")}},
		{"names that change places are another schema", []driver.Column{text("page"), integer("id")}},
		{"fewer columns are another schema", []driver.Column{text("id")}},
		{"more columns are another schema", []driver.Column{text("id"), integer("page"), boolean("explicit")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := h.table(t, have...)
			e := version(key("a", int64(1)), 1)
			table.put(e)
			want := driver.TableSpec{Name: table.spec.Name, Key: tt.want}
			wantSchemaError(t, table.store, want, table.spec)
			table.wantOnly(e)
			openTable(t, table.store, table.spec).wantOnly(e)
			if h.Reopen == nil {
				return
			}
			if err := table.store.Close(); err != nil {
				t.Fatal(err)
			}
			again := h.reopen(t, table.store)
			wantSchemaError(t, again, want, table.spec)
			openTable(t, again, table.spec).wantOnly(e)
		})
	}

	t.Run("tables of one store may have different schemas", func(t *testing.T) {
		one := h.ids(t)
		other := openTable(t, one.store, driver.TableSpec{Name: "albums", Key: []driver.Column{integer("id")}})
		one.put(version(key("1"), 1))
		other.put(version(key(int64(1)), 2))
		one.wantOnly(version(key("1"), 1))
		other.wantOnly(version(key(int64(1)), 2))
	})
}

// wantSchemaError fails the test unless opening the table want is refused,
// because it is there as have.
func wantSchemaError(t *testing.T, s driver.Store, want, have driver.TableSpec) {
	t.Helper()
	_, err := s.OpenTable(t.Context(), want)
	var schema *driver.SchemaError
	if !errors.Is(err, driver.ErrSchema) || !errors.As(err, &schema) {
		t.Fatalf("open of %s as %s: %v, want a SchemaError", have.KeyString(), want.KeyString(), err)
	}
	if schema.Table != want.Name {
		t.Errorf("the error is about table %q, want %q", schema.Table, want.Name)
	}
	for _, c := range want.Key {
		if !strings.Contains(schema.Want, c.Name) || !strings.Contains(err.Error(), c.Name) {
			t.Errorf("the error does not tell that column %q was asked for: %v", c.Name, err)
		}
	}
	for _, c := range have.Key {
		if !strings.Contains(schema.Have, c.Name) || !strings.Contains(err.Error(), c.Name) {
			t.Errorf("the error does not tell that column %q is there: %v", c.Name, err)
		}
	}
}

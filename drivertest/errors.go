package drivertest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

func testErrors(t *testing.T, h Harness) {
	// wantOpError fails the test unless err tells the store's kind, the
	// operation and the table.
	wantOpError := func(t *testing.T, err error, kind, table string) {
		t.Helper()
		var op *driver.OpError
		if !errors.As(err, &op) {
			t.Errorf("%v is no OpError", err)
			return
		}
		if op.Store != kind || op.Op == "" || op.Table != table {
			t.Errorf("the error is of store %q, operation %q, table %q, want store %q and table %q", op.Store, op.Op, op.Table, kind, table)
		}
		if !strings.HasPrefix(err.Error(), kind+": ") {
			t.Errorf("error %q does not begin with the store's kind", err)
		}
	}

	t.Run("an error of a table names the store, the operation and the table", func(t *testing.T) {
		table := h.ids(t)
		kind := table.store.Traits().Kind
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for _, op := range operations(id(1)) {
			wantOpError(t, op.run(cancelled, table), kind, "tracks")
		}
		_, err := table.store.OpenTable(cancelled, table.spec)
		wantOpError(t, err, kind, "tracks")

		if err := table.store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, op := range operations(id(1)) {
			wantOpError(t, op.run(t.Context(), table), kind, "tracks")
		}
		_, err = table.store.OpenTable(t.Context(), table.spec)
		wantOpError(t, err, kind, "tracks")
	})

	t.Run("an error of an open names the store, the operation and the table", func(t *testing.T) {
		table := h.ids(t)
		other := driver.TableSpec{Name: "tracks", Key: []driver.Column{integer("n")}}
		_, err := table.store.OpenTable(t.Context(), other)
		wantOpError(t, err, table.store.Traits().Kind, "tracks")
	})

	t.Run("what a store hands out is nil where it fails", func(t *testing.T) {
		table := h.ids(t)
		other := driver.TableSpec{Name: "tracks", Key: []driver.Column{integer("n")}}
		if opened, err := table.store.OpenTable(t.Context(), other); err == nil || opened != nil {
			t.Errorf("open returned table %v and error %v", opened, err)
		}
	})
}

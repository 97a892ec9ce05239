package drivertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

func testContext(t *testing.T, h Harness) {
	for _, tt := range []struct {
		name string
		done func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"cancelled", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, context.Canceled},
		{"past its deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(-time.Hour))
		}, context.DeadlineExceeded},
	} {
		t.Run("an operation whose context is "+tt.name+" changes nothing and says so", func(t *testing.T) {
			table := h.ids(t)
			table.put(version(id(1), 1))
			ctx, cancel := tt.done(t.Context())
			defer cancel()
			for _, op := range operations(id(1)) {
				if err := op.run(ctx, table); !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", op.name, err, tt.want)
				}
				table.wantOnly(version(id(1), 1))
			}
			spec := driver.TableSpec{Name: "albums", Key: []driver.Column{text("id")}}
			if _, err := table.store.OpenTable(ctx, spec); !errors.Is(err, tt.want) {
				t.Errorf("open: %v, want %v", err, tt.want)
			}
			spec.Key = []driver.Column{integer("number")}
			openTable(t, table.store, spec) // the columns above were not kept
		})
	}

	t.Run("an operation without a context is an error and changes nothing", func(t *testing.T) {
		table := h.ids(t)
		table.put(version(id(1), 1))
		var none context.Context
		for _, op := range operations(id(1)) {
			if err := op.run(none, table); err == nil {
				t.Errorf("%s: no error", op.name)
			}
		}
		table.wantOnly(version(id(1), 1))
		spec := driver.TableSpec{Name: "albums", Key: []driver.Column{text("id")}}
		if _, err := table.store.OpenTable(none, spec); err == nil {
			t.Error("open: no error")
		}
		if _, err := table.store.Tables(none); err == nil {
			t.Error("list tables: no error")
		}
		if err := table.store.DropTable(none, table.spec.Name); err == nil {
			t.Error("drop: no error")
		}
		table.wantOnly(version(id(1), 1))
	})

	t.Run("a table outlives the context that it was opened with", func(t *testing.T) {
		s := h.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{text("id")}}
		table, err := s.OpenTable(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		opened := subject{Table: table, tb: t, store: s, spec: spec}
		opened.put(version(id(1), 1))
		opened.wantOnly(version(id(1), 1))
	})
}

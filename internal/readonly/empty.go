package readonly

import (
	"context"
	"iter"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// Empty returns a table that has no entries and refuses changes: for one that is not there.
func Empty(kind, name string) driver.Table { return Table(kind, name, empty{kind, name}) }

type empty struct{ kind, name string }

func (e empty) usable(ctx context.Context, op string) error {
	if err := gate.Usable(ctx); err != nil {
		return &driver.OpError{Store: e.kind, Op: op, Table: e.name, Err: err}
	}
	return nil
}

func (e empty) Get(ctx context.Context, _ []driver.Key, _ driver.Selection, _ func(int, driver.Entry)) error {
	return e.usable(ctx, "get from")
}

func (e empty) Count(ctx context.Context, _ driver.Filter) (int, error) {
	return 0, e.usable(ctx, "count")
}

func (e empty) Entries(ctx context.Context, _ driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		if err := e.usable(ctx, "iterate over"); err != nil {
			yield(driver.Entry{}, err)
		}
	}
}

func (e empty) List(ctx context.Context, _ driver.Listing) ([]driver.Entry, error) {
	return nil, e.usable(ctx, "list")
}

func (e empty) Size(ctx context.Context) (driver.Size, error) {
	return driver.Size{}, e.usable(ctx, "size of")
}

func (e empty) Put(ctx context.Context, _ []driver.Entry) error { return e.usable(ctx, "save to") }

func (e empty) PutIf(ctx context.Context, _ []driver.Entry, _ driver.Condition) ([]bool, error) {
	return nil, e.usable(ctx, "save to")
}

func (e empty) Renew(ctx context.Context, _ []driver.Renewal) ([]bool, error) {
	return nil, e.usable(ctx, "renew in")
}

func (e empty) Use(ctx context.Context, _ []driver.Key, _ time.Time) error {
	return e.usable(ctx, "record uses in")
}

func (e empty) Delete(ctx context.Context, _ []driver.Key) (int, error) {
	return 0, e.usable(ctx, "delete from")
}

func (e empty) Pop(ctx context.Context, _ driver.Key, _ driver.Filter) (driver.Entry, bool, error) {
	return driver.Entry{}, false, e.usable(ctx, "pop from")
}

func (e empty) Clear(ctx context.Context, _ driver.Filter) (int, error) {
	return 0, e.usable(ctx, "clear")
}

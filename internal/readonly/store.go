package readonly

import (
	"context"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
)

// Store returns below as a store that refuses changes. What below does by itself, such as to
// bring a table of an earlier version up to date, it does nevertheless: stores that do such
// things know themselves whether they may.
func Store(below driver.Store) driver.Store { return &store{below} }

type store struct{ driver.Store }

// Unwrap returns the store below, for driver.As.
func (s *store) Unwrap() driver.Store { return s.Store }

func (s *store) Traits() driver.Traits {
	t := s.Store.Traits()
	t.ReadOnly = true
	return t
}

func (s *store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	specs, err := s.Tables(ctx)
	if err != nil {
		return nil, err
	}
	kind := s.Traits().Kind
	if !slices.ContainsFunc(specs, func(there driver.TableSpec) bool { return there.Name == spec.Name }) {
		return nil, &driver.OpError{Store: kind, Op: "open table", Table: spec.Name, Err: ErrNoTable}
	}
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	return Table(kind, spec.Name, t), nil
}

func (s *store) DropTable(ctx context.Context, name string) error {
	if _, err := s.Tables(ctx); err != nil { // it is closed, or ctx is done
		return err
	}
	return opError(s.Traits().Kind, "drop table", name)
}

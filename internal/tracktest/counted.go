package tracktest

import (
	"context"
	"maps"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
)

// Counted is a store that counts the operations on its tables. Its reads are not prompt.
type Counted struct {
	driver.Store

	mu  sync.Mutex
	ops map[string]int
}

// Take returns how many operations there were of each kind since it was last called.
func (s *Counted) Take() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := maps.Clone(s.ops)
	clear(s.ops)
	return taken
}

func (s *Counted) count(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops == nil {
		s.ops = make(map[string]int)
	}
	s.ops[op]++
}

// OpenTable implements [driver.Store].
func (s *Counted) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &countedTable{table, s}, nil
}

type countedTable struct {
	driver.Table
	store *Counted
}

func (t *countedTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	t.store.count("get")
	return t.Table.Get(ctx, keys, sel, visit)
}

func (t *countedTable) Put(ctx context.Context, entries []driver.Entry) error {
	t.store.count("put")
	return t.Table.Put(ctx, entries)
}

func (t *countedTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	t.store.count("put")
	return t.Table.PutIf(ctx, entries, c)
}

func (t *countedTable) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	t.store.count("renew")
	return t.Table.Renew(ctx, renewals)
}

func (t *countedTable) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	t.store.count("delete")
	return t.Table.Delete(ctx, keys)
}

func (t *countedTable) Clear(ctx context.Context, f driver.Filter) (int, error) {
	t.store.count("clear")
	return t.Table.Clear(ctx, f)
}

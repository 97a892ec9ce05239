package hooks

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/background"
	"github.com/endpointcache/endpointcache/internal/errortype"
	"github.com/endpointcache/endpointcache/internal/layer"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// StoreHooks are what [Store] calls. The zero value calls nothing.
type StoreHooks struct {
	// Operation is called when an operation on the store begins. It returns the context that
	// the operation is done with, made of the given one, and a function that is called when it
	// has ended, both of which may be nil. An iteration ends with the loop over it.
	Operation func(context.Context, StoreOperation) (context.Context, func(StoreEnd))

	// Logger is told when Operation, or a function that it has returned, panics, which does no
	// other harm. The default is [slog.Default].
	Logger *slog.Logger
}

// StoreOperation is an operation on a store.
type StoreOperation struct {
	Store string // its kind, such as "sqlite"
	Table string // empty for "tables"

	// Operation is the name of the method of driver.Table or driver.Store: get, put, put_if,
	// renew, delete, pop, count, clear, entries, list, use, size, open_table, tables or
	// drop_table.
	Operation string

	Entries    int  // how many keys or entries it was given; 0 where a filter selects them
	Background bool // it is for a renewal, which the one whose values the context has does not wait for
}

// StoreEnd is how an operation has ended.
type StoreEnd struct {
	// Entries is how many entries were found, stored, changed, removed or counted; of tables
	// for "tables". For operations that do not tell, it is 0.
	Entries   int
	ErrorType string // its kind, as the package's comment has it
	Duration  time.Duration
}

// Store returns below with its operations told. The returned store has the traits of below, and
// its Close closes that; what else below can do is found by driver.As. Tell a cache of it like
// of any other store:
//
//	store, err := hooks.Store(below, hooks.StoreHooks{Operation: observe})
//	c, err := cache.New(store, nil)
func Store(below driver.Store, h StoreHooks) (driver.Store, error) {
	if below == nil {
		return nil, errors.New("hooks: the store is nil")
	}
	if h.Logger == nil {
		h.Logger = slog.Default()
	}
	return &store{below, operations{h.Operation, secret.Logger(h.Logger), below.Traits().Kind}}, nil
}

type store struct {
	driver.Store
	operations operations
}

// Unwrap returns the store below, for driver.As.
func (s *store) Unwrap() driver.Store { return s.Store }

// OpenTable implements [driver.Store].
func (s *store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	ctx, o := s.operations.begin(ctx, spec.Name, "open_table", 0)
	t, err := s.Store.OpenTable(ctx, spec)
	o.end(0, err)
	if err != nil || s.operations.hook == nil {
		return t, err
	}
	told := &table{Table: t, name: spec.Name, operations: &s.operations}
	told.reads.New = func() any { return newRead() }
	return layer.Like(told, t, func(kept layer.PutIf) layer.PutIf {
		return func(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
			return told.putIf(ctx, entries, c, kept)
		}
	}), nil
}

// Tables implements [driver.Store].
func (s *store) Tables(ctx context.Context) ([]driver.TableSpec, error) {
	ctx, o := s.operations.begin(ctx, "", "tables", 0)
	specs, err := s.Store.Tables(ctx)
	o.end(len(specs), err)
	return specs, err
}

// DropTable implements [driver.Store].
func (s *store) DropTable(ctx context.Context, name string) error {
	ctx, o := s.operations.begin(ctx, name, "drop_table", 0)
	err := s.Store.DropTable(ctx, name)
	o.end(0, err)
	return err
}

// operations tell of what is done.
type operations struct {
	hook func(context.Context, StoreOperation) (context.Context, func(StoreEnd))
	log  *slog.Logger
	kind string
}

// operation is one that goes on.
type operation struct {
	of    *operations
	ended func(StoreEnd) // nil: nobody wants to know
	began time.Time
}

// begin tells that an operation begins. A call without a context has none that could be told.
func (o *operations) begin(ctx context.Context, table, name string, entries int) (context.Context, operation) {
	if o.hook == nil || ctx == nil {
		return ctx, operation{}
	}
	began := time.Now()
	derived, ended := o.call(ctx, StoreOperation{Store: o.kind, Table: table, Operation: name, Entries: entries, Background: background.In(ctx)})
	if derived != nil {
		ctx = derived
	}
	return ctx, operation{of: o, ended: ended, began: began}
}

func (o *operations) call(ctx context.Context, op StoreOperation) (derived context.Context, ended func(StoreEnd)) {
	defer o.recovered()
	return o.hook(ctx, op)
}

// recovered, deferred around a user's function, ends its panic: it is not that of the store.
func (o *operations) recovered() {
	if p := recover(); p != nil {
		o.log.Error("endpointcache: panic in a hook", "panic", fmt.Sprint(p))
	}
}

func (o *operation) end(entries int, err error) {
	if o.ended == nil {
		return
	}
	defer o.of.recovered()
	o.ended(StoreEnd{Entries: entries, ErrorType: errortype.Of(err), Duration: time.Since(o.began)})
}

// table has its operations told.
type table struct {
	driver.Table
	name       string
	operations *operations
	reads      sync.Pool // of *read
}

func (t *table) begin(ctx context.Context, name string, entries int) (context.Context, operation) {
	return t.operations.begin(ctx, t.name, name, entries)
}

// read is the memory of one get, which is used again.
type read struct {
	found atomic.Int64
	visit func(int, driver.Entry)
	count func(int, driver.Entry) // its method
}

func newRead() *read {
	r := new(read)
	r.count = r.visited
	return r
}

func (r *read) visited(i int, e driver.Entry) {
	r.found.Add(1)
	r.visit(i, e)
}

// Get implements [driver.Table].
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	ctx, o := t.begin(ctx, "get", len(keys))
	r := t.reads.Get().(*read)
	r.visit = visit
	r.found.Store(0)
	err := t.Table.Get(ctx, keys, sel, r.count)
	o.end(int(r.found.Load()), err)
	r.visit = nil
	t.reads.Put(r)
	return err
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	ctx, o := t.begin(ctx, "put", len(entries))
	err := t.Table.Put(ctx, entries)
	n := len(entries)
	if err != nil {
		n = 0
	}
	o.end(n, err)
	return err
}

// PutIf implements [driver.Table].
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIf(ctx, entries, c, t.Table.PutIf)
}

func (t *table) putIf(ctx context.Context, entries []driver.Entry, c driver.Condition, put layer.PutIf) ([]bool, error) {
	ctx, o := t.begin(ctx, "put_if", len(entries))
	stored, err := put(ctx, entries, c)
	o.end(count(stored), err)
	return stored, err
}

// Renew implements [driver.Table].
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	ctx, o := t.begin(ctx, "renew", len(renewals))
	renewed, err := t.Table.Renew(ctx, renewals)
	o.end(count(renewed), err)
	return renewed, err
}

func count(which []bool) (n int) {
	for _, ok := range which {
		if ok {
			n++
		}
	}
	return n
}

// Delete implements [driver.Table].
func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	ctx, o := t.begin(ctx, "delete", len(keys))
	n, err := t.Table.Delete(ctx, keys)
	o.end(n, err)
	return n, err
}

// Pop implements [driver.Table].
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	ctx, o := t.begin(ctx, "pop", 1)
	e, ok, err := t.Table.Pop(ctx, key, f)
	o.end(count([]bool{ok}), err)
	return e, ok, err
}

// Count implements [driver.Table].
func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	ctx, o := t.begin(ctx, "count", 0)
	n, err := t.Table.Count(ctx, f)
	o.end(n, err)
	return n, err
}

// Clear implements [driver.Table].
func (t *table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	ctx, o := t.begin(ctx, "clear", 0)
	n, err := t.Table.Clear(ctx, f)
	o.end(n, err)
	return n, err
}

// Entries implements [driver.Table].
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		ctx, o := t.begin(ctx, "entries", 0)
		n, failed := 0, error(nil)
		defer func() { o.end(n, failed) }() // also where the loop's body panics
		for e, err := range t.Table.Entries(ctx, sel) {
			if failed = err; err == nil {
				n++
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// List implements [driver.Table].
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	ctx, o := t.begin(ctx, "list", 0)
	entries, err := t.Table.List(ctx, l)
	o.end(len(entries), err)
	return entries, err
}

// Use implements [driver.Table].
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	ctx, o := t.begin(ctx, "use", len(keys))
	err := t.Table.Use(ctx, keys, at)
	o.end(0, err)
	return err
}

// Size implements [driver.Table].
func (t *table) Size(ctx context.Context) (driver.Size, error) {
	ctx, o := t.begin(ctx, "size", 0)
	size, err := t.Table.Size(ctx)
	o.end(size.Entries, err)
	return size, err
}

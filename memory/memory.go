// Package memory is the store that keeps its tables in the memory of the
// process. It is the fastest one, and the one for tests: nothing survives it.
//
// A store without bounds keeps everything that it is given, including expired entries,
// until it is replaced, deleted or cleared. A store with bounds makes room for new entries
// by evicting those that are used least. It considers how often and how recently an entry
// was read, so that one large scan does not drive out popular entries.
//
// A store shares its payloads: the bytes that it hands out are the stored ones
// and must not be modified.
package memory

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// kind begins the store's errors.
const kind = "memory"

// Options are the bounds of a store. They hold for all its tables together.
// With both bounds, an entry counts as the larger of its size and its share of
// MaxBytes (MaxBytes divided by MaxEntries), so that a store of very unequal
// entries may evict before it reaches either.
type Options struct {
	// MaxEntries is how many entries the store keeps. Default: any number.
	MaxEntries int

	// MaxBytes is how much memory the entries may take, the store's own
	// accounting of them included. An entry that is larger by itself is
	// refused with [driver.ErrTooLarge]. Default: any amount.
	MaxBytes int64
}

func (o Options) validate() error {
	if o.MaxEntries < 0 {
		return errors.New("memory: MaxEntries is negative")
	}
	if o.MaxBytes < 0 {
		return errors.New("memory: MaxBytes is negative")
	}
	return nil
}

// Store keeps tables in memory. It is a [driver.Store].
type Store struct {
	bounds *bounds // nil where there are none

	mu     sync.Mutex
	tables map[string]*table // nil once the store is closed
}

var _ driver.Store = (*Store)(nil)

// New returns an empty store. Nil options mean no bounds.
func New(opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Store{tables: make(map[string]*table)}
	if o.MaxEntries > 0 || o.MaxBytes > 0 {
		b, err := newBounds(o)
		if err != nil {
			return nil, err
		}
		s.bounds = b
	}
	return s, nil
}

// Traits tells that payloads are shared, and that entries of a store with
// bounds may vanish.
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, SharesPayload: true, Vanishes: s.bounds != nil, Intact: true}
}

// OpenTable returns the table of that name, and makes it where there is none.
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	if err := gate.Usable(ctx); err != nil {
		return nil, opError("open table", spec.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables == nil {
		return nil, opError("open table", spec.Name, driver.ErrClosed)
	}
	t, ok := s.tables[spec.Name]
	if !ok {
		spec.Key = slices.Clone(spec.Key)
		t = &table{spec: spec, bounds: s.bounds, entries: make(map[string]*entry)}
		s.tables[spec.Name] = t
	}
	if !slices.Equal(t.spec.Key, spec.Key) {
		return nil, opError("open table", spec.Name, &driver.SchemaError{
			Table: spec.Name,
			Want:  "key (" + spec.KeyString() + ")",
			Have:  "key (" + t.spec.KeyString() + ")",
		})
	}
	return t, nil
}

// Tables implements [driver.Store].
func (s *Store) Tables(ctx context.Context) ([]driver.TableSpec, error) {
	const op = "list tables"
	if err := gate.Usable(ctx); err != nil {
		return nil, opError(op, "", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tables == nil {
		return nil, opError(op, "", driver.ErrClosed)
	}
	specs := make([]driver.TableSpec, 0, len(s.tables))
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		spec := s.tables[name].spec
		spec.Key = slices.Clone(spec.Key)
		specs = append(specs, spec)
	}
	return specs, nil
}

// DropTable implements [driver.Store]. A Table that is open on it goes on as one that
// nobody else sees.
func (s *Store) DropTable(ctx context.Context, name string) error {
	const op = "drop table"
	if err := gate.Usable(ctx); err != nil {
		return opError(op, name, err)
	}
	s.mu.Lock()
	t, ok := s.tables[name]
	closed := s.tables == nil
	delete(s.tables, name)
	s.mu.Unlock()
	switch {
	case closed:
		return opError(op, name, driver.ErrClosed)
	case !ok:
		return nil
	}
	_, err := t.Clear(ctx, driver.Filter{})
	return err
}

// Close forgets all entries.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tables {
		t.close()
	}
	s.tables = nil
	if s.bounds != nil {
		s.bounds.reset()
	}
	return nil
}

func opError(op, table string, err error) error {
	return &driver.OpError{Store: kind, Op: op, Table: table, Err: err}
}

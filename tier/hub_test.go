package tier_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// errLost is why a Watch ends that a test has ended.
var errLost = errors.New("the connection is lost")

// hub is a store that several others have part in, which tell each other what they change: as
// late as a test lets them.
type hub struct {
	driver.Store

	mu      sync.Mutex
	watches map[*hubWatch]bool
	refuses error // of a Watch

	// around runs the operations of the stores; op is "watch" before a change is told.
	around func(op string, run func() error) error
}

func newHub(s driver.Store) *hub {
	return &hub{Store: s, watches: make(map[*hubWatch]bool), around: func(_ string, run func() error) error { return run() }}
}

// hubWatch is a Watch of one of the stores.
type hubWatch struct {
	of      *hubStore
	changes chan driver.Change
	lost    chan struct{}
}

// hubStore is one of the stores.
type hubStore struct {
	*hub
	gate gate.Gate
}

func (h *hub) open() *hubStore { return &hubStore{hub: h} }

func (s *hubStore) Close() error { return s.gate.Close(func() error { return nil }) }

// Watch implements [driver.Watcher].
func (s *hubStore) Watch(ctx context.Context, begun func(), changed func(driver.Change)) error {
	err := s.gate.DoUntilClose(ctx, func(ctx context.Context) error {
		w := &hubWatch{of: s, changes: make(chan driver.Change, 1<<16), lost: make(chan struct{})}
		s.mu.Lock()
		refuses := s.refuses
		s.watches[w] = refuses == nil
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.watches, w)
		}()
		if refuses != nil {
			return refuses
		}
		begun()
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-w.lost:
				return errLost
			case c := <-w.changes:
				_ = s.around("watch", func() error { changed(c); return nil })
			}
		}
	})
	return &driver.OpError{Store: "memory", Op: "watch", Err: err}
}

// tell tells the others of a change. A write of this store is told like one that has failed
// may be: never.
func (s *hubStore) tell(table string, keys []driver.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w, begun := range s.watches {
		if w.of == s || !begun {
			continue
		}
		told := slices.Clone(keys)
		for i := range told {
			told[i] = slices.Clone(told[i])
		}
		w.changes <- driver.Change{Table: table, Keys: told}
	}
}

// lose ends all Watches with an error, and refuses others with that one; nil: it does not.
func (h *hub) lose(refuses error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuses = refuses
	for w := range h.watches {
		close(w.lost)
		delete(h.watches, w)
	}
}

// do runs an operation of the store, which fails once that is closed.
func (s *hubStore) do(ctx context.Context, op, table string, run func() error) error {
	err := s.around(op, func() error { return s.gate.Do(ctx, run) })
	var known *driver.OpError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &driver.OpError{Store: "memory", Op: op, Table: table, Err: err}
}

// OpenTable implements [driver.Store].
func (s *hubStore) OpenTable(ctx context.Context, spec driver.TableSpec) (table driver.Table, err error) {
	err = s.do(ctx, "open table", spec.Name, func() error {
		below, err := s.Store.OpenTable(ctx, spec)
		table = &hubTable{below, s, spec.Name}
		return err
	})
	if err != nil {
		return nil, err
	}
	return table, nil
}

// Tables implements [driver.Store].
func (s *hubStore) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.do(ctx, "list tables", "", func() (err error) {
		specs, err = s.Store.Tables(ctx)
		return err
	})
	return specs, err
}

// DropTable implements [driver.Store].
func (s *hubStore) DropTable(ctx context.Context, name string) error {
	return s.do(ctx, "drop table", name, func() error {
		defer s.tell(name, nil)
		return s.Store.DropTable(ctx, name)
	})
}

// hubTable is a table of one of the stores.
type hubTable struct {
	driver.Table
	of   *hubStore
	name string
}

func (t *hubTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.of.do(ctx, "get from", t.name, func() error { return t.Table.Get(ctx, keys, sel, visit) })
}

func (t *hubTable) Count(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.of.do(ctx, "count", t.name, func() (err error) {
		n, err = t.Table.Count(ctx, f)
		return err
	})
	return n, err
}

func (t *hubTable) List(ctx context.Context, l driver.Listing) (page []driver.Entry, err error) {
	err = t.of.do(ctx, "list", t.name, func() (err error) {
		page, err = t.Table.List(ctx, l)
		return err
	})
	return page, err
}

func (t *hubTable) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.of.do(ctx, "use of", t.name, func() error { return t.Table.Use(ctx, keys, at) })
}

func (t *hubTable) Size(ctx context.Context) (size driver.Size, err error) {
	err = t.of.do(ctx, "size of", t.name, func() (err error) {
		size, err = t.Table.Size(ctx)
		return err
	})
	return size, err
}

func (t *hubTable) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		if err := t.of.do(ctx, "iterate over", t.name, func() error { return nil }); err != nil {
			yield(driver.Entry{}, err)
			return
		}
		t.Table.Entries(ctx, sel)(yield)
	}
}

// write runs an operation that changes keys, and tells of it even if it fails.
func (t *hubTable) write(ctx context.Context, op string, keys []driver.Key, run func() error) error {
	return t.of.do(ctx, op, t.name, func() error {
		defer t.of.tell(t.name, keys)
		return run()
	})
}

func keysOf(entries []driver.Entry) []driver.Key {
	keys := make([]driver.Key, len(entries))
	for i := range entries {
		keys[i] = entries[i].Key
	}
	return keys
}

func (t *hubTable) Put(ctx context.Context, entries []driver.Entry) error {
	return t.write(ctx, "save to", keysOf(entries), func() error { return t.Table.Put(ctx, entries) })
}

func (t *hubTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.write(ctx, "save to", keysOf(entries), func() (err error) {
		stored, err = t.Table.PutIf(ctx, entries, c)
		return err
	})
	return stored, err
}

func (t *hubTable) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	keys := make([]driver.Key, len(renewals))
	for i := range renewals {
		keys[i] = renewals[i].Key
	}
	err = t.write(ctx, "renew in", keys, func() (err error) {
		renewed, err = t.Table.Renew(ctx, renewals)
		return err
	})
	return renewed, err
}

func (t *hubTable) Delete(ctx context.Context, keys []driver.Key) (n int, err error) {
	err = t.write(ctx, "delete from", keys, func() (err error) {
		n, err = t.Table.Delete(ctx, keys)
		return err
	})
	return n, err
}

func (t *hubTable) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.write(ctx, "pop from", []driver.Key{key}, func() (err error) {
		e, ok, err = t.Table.Pop(ctx, key, f)
		return err
	})
	return e, ok, err
}

func (t *hubTable) Clear(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.write(ctx, "clear", nil, func() (err error) {
		n, err = t.Table.Clear(ctx, f)
		return err
	})
	return n, err
}

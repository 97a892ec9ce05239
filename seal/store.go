package seal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/endpointcache/endpointcache/driver"
)

// Store is a [driver.Store] whose entries are sealed in another one. Many goroutines may use
// it at once.
type Store struct {
	below    driver.Store
	opts     Options
	digester *digester
	hidden   driver.Store // what Unwrap returns
	keys     atomic.Pointer[Keys]
	reports  reports
	resealer resealer
	watches  watches
	opened   atomic.Uint64
	resealed atomic.Uint64

	mu     sync.Mutex
	tables map[string]*shared
}

// shared is what the tables of one name have in common.
type shared struct {
	// writes is held in part by whoever writes entries, and as a whole by whoever seals them
	// anew, so that this does not undo what others change meanwhile, and waits for those that
	// seal with older keys.
	writes *semaphore.Weighted

	digests atomic.Bool // the keys below are not the callers'
}

// allWrites is the whole of what writers hold a part of.
const allWrites = 1 << 30

// Stats are counts since a store was opened.
type Stats struct {
	Opened   uint64 // entries that were handed out
	Failed   uint64 // entries that could not be opened, each time that one was read
	Resealed uint64 // entries that were sealed anew
}

// New returns a store that seals what is stored in another one, and closes that when it is
// closed.
func New(below driver.Store, keys *Keys, opts *Options) (*Store, error) {
	if below == nil {
		return nil, errors.New("seal: there is no store")
	}
	o, err := opts.validate()
	if err != nil {
		return nil, err
	}
	if err := keys.check(o.Mode); err != nil {
		return nil, err
	}
	s := &Store{below: below, opts: o, digester: newDigester(o.DigestKey), tables: make(map[string]*shared)}
	s.keys.Store(keys)
	s.hidden = s.hide()
	s.reports.init(o.Logger)
	s.resealer.start(s)
	return s, nil
}

// SetKeys takes other keys, at once and for all tables. What was sealed with a key that is not
// among them is not opened any more: call [Store.Reseal] before a key is left out.
func (s *Store) SetKeys(keys *Keys) error {
	if err := keys.check(s.opts.Mode); err != nil {
		return err
	}
	s.keys.Store(keys)
	s.watches.tellAll()
	return nil
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	return Stats{Opened: s.opened.Load(), Failed: s.reports.failed.Load(), Resealed: s.resealed.Load()}
}

// Unwrap returns the store below, or what of it can be used beside this one. A [driver.Watcher]
// among it tells of other keys to seal with, too. Where key columns may be digests, it tells no
// such keys, and besides only a [driver.Diagnoser] and a [driver.Compactor] are found.
func (s *Store) Unwrap() driver.Store { return s.hidden }

// Traits are those of the store below, except that entries cannot be damaged unnoticed.
func (s *Store) Traits() driver.Traits {
	t := s.below.Traits()
	t.Intact = true
	t.SharesPayload = t.SharesPayload && s.opts.Mode == Sign
	return t
}

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	own, err := newSchema(spec, &s.opts, s.digester)
	if err != nil {
		return nil, s.opError("open", spec.Name, err)
	}
	table, err := s.below.OpenTable(ctx, own.below())
	if err != nil {
		return nil, s.schemaError(ctx, own, err)
	}
	sh := s.shared(spec.Name)
	sh.digests.Store(own.any)
	return s.newTable(table, own, sh), nil
}

func (s *Store) shared(name string) *shared {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.tables[name]
	if sh == nil {
		sh = &shared{writes: semaphore.NewWeighted(allWrites)}
		s.tables[name] = sh
	}
	return sh
}

// schemaError tells what is there in the caller's terms.
func (s *Store) schemaError(ctx context.Context, want *schema, err error) error {
	var schema *driver.SchemaError
	if !errors.As(err, &schema) {
		return err
	}
	specs, listErr := s.below.Tables(ctx)
	if listErr != nil {
		return err
	}
	for _, spec := range specs {
		if have := readSchema(spec); spec.Name == want.spec.Name && (have.any || want.any) {
			return s.opError("open", spec.Name, &driver.SchemaError{Table: spec.Name, Want: want.String(), Have: have.String()})
		}
	}
	return err
}

// Tables implements [driver.Store].
func (s *Store) Tables(ctx context.Context) ([]driver.TableSpec, error) {
	specs, err := s.below.Tables(ctx)
	for i := range specs {
		specs[i] = readSchema(specs[i]).spec
	}
	return specs, err
}

// DropTable implements [driver.Store].
func (s *Store) DropTable(ctx context.Context, name string) error {
	return s.below.DropTable(ctx, name)
}

// Close closes the store below, when what is being sealed anew has been stored.
func (s *Store) Close() error {
	s.resealer.close()
	s.reports.tellAll()
	return s.below.Close()
}

func (s *Store) opError(op, table string, err error) error {
	return &driver.OpError{Store: s.below.Traits().Kind, Op: op, Table: table, Err: err}
}

package seal

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// table has its entries sealed.
type table struct {
	driver.Table // the one below
	*codec
	store  *Store
	shared *shared
	reads  sync.Pool // of *read
}

func (s *Store) newTable(below driver.Table, own *schema, sh *shared) driver.Table {
	t := s.plainTable(below, own, sh)
	return layer.Like(t, below, func(kept layer.PutIf) layer.PutIf {
		return func(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
			return t.putIf(ctx, entries, c, kept)
		}
	})
}

func (s *Store) plainTable(below driver.Table, own *schema, sh *shared) *table {
	t := &table{Table: below, store: s, shared: sh, codec: newCodec(own, &s.opts, s.digester, s.below.Traits().SharesPayload)}
	t.reads.New = func() any {
		r := &read{t: t}
		r.onEntry = r.open
		return r
	}
	return t
}

// failure is an entry that cannot be opened, with its key below and without its payload.
type failure struct {
	key   driver.Key
	entry driver.Entry
	err   error
}

// read is the memory of one get, which is used again.
type read struct {
	t       *table
	begun   *Keys
	asked   []driver.Key
	keys    []driver.Key // as they are below
	parts   driver.Parts
	visit   func(int, driver.Entry)
	onEntry func(int, driver.Entry) // its method

	mu     sync.Mutex
	opened int
	failed []failure
	old    []driver.Key // those that are to be sealed anew
}

func (r *read) open(i int, e driver.Entry) {
	if ruined.Is(&e) {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	key := r.keys[i]
	in, old, err := r.t.openSince(r.begun, s, key, &e, r.parts)
	if err == nil && r.t.any {
		if s.bound = r.t.appendValues(s.bound[:0], r.asked[i]); string(s.bound) != string(in.values) {
			err = errMismatch
		}
	}
	r.note(i, &e, old, err)
	if err == nil {
		r.visit(i, e)
	}
}

// openSince is open where the keys may have changed since a call began. An entry may be sealed
// with one of now, as others have stored it meanwhile, or with one of then, if it was read before
// it was sealed anew.
func (t *table) openSince(begun *Keys, s *scratch, key driver.Key, e *driver.Entry, parts driver.Parts) (in inside, old bool, err error) {
	keys := t.store.keys.Load()
	in, old, err = t.open(s, keys, key, e, parts)
	if errors.Is(err, errUnknown) && keys != begun {
		in, old, err = t.open(s, keys.and(begun), key, e, parts)
	}
	return in, old, err
}

// note counts an entry.
func (r *read) note(i int, e *driver.Entry, old bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		found := *e
		found.Payload = nil
		r.failed = append(r.failed, failure{r.keys[i], found, err})
		return
	}
	r.opened++
	if old {
		r.old = append(r.old, r.keys[i])
	}
}

// Get implements [driver.Table].
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	r := t.reads.Get().(*read)
	r.begun, r.asked, r.keys, r.parts, r.visit = t.store.keys.Load(), keys, t.keys(keys), sel.Parts, visit
	err := t.Table.Get(ctx, r.keys, t.selection(sel), r.onEntry)
	t.store.opened.Add(uint64(r.opened)) //nolint:gosec // a count
	if len(r.old) > 0 {
		t.store.resealer.add(t, r.old)
	}
	failed := r.failed
	r.begun, r.asked, r.keys, r.visit, r.failed, r.old, r.opened = nil, nil, nil, nil, nil, nil, 0
	t.reads.Put(r)
	t.disarm(ctx, failed)
	return err
}

// selection is one for the table below: with what is needed to open entries, and without what
// cannot be told from them before.
func (t *table) selection(sel driver.Selection) driver.Selection {
	sel.Filter, _ = t.filter(sel.Filter)
	sel.Parts |= driver.Meta
	return sel
}

// filter splits a filter into one for the table below and one for entries that are open, which
// rest reports to be needed.
func (t *table) filter(f driver.Filter) (below driver.Filter, rest bool) {
	leading := len(f.Leading)
	f.Leading = t.key(f.Leading)
	w := &f.Where
	if w.Prefix != "" && t.digested[leading] {
		w.Prefix, rest = "", true
	}
	if w.NamePrefix != "" && t.names != Clear {
		w.NamePrefix, rest = "", true
	}
	switch {
	case w.Name == "":
	case t.names == Sealed:
		w.Name, rest = "", true
	default:
		w.Name = t.name(w.Name)
	}
	return f, rest
}

// Pop implements [driver.Table]. It removes an entry that cannot be opened, too.
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	below, _ := t.filter(f)
	own := t.key(key)
	begun := t.store.keys.Load()
	e, ok, err := t.Table.Pop(ctx, own, below)
	if err != nil || !ok || ruined.Is(&e) {
		return driver.Entry{}, false, err
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if _, _, err := t.openSince(begun, s, own, &e, driver.Payload|driver.Meta); err != nil {
		t.store.reports.found(t.spec.Name, err)
		return driver.Entry{}, false, nil
	}
	t.store.opened.Add(1)
	return e, true, nil
}

// Entries implements [driver.Table].
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		o := t.opening(ctx, sel)
		defer o.end()
		for e, err := range t.Table.Entries(ctx, o.below()) {
			if err != nil {
				yield(e, err)
				return
			}
			if o.open(&e) && !yield(e, nil) {
				return
			}
		}
	}
}

// opening opens the entries of an iteration or a listing.
type opening struct {
	t      *table
	begun  *Keys
	ctx    context.Context
	sel    driver.Selection // what the caller wants
	rest   bool             // the filter has to be asked again
	failed []failure
	old    []driver.Key
	opened uint64
}

func (t *table) opening(ctx context.Context, sel driver.Selection) *opening {
	o := &opening{t: t, begun: t.store.keys.Load(), ctx: ctx, sel: sel}
	_, o.rest = t.filter(sel.Filter)
	return o
}

// below is the selection of the table below.
func (o *opening) below() driver.Selection {
	sel := o.sel
	if o.rest {
		sel.Parts |= o.sel.Where.Parts()
	}
	return o.t.selection(sel)
}

// atOnce is how many entries are put out of the way, or sealed anew, together.
const atOnce = 256

// open reports whether an entry, which it opens, is to be handed out.
func (o *opening) open(e *driver.Entry) bool {
	if ruined.Is(e) {
		return false
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	key, parts := e.Key, o.sel.Parts
	if o.rest {
		parts |= driver.Meta
	}
	_, old, err := o.t.openSince(o.begun, s, key, e, parts)
	if err != nil {
		found := *e
		found.Payload = nil
		if o.failed = append(o.failed, failure{key, found, err}); len(o.failed) == atOnce {
			o.t.disarm(o.ctx, o.failed)
			o.failed = o.failed[:0]
		}
		return false
	}
	if old {
		if o.old = append(o.old, key); len(o.old) == atOnce {
			o.t.store.resealer.add(o.t, o.old)
			o.old = o.old[:0]
		}
	}
	if o.rest && !o.sel.Match(*e) { // which has its own key now
		return false
	}
	o.opened++
	return true
}

func (o *opening) end() {
	o.t.store.opened.Add(o.opened)
	o.t.store.resealer.add(o.t, o.old)
	o.t.disarm(o.ctx, o.failed)
}

// disarmWithin limits how long a reader waits until entries are out of the way.
const disarmWithin = time.Second

// disarm reports entries that cannot be opened, and puts them out of the way of others, except
// for those whose key another process may have. It does what it can: the readers have had their
// misses, and the next one tries again.
func (t *table) disarm(ctx context.Context, failed []failure) {
	if len(failed) == 0 {
		return
	}
	renewals := make(map[string]driver.Renewal)
	for i := range failed {
		f := &failed[i]
		t.store.reports.found(t.spec.Name, f.err)
		if !errors.Is(f.err, errUnknown) {
			renewals[string(driver.AppendKey(nil, f.key))] = ruined.Renewal(f.key, &f.entry)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, disarmWithin)
	defer cancel()
	some := make([]driver.Renewal, 0, atOnce)
	for _, r := range renewals {
		if some = append(some, r); len(some) == atOnce {
			_, _ = t.Table.Renew(ctx, some)
			some = some[:0]
		}
	}
	if len(some) > 0 {
		_, _ = t.Table.Renew(ctx, some)
	}
}

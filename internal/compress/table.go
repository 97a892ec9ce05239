// Package compress keeps the bodies of a repository compressed: it stands between the
// exchange, which knows bodies as they came, and the store, where an entry says by its
// Encoding how its own is kept. So a repository can have both kinds of entry, and reads them
// whatever it is declared to be.
//
// Bodies of one API have much in common, and little of it is in one of them alone. So they are
// compressed with a dictionary of what they share, which is made of the repository's own
// entries and is kept in the same store.
package compress

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
)

// Options are those of a table.
type Options struct {
	Repository string // its name
	Save       bool   // entries that are saved are compressed

	// Dictionaries opens the table in which dictionaries are kept, of the columns Columns.
	Dictionaries func(context.Context) (driver.Table, error)

	// Go runs a function in the background, or returns false if nothing may begin any more.
	// Its context ends when the function is to end.
	Go func(func(context.Context)) bool

	// Report is told how many entries an operation has found that cannot be decoded.
	Report func(n int)

	Now func() time.Time
	Log *slog.Logger
}

// table has its payloads compressed.
type table struct {
	driver.Table
	near  driver.NearTable // the same, where it is one
	opts  Options
	known dictionaries
	saver saver
	reads sync.Pool // of *read
}

// New returns t with its payloads decoded when they are read and, if the options say so,
// encoded when they are saved. An entry that cannot be decoded is not handed out. The table
// has the abilities of t, see [layer.Like].
func New(t driver.Table, o Options) driver.Table {
	c := newTable(t, o)
	return layer.Like(c, t, func(kept layer.PutIf) layer.PutIf {
		return func(ctx context.Context, entries []driver.Entry, condition driver.Condition) ([]bool, error) {
			return c.put(ctx, entries, func(entries []driver.Entry) ([]bool, error) { return kept(ctx, entries, condition) })
		}
	})
}

func newTable(t driver.Table, o Options) *table {
	c := &table{Table: t, opts: o}
	c.near, _ = t.(driver.NearTable)
	c.known.init(&c.opts)
	c.saver.t = c
	c.reads.New = func() any { return newRead(c) }
	return c
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	_, err := t.put(ctx, entries, func(entries []driver.Entry) ([]bool, error) { return nil, t.Table.Put(ctx, entries) })
	return err
}

// PutIf implements [driver.Table].
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.put(ctx, entries, func(entries []driver.Entry) ([]bool, error) { return t.Table.PutIf(ctx, entries, c) })
}

// put hands entries on as they are to be kept. The caller's are left as they are.
func (t *table) put(ctx context.Context, entries []driver.Entry, put func([]driver.Entry) ([]bool, error)) ([]bool, error) {
	if !t.opts.Save || len(entries) == 0 {
		return put(entries)
	}
	codec := t.saver.codec(ctx)
	entries = slices.Clone(entries)
	var from, to int
	for i := range entries {
		e := &entries[i]
		size := len(e.Payload)
		if frame := codec.encode(e.Payload); frame != nil {
			e.Payload, e.Encoding = frame, encoding
		}
		if size >= minSize {
			from, to = from+size, to+len(e.Payload)
		}
	}
	stored, err := put(entries)
	if err == nil {
		t.saver.saved(len(entries), from, to)
	}
	return stored, err
}

// errNoDictionary means that the dictionary of a frame is not known yet.
var errNoDictionary = errors.New("the dictionary is not known")

// decode decodes an entry whose payload was read, with a dictionary that is known.
func (t *table) decode(e *driver.Entry) error {
	if e.Encoding != encoding {
		return errFrame
	}
	id, size, err := dictionaryOf(e.Payload)
	if err != nil {
		return err
	}
	codec := t.known.codec(id)
	if codec == nil {
		return errNoDictionary
	}
	body, err := codec.decode(e.Payload, size)
	if err != nil {
		return err
	}
	e.Payload, e.Encoding = body, ""
	return nil
}

// decodeAny is decode with any dictionary that there is. It returns false if the entry is to
// be left out; an error is the store's.
func (t *table) decodeAny(ctx context.Context, e *driver.Entry, parts driver.Parts) (ok bool, err error) {
	if parts&driver.Payload == 0 {
		e.Encoding = ""
	}
	if e.Encoding == "" {
		return true, nil
	}
	err = t.decode(e)
	if errors.Is(err, errNoDictionary) {
		id, _, _ := dictionaryOf(e.Payload)
		if err := t.known.load(ctx, id); err != nil {
			return false, err
		}
		err = t.decode(e)
	}
	if err != nil {
		t.opts.Report(1)
	}
	return err == nil, nil
}

// read is the memory of one get, which is used again.
type read struct {
	t       *table
	parts   driver.Parts
	visit   func(int, driver.Entry)
	onEntry func(int, driver.Entry) // its method

	mu    sync.Mutex
	later []hit // entries that need a dictionary, or cannot be decoded
}

type hit struct {
	i     int
	entry driver.Entry
}

func newRead(t *table) *read {
	r := &read{t: t}
	r.onEntry = r.decode
	return r
}

func (r *read) decode(i int, e driver.Entry) {
	switch {
	case e.Encoding == "":
	case r.parts&driver.Payload == 0:
		e.Encoding = ""
	default:
		if err := r.t.decode(&e); err != nil {
			r.mu.Lock()
			r.later = append(r.later, hit{i, e})
			r.mu.Unlock()
			return
		}
	}
	r.visit(i, e)
}

// Get implements [driver.Table].
func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	r := t.reads.Get().(*read)
	r.parts, r.visit = sel.Parts, visit
	err := t.Table.Get(ctx, keys, sel, r.onEntry)
	later := r.later
	r.visit, r.later = nil, nil
	t.reads.Put(r)
	for i := 0; i < len(later) && err == nil; i++ { // which the store may be asked for now
		var ok bool
		if ok, err = t.decodeAny(ctx, &later[i].entry, sel.Parts); ok {
			visit(later[i].i, later[i].entry)
		}
	}
	return err
}

// GetNear implements [driver.NearTable]. It leaves to Get what needs a dictionary, or cannot be
// decoded.
func (t *table) GetNear(key driver.Key, sel driver.Selection) (e driver.Entry, found, known bool) {
	e, found, known = t.near.GetNear(key, sel)
	switch {
	case !found || e.Encoding == "":
	case sel.Parts&driver.Payload == 0:
		e.Encoding = ""
	default:
		if err := t.decode(&e); err != nil {
			return driver.Entry{}, false, false
		}
	}
	return e, found, known
}

// Pop implements [driver.Table].
func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	e, ok, err := t.Table.Pop(ctx, key, f)
	if err != nil || !ok {
		return e, ok, err
	}
	if ok, err = t.decodeAny(ctx, &e, driver.Payload); !ok {
		return driver.Entry{}, false, err
	}
	return e, true, nil
}

// Entries implements [driver.Table].
func (t *table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		for e, err := range t.Table.Entries(ctx, sel) {
			if err != nil {
				yield(e, err)
				return
			}
			ok, err := t.decodeAny(ctx, &e, sel.Parts)
			if err != nil {
				yield(driver.Entry{}, err)
				return
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// List implements [driver.Table].
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	return l.Sift(func(l driver.Listing) ([]driver.Entry, error) { return t.Table.List(ctx, l) }, func(e *driver.Entry) (bool, error) {
		return t.decodeAny(ctx, e, l.Parts)
	})
}

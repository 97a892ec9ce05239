package seal

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/layer"
	"github.com/endpointcache/endpointcache/internal/parallel"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// ErrUnknownKey is returned, wrapped, where an entry may only be put if there is none, and
// the one that is there is sealed with a key that is not among the store's. The fault of such an entry,
// see [Store.Examine], is this error, too.
var ErrUnknownKey = errors.New("there is an entry that is sealed with an unknown key")

// begin waits for a part of the table's writes, or all of them. Whoever has no context is
// refused by the table below.
func (t *table) begin(ctx context.Context, part int64) error {
	if ctx == nil {
		return nil
	}
	if err := t.shared.writes.Acquire(ctx, part); err != nil {
		return t.store.opError("save to", t.spec.Name, err)
	}
	return nil
}

func (t *table) end(ctx context.Context, part int64) {
	if ctx != nil {
		t.shared.writes.Release(part)
	}
}

// Put implements [driver.Table].
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	if err := t.begin(ctx, 1); err != nil {
		return err
	}
	defer t.end(ctx, 1)
	sealed, err := t.sealAll(entries)
	if err != nil {
		return err
	}
	return t.Table.Put(ctx, sealed)
}

// PutIf implements [driver.Table].
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	return t.putIf(ctx, entries, c, t.Table.PutIf)
}

func (t *table) putIf(ctx context.Context, entries []driver.Entry, c driver.Condition, put layer.PutIf) ([]bool, error) {
	part := int64(1)
	if c.If == driver.IfUnchanged {
		part = allWrites // a renewal of what was there before would not notice
	}
	if err := t.begin(ctx, part); err != nil {
		return nil, err
	}
	defer t.end(ctx, part)
	sealed, err := t.sealAll(entries)
	if err != nil {
		return nil, err
	}
	stored, err := put(ctx, sealed, c)
	if err == nil && (c.If == driver.IfAbsent || c.If == driver.IfNotLive) {
		err = t.checkRefused(ctx, sealed, stored)
	}
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// checkRefused reports an entry that holds the place of one that was not stored, and that this
// store cannot open: the caller would find neither.
func (t *table) checkRefused(ctx context.Context, sealed []driver.Entry, stored []bool) error {
	var refused []driver.Key
	for i, ok := range stored {
		if !ok {
			refused = append(refused, sealed[i].Key)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	unknown := make([]bool, len(refused))
	err := t.Table.Get(ctx, refused, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		_, err := t.openMeta(s, t.store.keys.Load(), refused[i], &e, &inside{})
		unknown[i] = errors.Is(err, errUnknown)
	})
	if err == nil && slices.Contains(unknown, true) {
		err = t.store.opError("save to", t.spec.Name, ErrUnknownKey)
	}
	return err
}

// perPart is how many entries are worth another processor.
const perPart = 16

// sealAll returns the entries as they are to stand below. The caller's are left as they are.
func (t *table) sealAll(entries []driver.Entry) ([]driver.Entry, error) {
	if len(entries) == 0 {
		return entries, nil
	}
	k := t.store.keys.Load().primary
	sealed := slices.Clone(entries)
	parts := max(1, min(runtime.GOMAXPROCS(0), len(sealed)/perPart))
	err := parallel.Do(parts, func(part int) error {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		for i := part * len(sealed) / parts; i < (part+1)*len(sealed)/parts; i++ {
			if err := t.seal(s, k, &sealed[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, t.store.opError("seal for", t.spec.Name, err)
	}
	return sealed, nil
}

// Renew implements [driver.Table]. What the payload of an entry is tied to its meta data
// with, and its name, are in the seal of that: they are read first.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) ([]bool, error) {
	if err := t.begin(ctx, 1); err != nil {
		return nil, err
	}
	defer t.end(ctx, 1)
	keys := make([]driver.Key, len(renewals))
	for i := range renewals {
		keys[i] = t.key(renewals[i].Key)
	}
	below := make([]driver.Renewal, len(renewals))
	errs := make([]error, len(renewals))
	found := make([]*failure, len(renewals))
	err := t.Table.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
		if ruined.Is(&e) || !e.CachedAt.Equal(renewals[i].Seen) {
			return
		}
		var err error
		if below[i], err, errs[i] = t.renewal(keys[i], &e, &renewals[i]); err != nil {
			found[i] = &failure{keys[i], e, err}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(errs...); err != nil {
		return nil, t.store.opError("seal for", t.spec.Name, err)
	}
	var failed []failure
	for i := range below {
		if below[i].Key == nil { // it changes nothing: an entry is never of that time
			below[i] = driver.Renewal{Key: keys[i], Seen: time.Time{}, CachedAt: ruined.At, ExpiresAt: ruined.At}
		}
		if found[i] != nil {
			failed = append(failed, *found[i])
		}
	}
	t.disarm(ctx, failed)
	return t.Table.Renew(ctx, below)
}

// renewal is one for the table below, of an entry there. Where the entry cannot be opened, the
// second result tells why.
func (t *table) renewal(key driver.Key, e *driver.Entry, r *driver.Renewal) (below driver.Renewal, cause, err error) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	keys := t.store.keys.Load()
	var in inside
	if _, cause = t.openMeta(s, keys, key, e, &in); cause != nil {
		return below, cause, nil
	}
	in = in.clone()
	in.header, in.metaSum = []byte(r.Header), r.MetaSum
	e.Key, e.CachedAt, e.ExpiresAt = key, r.CachedAt, r.ExpiresAt
	if err := t.sealMeta(s, keys.primary, e, &in); err != nil {
		return below, nil, err
	}
	return driver.Renewal{
		Key: key, Seen: r.Seen, Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt,
		MetaSum: e.MetaSum, Name: e.Name, Status: e.Status,
	}, nil, nil
}

// Delete implements [driver.Table].
func (t *table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	return t.Table.Delete(ctx, t.keys(keys))
}

// Use implements [driver.Table].
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.Table.Use(ctx, t.keys(keys), at)
}

// Count implements [driver.Table].
func (t *table) Count(ctx context.Context, f driver.Filter) (int, error) {
	below, rest := t.filter(f)
	if !rest {
		return t.Table.Count(ctx, below)
	}
	n := 0
	for _, err := range t.Entries(ctx, driver.Selection{Filter: f}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Clear implements [driver.Table]. What can only be told from entries that are open is put out
// of the way first, unless it was changed meanwhile, and then removed.
func (t *table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	below, rest := t.filter(f)
	if !rest {
		return t.Table.Clear(ctx, below)
	}
	n := 0
	var some []driver.Renewal
	flush := func() error {
		if len(some) == 0 {
			return nil
		}
		done, err := t.Table.Renew(ctx, some)
		for _, ok := range done {
			if ok {
				n++
			}
		}
		some = some[:0]
		return err
	}
	for e, err := range t.Entries(ctx, driver.Selection{Filter: f}) {
		if err != nil {
			return n, err
		}
		e.Name = "" // the checksum of what is removed is nobody's
		if some = append(some, ruined.Renewal(t.key(e.Key), &e)); len(some) == atOnce {
			if err := flush(); err != nil {
				return n, err
			}
		}
	}
	if err := flush(); err != nil || n == 0 {
		return n, err
	}
	_, err := t.Table.Clear(ctx, driver.Filter{Where: driver.Where{CachedBefore: ruined.At.Add(time.Microsecond)}})
	return n, err
}

// List implements [driver.Table].
func (t *table) List(ctx context.Context, l driver.Listing) ([]driver.Entry, error) {
	if !t.ordered(&l) {
		if err := l.Validate(); err != nil {
			return nil, t.store.opError("list", t.spec.Name, err)
		}
		return l.Page(t.Entries(ctx, l.Selected()))
	}
	o := t.opening(ctx, l.Selected())
	defer o.end()
	l.Selection = o.below()
	if l.After != nil {
		after := *l.After
		after.Key = t.key(after.Key)
		l.After = &after
	}
	return l.Sift(func(l driver.Listing) ([]driver.Entry, error) { return t.Table.List(ctx, l) },
		func(e *driver.Entry) (bool, error) { return o.open(e), nil })
}

// ordered reports whether the table below lists entries in the caller's order, in which equal
// ones are in that of their keys, and leaves out no more than what cannot be opened.
func (t *table) ordered(l *driver.Listing) bool {
	if _, rest := t.filter(l.Filter); rest {
		return false
	}
	return (l.Order != driver.ByName || t.names == Clear) && !slices.Contains(t.digested[len(l.Leading):], true)
}

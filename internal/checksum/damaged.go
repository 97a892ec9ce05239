package checksum

import (
	"context"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/ruined"
)

// damaged is an entry of which a sum is wrong.
type damaged struct {
	key    driver.Key
	entry  driver.Entry // without its payload
	read   driver.Parts
	mended bool // it has been handed out with other times
	kept   bool // it stays as it is
}

// check looks at the parts of an entry that were read. It returns one that is found damaged,
// and whether the entry, which it may have mended, is to be handed out.
func (t *table) check(s *scratch, key driver.Key, e *driver.Entry, parts driver.Parts) (found *damaged, ok bool) {
	inMeta := parts&driver.Meta != 0 && !s.metaIsRight(key, e)
	inPayload := parts&driver.Payload != 0 && !s.payloadIsRight(key, e)
	if parts&driver.Meta != 0 && ruined.Is(e) {
		return nil, false
	}
	if !inMeta && !inPayload {
		return nil, true
	}
	found = &damaged{key: key, entry: *e, read: parts}
	found.entry.Payload = nil
	if t.opts.Mend == nil {
		return found, false
	}
	at, mend := t.opts.Mend(key)
	switch {
	case !mend:
		return found, false
	case !inMeta:
		found.kept = true
		return found, false
	}
	found.mended = true
	e.CachedAt, e.ExpiresAt = at, time.Time{}
	return found, !inPayload
}

// disarmWithin limits how long a reader waits until damaged entries are out of the way.
const disarmWithin = time.Second

// disarm reports damaged entries and gives them times at which others may take their place,
// which may have come meanwhile. It does what it can: the readers have had their misses, and
// the next one tries again.
func (t *table) disarm(ctx context.Context, found []damaged) {
	if len(found) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, disarmWithin)
	defer cancel()
	n := 0
	var renewals []driver.Renewal
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	for _, d := range t.withMeta(ctx, different(found)) {
		if ruined.Is(&d.entry) {
			continue
		}
		n++
		r := ruined.Renewal(d.key, &d.entry)
		switch at, ok := t.mend(d); {
		case d.kept:
			continue
		case ok:
			r.CachedAt, r.ExpiresAt = at, time.Time{}
			r.MetaSum = s.meta(r.Key, renewed(&r))
		}
		renewals = append(renewals, r)
	}
	if n > 0 {
		t.opts.Report(n)
	}
	for ; len(renewals) > 0; renewals = renewals[min(atOnce, len(renewals)):] {
		if _, err := t.Table.Renew(ctx, renewals[:min(atOnce, len(renewals))]); err != nil {
			return
		}
	}
}

func (t *table) mend(d damaged) (at time.Time, ok bool) {
	if !d.mended {
		return at, false
	}
	return t.opts.Mend(d.key)
}

// different leaves out those whose key comes again.
func different(found []damaged) []damaged {
	if len(found) == 1 {
		return found
	}
	known := make(map[string]bool, len(found))
	var different []damaged
	for _, d := range found {
		if key := string(driver.AppendKey(nil, d.key)); !known[key] {
			known[key] = true
			different = append(different, d)
		}
	}
	return different
}

// withMeta reads of the entries what tells which one of a key it is. Where that fails, or the
// entry has gone, there is nothing to be done.
func (t *table) withMeta(ctx context.Context, found []damaged) []damaged {
	var keys []driver.Key
	var at []int
	for i, d := range found {
		if d.read&driver.Meta == 0 {
			keys, at = append(keys, d.key), append(at, i)
		}
	}
	if len(keys) == 0 {
		return found
	}
	entries := make([]*driver.Entry, len(keys))
	_ = t.Table.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) { entries[i] = &e })
	for i, e := range entries {
		if e == nil {
			found[at[i]].kept = true
		} else {
			found[at[i]].entry = *e
		}
	}
	return found
}

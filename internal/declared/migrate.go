package declared

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/settings"
)

// migration is the copying of one repository's entries.
type migration struct {
	*Opening
	lease  *lease
	stored settings.Declaration
	step   settings.Step
	resume bool // entries may have been copied before

	copied, dropped int
}

// stepError is the error of a step, after which the migration is given up.
type stepError struct{ err error }

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// migrate begins a migration, or goes on with it, and ends it. The caller looks at the record
// again, which others may have changed meanwhile.
func (o *Opening) migrate(ctx context.Context, r *record, step settings.Step) error {
	resume := r.next != nil && !r.next.declaration.Differs(o.Given)
	if !resume {
		number := r.free()
		if r.next != nil {
			r.old = append(r.old, r.next.table)
		}
		r.next = &next{declaration: o.Given, table: number}
	}
	r.next.by, r.next.until = newOwner(), now().Add(Lease)
	if replaced, err := o.replace(ctx, o.Name, r); err != nil || !replaced {
		return err
	}
	begun := time.Now()
	held, l := o.hold(ctx, r)
	m := &migration{Opening: o, lease: l, stored: r.declaration, step: step, resume: resume}
	from, into := r.table, r.next.table
	err := m.run(held, from, into)
	lost := errors.Is(err, errLost) || errors.Is(context.Cause(held), errLost)
	r = l.release()
	if lost {
		return nil
	}
	if err != nil {
		o.giveUp(ctx, r, err)
		return fmt.Errorf("migration of %q: %w", o.Name, err)
	}
	r.declaration, r.table, r.next = o.Given, into, nil
	r.old = append(r.old, from)
	replaced, err := o.replace(ctx, o.Name, r)
	if replaced {
		o.Log.Info("endpointcache: stored responses were migrated", "repository", o.Name, "entries", m.copied,
			"dropped", m.dropped, "from", m.stored.String(), "to", o.Given.String(), "after", time.Since(begun).Round(time.Millisecond))
	}
	return err
}

// giveUp lets others begin at once. What was copied is only of use if the step has not failed:
// it may be another one next time.
func (o *Opening) giveUp(ctx context.Context, r *record, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Lease)
	defer cancel()
	r.next.until = now()
	var failed *stepError
	if errors.As(err, &failed) {
		r.old = append(r.old, r.next.table)
		r.next = nil
	}
	if replaced, err := o.replace(ctx, o.Name, r); err == nil && replaced {
		o.sweep(ctx, r)
	}
}

func (m *migration) run(ctx context.Context, from, into int) error {
	origins, err := m.origins(ctx, m.Name)
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if err := m.copyOrigin(ctx, origin, from, into); err != nil {
			return err
		}
	}
	return nil
}

func (m *migration) copyOrigin(ctx context.Context, origin string, from, into int) error {
	source, err := m.OpenTable(ctx, driver.TableSpec{Name: table(m.Name, from, origin), Key: Columns(m.stored)})
	if err != nil {
		return err
	}
	if source, err = m.Source(ctx, source, table(m.Name, 1, origin), m.stored); err != nil {
		return err
	}
	target, err := m.OpenTable(ctx, driver.TableSpec{Name: table(m.Name, into, origin), Key: Columns(m.Given)})
	if err != nil {
		return err
	}
	target = m.Target(target, table(m.Name, 1, origin))
	b := &batch{target: target, at: make(map[string]int)}
	for e, err := range source.Entries(ctx, driver.Selection{Filter: driver.Filter{Now: now()}, Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return err
		}
		keep, err := m.convert(&e)
		if err != nil {
			return &stepError{err}
		}
		if !keep {
			m.dropped++
			continue
		}
		if b.add(e); b.full() {
			if err := m.flush(ctx, b); err != nil {
				return err
			}
		}
	}
	return m.flush(ctx, b)
}

// convert makes an entry one of the given declaration. It is false where it is not kept.
func (m *migration) convert(e *driver.Entry) (keep bool, err error) {
	var identity driver.Key
	if m.stored.Scope == settings.PerIdentity {
		identity, e.Key = e.Key[:1:1], e.Key[1:]
	}
	outcome, err := m.step(e)
	if err != nil || outcome == settings.Dropped {
		return false, err
	}
	if keep, err := m.Finish(e, outcome, m.stored); err != nil || !keep {
		return false, err
	}
	e.Key = append(identity, e.Key...)
	e.CachedAt = e.CachedAt.Truncate(time.Microsecond)
	e.ExpiresAt = e.ExpiresAt.Truncate(time.Microsecond) // which a mark may have cut
	return true, nil
}

// A batch has no more entries and bytes than these, besides the last entry.
const (
	batchEntries = 256
	batchBytes   = 4 << 20
)

// batch are entries of different keys that are to be put.
type batch struct {
	target  driver.Table
	entries []driver.Entry
	at      map[string]int // by key
	bytes   int
}

// add adds an entry, of two with one key the later.
func (b *batch) add(e driver.Entry) {
	key := string(driver.AppendKey(nil, e.Key))
	i, ok := b.at[key]
	switch {
	case !ok:
		b.at[key] = len(b.entries)
		b.entries = append(b.entries, e)
	case e.CachedAt.After(b.entries[i].CachedAt):
		b.entries[i] = e
	}
	b.bytes += len(e.Payload)
}

func (b *batch) full() bool { return len(b.entries) >= batchEntries || b.bytes >= batchBytes }

func (b *batch) reset() {
	b.entries, b.bytes = b.entries[:0], 0
	clear(b.at)
}

// flush puts what has been gathered, unless newer entries are there.
func (m *migration) flush(ctx context.Context, b *batch) error {
	defer b.reset()
	if m.resume {
		if err := b.leaveOut(ctx); err != nil {
			return err
		}
	}
	if len(b.entries) == 0 {
		return ctx.Err()
	}
	if !m.lease.valid() {
		return errLost
	}
	stored, err := b.target.PutIf(ctx, b.entries, driver.Condition{If: driver.IfNewer})
	if errors.Is(err, driver.ErrTooLarge) {
		return m.putEach(ctx, b)
	}
	for _, ok := range stored {
		if ok {
			m.copied++
		}
	}
	return err
}

// leaveOut leaves out of the batch what was copied before.
func (b *batch) leaveOut(ctx context.Context) error {
	keys := make([]driver.Key, len(b.entries))
	for i := range b.entries {
		keys[i] = b.entries[i].Key
	}
	there := make([]time.Time, len(keys))
	if err := b.target.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) { there[i] = e.CachedAt }); err != nil {
		return err
	}
	left := b.entries[:0]
	for i, e := range b.entries {
		if there[i].IsZero() || there[i].Before(e.CachedAt) {
			left = append(left, e)
		}
	}
	b.entries = left
	return nil
}

// putEach puts entries one by one, as one is too large: it is dropped.
func (m *migration) putEach(ctx context.Context, b *batch) error {
	for i := range b.entries {
		_, err := b.target.PutIf(ctx, b.entries[i:i+1], driver.Condition{If: driver.IfNewer})
		switch {
		case errors.Is(err, driver.ErrTooLarge):
			m.dropped++
		case err != nil:
			return err
		default:
			m.copied++
		}
	}
	return nil
}

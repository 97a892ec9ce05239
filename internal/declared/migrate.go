package declared

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
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
	resume bool // entries may have been copied before, of which the source may have lost some

	copied, dropped int

	seed maphash.Seed
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
	m := &migration{Opening: o, lease: l, stored: r.declaration, step: step, resume: resume, seed: maphash.MakeSeed()}
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
	again, dropped := m.resume, m.dropped
	before, err := m.state(ctx, source)
	if err != nil {
		return err
	}
	for range mostPasses {
		m.dropped = dropped
		removed, err := m.pass(ctx, source, target, again)
		if err != nil {
			return err
		}
		after, err := m.state(ctx, source)
		if err != nil || after == before && removed == 0 { // what was removed may have kept an older one out
			return err
		}
		before, again = after, true
	}
	return nil
}

// An older program may change entries all the time: they are gone through so often at most.
const mostPasses = 3

// pass copies all entries and, if it is not the first one, removes from the target what the
// source does not have any more.
func (m *migration) pass(ctx context.Context, source, target driver.Table, again bool) (removed int, err error) {
	b := &batch{target: target, at: make(map[string]int)}
	if again {
		if b.pass, err = m.lease.instant(ctx); err != nil {
			return 0, err
		}
	}
	for e, err := range source.Entries(ctx, driver.Selection{Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			return 0, err
		}
		keep, err := m.convert(&e)
		if err != nil {
			return 0, &stepError{err}
		}
		if !keep {
			m.dropped++
			continue
		}
		if b.add(e); b.full() {
			if err := m.flush(ctx, b); err != nil {
				return 0, err
			}
		}
	}
	if err := m.flush(ctx, b); err != nil || !again {
		return 0, err
	}
	if !m.lease.valid() {
		return 0, errLost
	}
	return target.Clear(ctx, driver.Filter{Where: driver.Where{UsedBefore: b.pass}})
}

// state tells whether entries have changed, whatever their order.
type state struct {
	entries int
	sum     uint64
}

func (m *migration) state(ctx context.Context, table driver.Table) (s state, err error) {
	for e, err := range table.Entries(ctx, driver.Selection{Parts: driver.Meta}) {
		if err != nil {
			return s, err
		}
		text := binary.BigEndian.AppendUint64(nil, uint64(e.CachedAt.UnixMicro()))  //nolint:gosec // its bits
		text = binary.BigEndian.AppendUint64(text, uint64(e.ExpiresAt.UnixMicro())) //nolint:gosec // its bits
		s.entries++
		s.sum += maphash.Bytes(m.seed, driver.AppendKey(text, e.Key))
	}
	return s, nil
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
	pass    time.Time // later than any use of entries that were copied before; zero: there are none
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
	if !b.pass.IsZero() {
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
	if err != nil {
		return err
	}
	return m.note(ctx, b, b.entries, stored)
}

// note counts what was put, and notes that the source has it.
func (m *migration) note(ctx context.Context, b *batch, entries []driver.Entry, stored []bool) error {
	var keys []driver.Key
	for i, ok := range stored {
		if ok {
			keys = append(keys, entries[i].Key)
		}
	}
	m.copied += len(keys)
	return b.use(ctx, keys)
}

// leaveOut leaves out of the batch what was copied before, and notes by its use that the source
// still has it.
func (b *batch) leaveOut(ctx context.Context) error {
	keys := make([]driver.Key, len(b.entries))
	for i := range b.entries {
		keys[i] = b.entries[i].Key
	}
	there := make([]driver.Entry, len(keys))
	if err := b.target.Get(ctx, keys, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) { there[i] = e }); err != nil {
		return err
	}
	left := b.entries[:0]
	var same []driver.Key
	for i, e := range b.entries {
		switch {
		case there[i].CachedAt.After(e.CachedAt): // another one that got this key: it counts if the source still has it
		case there[i].CachedAt.Equal(e.CachedAt) && there[i].ExpiresAt.Equal(e.ExpiresAt):
			same = append(same, keys[i])
		default:
			left = append(left, e)
		}
	}
	b.entries = left
	return b.use(ctx, same)
}

func (b *batch) use(ctx context.Context, keys []driver.Key) error {
	if len(keys) == 0 || b.pass.IsZero() {
		return nil
	}
	return b.target.Use(ctx, keys, b.pass)
}

// putEach puts entries one by one, as one is too large: it is dropped.
func (m *migration) putEach(ctx context.Context, b *batch) error {
	for i := range b.entries {
		stored, err := b.target.PutIf(ctx, b.entries[i:i+1], driver.Condition{If: driver.IfNewer})
		if errors.Is(err, driver.ErrTooLarge) {
			m.dropped++
			continue
		}
		if err == nil {
			err = m.note(ctx, b, b.entries[i:i+1], stored)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

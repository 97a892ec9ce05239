package filesystem

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
)

// PutIf writes the files of those entries for which the condition holds, and asks once
// more under the lock that is held to replace entries.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.store.run(ctx, "save to", t.id.spec.Name, func() error {
		if err := c.Validate(); err != nil {
			return err
		}
		all, err := t.save(ctx, func() []saving { return t.savings(entries, &c) })
		stored = make([]bool, len(entries))
		for i := range all {
			stored[all[i].number] = all[i].saved
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// Renew writes files anew, payloads included: an entry is one file. What has replaced
// an entry since it was read is read again.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.store.run(ctx, "renew in", t.id.spec.Name, func() error {
		renewed = make([]bool, len(renewals))
		var left []int // numbers of renewals
		for i := range renewals {
			left = append(left, i)
		}
		for len(left) > 0 {
			all, err := t.save(ctx, func() []saving { return t.renewing(renewals, left) })
			if err != nil {
				return err
			}
			left = left[:0]
			for i := range all {
				s := &all[i]
				if renewed[s.number] = s.saved; s.again {
					left = append(left, s.number)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (t *table) renewing(renewals []driver.Renewal, numbers []int) []saving {
	all := make([]saving, len(numbers))
	var lines []byte
	for i, n := range numbers {
		r := &renewals[n]
		lines = t.id.append(lines[:0], r.Key)
		all[i] = saving{place: t.id.place(lines, r.Key), number: n, cachedAt: r.CachedAt, renewal: r}
	}
	return all
}

// prepare makes the entry of a renewal, and reports whether there is something to be
// saved.
func (t *table) prepare(ctx context.Context, f *folder, b *buffers, s *saving) (bool, error) {
	if s.renewal == nil {
		return t.confirm(ctx, f, b, s)
	}
	r := s.renewal
	b.lines = t.id.append(b.lines[:0], r.Key)
	e, ok, err := t.read(ctx, f, b, s.path, driver.Selection{Parts: driver.Meta | driver.Payload})
	if err != nil || !ok || !e.CachedAt.Equal(r.Seen) {
		return false, err
	}
	s.seen = string(b.head.text)
	e.Key, e.Header, e.CachedAt, e.ExpiresAt = r.Key, r.Header, r.CachedAt, r.ExpiresAt
	e.MetaSum = r.MetaSum
	s.entry = &e
	return true, nil
}

// confirm reports whether an entry may take its place, of which it reads no payload.
// With the stripe's lock, that stays so.
func (t *table) confirm(ctx context.Context, f *folder, b *buffers, s *saving) (bool, error) {
	switch {
	case s.renewal != nil:
		b.lines = t.id.append(b.lines[:0], s.renewal.Key)
	case s.condition != nil:
		b.lines = t.id.append(b.lines[:0], s.entry.Key)
	default:
		return true, nil
	}
	old, ok, err := t.read(ctx, f, b, s.path, driver.Selection{Parts: driver.Meta})
	switch {
	case err != nil:
		return false, err
	case !ok:
		return s.renewal == nil && s.condition.If != driver.IfUnchanged, nil
	case s.renewal == nil:
		return s.condition.Allows(old, *s.entry), nil
	}
	same := string(b.head.text) == s.seen // and so is the payload, whose checksum it has
	s.again = !same
	return same, nil
}

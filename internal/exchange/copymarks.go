package exchange

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/checksum"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/settings"
)

// markCopy copies the marks of the entries that are copied. Their names are digests, which are made
// with another key at the target if that has one, and are about another table if that has met the
// origins in another order: so they are made anew.
type markCopy struct {
	c        *copying
	from, to *pointRead
}

// digests sees to it that the target makes digests with the source's key, if it has none. It
// returns nil where the key is not known here, as it is sealed or kept elsewhere: marks are
// copied as they stand then.
func (c *copying) digests(ctx context.Context) (*markCopy, error) {
	row, from, err := c.from.digestKey(ctx)
	if err != nil {
		return nil, err
	}
	there, to, err := c.to.digestKey(ctx)
	if err != nil {
		return nil, err
	}
	if row != nil && there == nil && len(c.to.x.opts.DigestKey) == 0 {
		if err := c.putRecords(ctx, []driver.Entry{*row}); err != nil {
			return nil, err
		}
		if there, to, err = c.to.digestKey(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case from != nil && to != nil:
		return &markCopy{c, newPointRead(from), newPointRead(to)}, nil
	case row != nil && there != nil && !sameEntry(row, there):
		return nil, fmt.Errorf("the key of digests: %w", errSealed)
	}
	return nil, nil
}

// digestKey is the secret that a side makes digests with, nil if it is not known, and the record
// of it, nil if there is none.
func (s *side) digestKey(ctx context.Context) (row *driver.Entry, key []byte, err error) {
	rows, err := s.rows(ctx, driver.Filter{Leading: driver.Key{digestKeyRecord, ""}})
	if err != nil {
		return nil, nil, err
	}
	if len(rows) > 0 && checksum.Right(&rows[0]) {
		row = &rows[0]
	}
	switch given := s.x.opts.DigestKey; {
	case len(given) > 0:
		return row, given, nil
	case row == nil || !isPlain(row):
		return row, nil, nil
	}
	if key, err = base64.RawStdEncoding.DecodeString(string(row.Payload)); err != nil {
		return nil, nil, fmt.Errorf("key of digests: table %q holds none that is one", RecordsTable)
	}
	return row, key, nil
}

// isPlain reports whether an entry is not sealed.
func isPlain(e *driver.Entry) bool {
	_, err := head.Decode(e.Header)
	return err == nil
}

// copyMarks copies marks as they stand: those of tables that are copied, and those of tags.
func (c *copying) copyMarks(ctx context.Context) error {
	if c.from.store.Records == nil {
		return nil
	}
	about := map[string]bool{"": true}
	for _, job := range c.jobs {
		about[job.table.Declared] = true
	}
	from, err := c.from.raw(ctx, &c.from.x.records.ownTable)
	if err != nil {
		return err
	}
	to, err := c.to.raw(ctx, &c.to.x.records.ownTable)
	if err != nil {
		return err
	}
	r := rowCopy{
		c: c, from: from, to: to, filter: driver.Filter{Leading: driver.Key{markRecord}},
		keep: func(e *driver.Entry) bool { return !isPlain(e) || about[string(e.Payload)] },
	}
	return r.run(ctx)
}

// of returns what copies the marks of a table's entries before these.
func (m *markCopy) of(job copyJob) func(context.Context, []driver.Entry) error {
	var d settings.Declaration
	if job.table.Declaration != nil {
		d = *job.table.Declaration
	} else {
		d.Key = job.table.Key
	}
	shape := m.c.from.x.newTable(Declaration{Name: job.table.Declared, Key: d.Key, Beside: d.Beside, Scope: d.Scope, Declared: d}, nil, nil, nil)
	named := func(name string) *marked {
		return &marked{name: name, url: shape.urlColumns(), about: driver.AppendKey(nil, driver.Key{urlMark, name})}
	}
	from, to := named(job.table.Declared), named(job.own)
	return func(ctx context.Context, entries []driver.Entry) error {
		b := markBatch{m: m, keys: make(map[string]bool)}
		b.add(driver.AppendKey(nil, driver.Key{tableMark, from.name}), driver.AppendKey(nil, driver.Key{tableMark, to.name}), to.name)
		for i := range entries {
			e := &entries[i]
			if from.url != nil {
				b.add(from.appendURL(nil, e.Key), to.appendURL(nil, e.Key), to.name)
			}
			tags, err := tagsOf(e.Header)
			if err != nil {
				continue // of no use, see marked.judge
			}
			for _, tag := range tags {
				text := driver.AppendKey(nil, driver.Key{tagMark, tag})
				b.add(text, text, "")
			}
		}
		return b.copy(ctx)
	}
}

// markBatch are marks that a batch of entries may have.
type markBatch struct {
	m      *markCopy
	keys   map[string]bool // by what they are about
	from   []driver.Key
	copies []driver.Entry // by index of from
}

func (b *markBatch) add(from, to []byte, table string) {
	if b.keys[string(from)] {
		return
	}
	b.keys[string(from)] = true
	b.from = append(b.from, driver.Key{markRecord, b.m.from.nameOf(from)})
	b.copies = append(b.copies, driver.Entry{
		Key: driver.Key{markRecord, b.m.to.nameOf(to)}, Status: http.StatusOK, Payload: []byte(table),
	})
}

// copy has the target know the marks that there are.
func (b *markBatch) copy(ctx context.Context) error {
	records := b.m.c.from.store.Records
	if records == nil {
		return nil
	}
	var found []driver.Entry
	if err := records.Get(ctx, b.from, driver.Selection{Parts: driver.Meta}, func(i int, e driver.Entry) {
		b.copies[i].CachedAt = e.CachedAt
	}); err != nil {
		return err
	}
	for _, e := range b.copies {
		if !e.CachedAt.IsZero() {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return nil
	}
	_, err := b.m.c.to.store.Records.PutIf(ctx, found, driver.Condition{If: driver.IfNewer})
	return err
}

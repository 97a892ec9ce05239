package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/settings"
)

// SaveOptions are the settings of [Contents.Save]. A nil *SaveOptions means the defaults.
type SaveOptions struct {
	// Tables are those that the responses come from, as [ResponseCache.Tables] of their store has
	// told of them. They say how tables are made that are not there, and whose origins' responses they
	// have. Without them, a table is made with the columns of a response's key, and nothing is
	// remembered of its declaration.
	Tables []Table

	// KeepNewer leaves responses alone that were requested later than the one that is to take their
	// place.
	KeepNewer bool
}

// Save stores responses as they are given: with their names, statuses, headers, bodies and times,
// to the microsecond. It returns how many it has stored. A response that is there is replaced, and
// of two with one key the later in the sequence stays, or with KeepNewer the one that was requested later. A
// response's Repository and Origin, and the Tables of the options, tell its table, whatever the name of that is here;
// without a Repository, its Table is one. Size is not looked at.
//
// What the rules of the cache do not let be stored is left out: headers with credentials, cookies
// unless the policy says otherwise, what Redact names, and redirects to a URL with secrets.
//
// Save takes many at a time. At an error of the sequence, or at a response that is invalid, it stores
// those before, and stops: invalid are a key that does not fit the table, a status that is not of
// three digits, and a time of none of the years 1 to 9999, which that of the request may not be
// zero. The error wraps [driver.ErrSchema] where the store has responses of a repository
// by another declaration, or with another key, and [ErrNotFound] where these contents do not
// have it. After an error of the store, some of the last 500 responses may have been stored.
func (s *Contents) Save(ctx context.Context, responses iter.Seq2[Stored, error], opts *SaveOptions) (int, error) {
	if opts == nil {
		opts = &SaveOptions{}
	}
	if ctx == nil {
		return 0, fmt.Errorf("cache: save: %w", errNoContext)
	}
	b := saveBatch{contents: s, opts: opts, places: make(map[whence]*exchange.Table)}
	err := b.saveAll(ctx, responses)
	if err != nil {
		err = fmt.Errorf("cache: save: %w", err)
	}
	return b.stored, err
}

// The sizes of what is saved at a time, besides the last response.
const (
	saveAtOnce = 500
	saveBytes  = 4 << 20
)

// whence is where responses come from.
type whence struct{ table, repository, origin string }

// saveBatch are responses that are to be saved.
type saveBatch struct {
	contents *Contents
	opts     *SaveOptions
	places   map[whence]*exchange.Table

	tables  []*exchange.Table // in the order in which they were met
	rows    map[*exchange.Table][]driver.Entry
	pending int
	bytes   int
	stored  int
}

func (b *saveBatch) saveAll(ctx context.Context, responses iter.Seq2[Stored, error]) error {
	for e, err := range responses {
		if err == nil {
			err = b.add(ctx, &e)
		}
		if err != nil {
			return errors.Join(err, b.flush(ctx))
		}
		if b.pending < saveAtOnce && b.bytes < saveBytes {
			continue
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	return b.flush(ctx)
}

func (b *saveBatch) add(ctx context.Context, e *Stored) error {
	t, err := b.tableOf(ctx, e)
	if err != nil {
		return err
	}
	row := driver.Entry{
		Name: e.Name, Status: e.Status, Header: exchange.HeadOf(e.Entry), Payload: e.Payload,
	}
	if row.Key, err = keyOfColumns(t.Spec(), e.Key); err == nil {
		err = setTimes(&row, e)
	}
	if err != nil {
		return fmt.Errorf("a response for %q: %w", t.Name, err)
	}
	keep, err := t.Prepare(ctx, &row)
	if err != nil {
		return fmt.Errorf("a response for %q: %w", t.Name, err)
	}
	if !keep {
		return nil
	}
	if b.rows == nil {
		b.rows = make(map[*exchange.Table][]driver.Entry)
	}
	if b.rows[t] == nil {
		b.tables = append(b.tables, t)
	}
	b.rows[t] = append(b.rows[t], row)
	b.pending++
	b.bytes += len(row.Payload)
	return nil
}

func setTimes(row *driver.Entry, e *Stored) error {
	if e.Status < 100 || e.Status > 999 {
		return fmt.Errorf("the status is %d", e.Status)
	}
	for _, t := range []struct {
		name string
		from time.Time
		to   *time.Time
		zero bool
	}{
		{"CachedAt", e.CachedAt, &row.CachedAt, false}, {"ExpiresAt", e.ExpiresAt, &row.ExpiresAt, true}, {"UsedAt", e.UsedAt, &row.UsedAt, true},
	} {
		if t.from.IsZero() && t.zero {
			continue
		}
		if year := t.from.UTC().Year(); t.from.IsZero() || year < 1 || year > 9999 {
			return fmt.Errorf("%s is %v", t.name, t.from)
		}
		*t.to = exchange.Instant(t.from)
	}
	return nil
}

// keyOfColumns is the key with these values in a table.
func keyOfColumns(spec driver.TableSpec, columns []KeyColumn) (driver.Key, error) {
	values := make([]any, len(columns))
	for i, c := range columns {
		if i < len(spec.Key) && c.Name != spec.Key[i].Name {
			return nil, fmt.Errorf("column %d of the key is %q, not %q", 1+i, spec.Key[i].Name, c.Name)
		}
		values[i] = c.Value
	}
	return keyOf(spec, values)
}

// columnsOfKey are the columns that a response's key tells.
func columnsOfKey(key []KeyColumn) ([]driver.Column, error) {
	columns := make([]driver.Column, len(key))
	for i, c := range key {
		columns[i].Name = c.Name
		for kind := driver.String; kind <= driver.Bool; kind++ {
			columns[i].Kind = kind
			if _, err := keyValue(columns[i], c.Value); err == nil {
				break
			} else if kind == driver.Bool {
				return nil, fmt.Errorf("the key column %q is a %T", c.Name, c.Value)
			}
		}
	}
	return columns, nil
}

// tableOf is the table for a response.
func (b *saveBatch) tableOf(ctx context.Context, e *Stored) (*exchange.Table, error) {
	from := whence{e.Table, e.Repository, e.Origin}
	if from.repository == "" {
		from.repository, from.origin = splitTable(e.Table)
	}
	if t := b.places[from]; t != nil {
		return t, nil
	}
	if names := b.contents.repositories; len(names) > 0 && !slices.Contains(names, from.repository) {
		return nil, fmt.Errorf("%w: repository %q", ErrNotFound, from.repository)
	}
	t, err := b.open(ctx, from, e)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", from.repository, err)
	}
	b.places[from] = t
	return t, nil
}

func (b *saveBatch) open(ctx context.Context, from whence, e *Stored) (*exchange.Table, error) {
	var key []driver.Column
	var d *settings.Declaration
	origin := from.origin
	for _, t := range b.opts.Tables {
		if t.Repository != from.repository || t.Left {
			continue
		}
		d = t.Declaration
		if t.Name == from.table {
			key, origin = t.Key, t.Origin
			break
		}
		key = t.Key
	}
	if key == nil {
		var err error
		if key, err = columnsOfKey(e.Key); err != nil {
			return nil, err
		}
	}
	x := b.contents.cache.exchange
	name, own, err := x.PlaceFor(ctx, from.repository, origin, d, key)
	if err != nil {
		return nil, err
	}
	opened, err := b.contents.opened(ctx) // with the table of an origin that is met now
	if err != nil {
		return nil, err
	}
	if t := opened[name]; t != nil {
		return t, nil
	}
	marked, err := x.HasMarks(ctx)
	if err != nil {
		return nil, err
	}
	listed := declared.Table{TableSpec: driver.TableSpec{Name: name, Key: key}, Declared: own, Declaration: d}
	return x.Raw(ctx, b.contents.cache.store, listed, marked)
}

func (b *saveBatch) flush(ctx context.Context) error {
	defer func() { b.tables, b.rows, b.pending, b.bytes = nil, nil, 0, 0 }()
	for _, t := range b.tables {
		n, err := t.Restore(ctx, b.rows[t], b.opts.KeepNewer)
		b.stored += n
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

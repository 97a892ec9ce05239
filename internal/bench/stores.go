package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
)

// backend is a store whose lines are those of the others, too: a get, and a bulk of
// each kind.
type backend struct {
	name string

	// open opens the library on a part of the server that is named: a prefix, a
	// database, a folder. It is an errSkipped where there is no server.
	open func(ctx context.Context, d *dataset, part string) (driver.Store, error)

	// byHand opens the hand-written side on such a part, in which the library
	// has made its table.
	byHand func(ctx context.Context, d *dataset, part string) (rival, error)
}

// rival is the hand-written side: it keeps the rows of the dataset as the library
// does, and does no more than the task needs.
type rival interface {
	get(ctx context.Context, k Key) ([]byte, error)
	getMany(ctx context.Context, keys []Key) ([][]byte, error) // by the index of the key
	saveMany(ctx context.Context, rows []row) error            // with an expiry
	deleteMany(ctx context.Context, keys []Key) (int, error)
	close() error
}

// backendTarget is what each of these lines may take.
const backendTarget = 1.20

// storeRows is how many rows the table of such a store has, at most: some take a
// while to be filled.
const storeRows = 10_000

// lines are the store's.
func (b *backend) lines() []line {
	return []line{
		{b.name + "-get", backendTarget, "a get", 21, b.getLine},
		{b.name + "-get-many-1000", backendTarget, "a key", 41, b.getManyLine(1_000)},
		{b.name + "-save-many-1000", backendTarget, "a row", 21, b.saveManyLine(1_000)},
		{b.name + "-delete-many-1000", backendTarget, "a row", 21, b.deleteManyLine(1_000)},
	}
}

// table is a part of a backend that the library has filled.
type table struct {
	repo *repository.ResponseRepository[Key, []byte]
	rows []row // those that it was filled with
	keys []Key // of the live ones, in random order
}

// fill opens a part, empties it and fills it, until the contest ends.
func (b *backend) fill(ctx context.Context, d *dataset, c *contest, part string) (*table, error) {
	store, err := b.open(ctx, d, part)
	if err != nil {
		return nil, err
	}
	c.onClose(store.Close)
	t := &table{}
	if t.repo, err = newRepository(ctx, store, payload.Bytes()); err != nil {
		return nil, err
	}
	c.onClose(func() error { return t.clear(context.Background()) })
	if err := t.clear(ctx); err != nil {
		return nil, err
	}
	n := min(d.rows, storeRows)
	for i := range n {
		r := newRow(i, 0)
		r.name = "" // as the library saves rows that it was given no name for
		t.rows = append(t.rows, r)
	}
	for i, place := range d.places {
		if place < n {
			t.keys = append(t.keys, d.keys[i])
		}
	}
	for chunk := range slices.Chunk(t.rows, 1_000) {
		if err := t.save(ctx, chunk); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *table) clear(ctx context.Context) error {
	_, err := t.repo.Clear(ctx, repository.All)
	return err
}

func (t *table) save(ctx context.Context, rows []row) error {
	entries, err := entriesOf(rows)
	if err != nil {
		return err
	}
	return t.repo.SaveEntries(ctx, entries)
}

// check holds the rows, which are there or not, to what was saved.
func (t *table) check(ctx context.Context, rows []row, present bool) error {
	found, err := t.repo.GetEntries(ctx, keysOf(rows))
	if err != nil {
		return err
	}
	for _, r := range rows {
		e, ok := found[r.key]
		switch {
		case ok != present:
			return fmt.Errorf("row %v is there: %t, want %t", r.key, ok, present)
		case !ok:
			continue
		}
		header, err := e.Header()
		if err != nil {
			return err
		}
		if e.Status != http.StatusOK || !bytes.Equal(e.Payload, r.payload) || e.ExpiresAt.IsZero() || header.Get("Content-Type") != "application/json" {
			return fmt.Errorf("row %v is %d %v %q until %v", r.key, e.Status, header, e.Payload, e.ExpiresAt)
		}
	}
	return nil
}

// entriesOf are the rows as the library saves them.
func entriesOf(rows []row) (map[Key]repository.Entry, error) {
	entries := make(map[Key]repository.Entry, len(rows))
	for _, r := range rows {
		e, err := repository.NewEntry(http.StatusOK, repository.Head{Header: http.Header{"Content-Type": {"application/json"}}}, r.payload)
		if err != nil {
			return nil, err
		}
		entries[r.key] = e
	}
	return entries, nil
}

// some are n keys of the table, others in each round.
func (t *table) some(n, round int) []Key {
	n = min(n, len(t.keys))
	from := round * n % (len(t.keys) - n + 1)
	return t.keys[from : from+n]
}

func (b *backend) reading(ctx context.Context, d *dataset, c *contest) (*table, rival, error) {
	t, err := b.fill(ctx, d, c, "bench_read")
	if err != nil {
		return nil, nil, err
	}
	hand, err := b.byHand(ctx, d, "bench_read")
	if err != nil {
		return nil, nil, err
	}
	c.onClose(hand.close)
	return t, hand, nil
}

func (b *backend) getLine(ctx context.Context, d *dataset, c *contest) error {
	t, hand, err := b.reading(ctx, d, c)
	if err != nil {
		return err
	}
	const gets = 1_000
	var answers [2][][]byte
	each := func(get func(Key) ([]byte, error), s side) func(int) error {
		return func(round int) error {
			answers[s] = answers[s][:0]
			for _, k := range t.some(gets, round) {
				b, err := get(k)
				if err != nil {
					return err
				}
				answers[s] = append(answers[s], b)
			}
			return nil
		}
	}
	c.ops = len(t.some(gets, 0))
	c.run[ours] = each(func(k Key) ([]byte, error) { return found(t.repo.GetRaw(ctx, k)) }, ours)
	c.run[theirs] = each(func(k Key) ([]byte, error) { return hand.get(ctx, k) }, theirs)
	c.verify = func(int) error { return compareAnswers(answers[ours], answers[theirs], sameBytes) }
	return nil
}

func (b *backend) getManyLine(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		t, hand, err := b.reading(ctx, d, c)
		if err != nil {
			return err
		}
		part := *d
		part.keys = t.keys
		compareBulk(&part, c, n, sameBytes,
			func(keys []Key) (map[Key][]byte, error) { return t.repo.GetManyRaw(ctx, keys) },
			func(keys []Key) ([][]byte, error) { return hand.getMany(ctx, keys) })
		return nil
	}
}

// writing has a table for each side; both are read by the library.
func (b *backend) writing(ctx context.Context, d *dataset, c *contest) (tables [2]*table, hand rival, err error) {
	for s, part := range []string{"bench_library", "bench_hand"} {
		if tables[s], err = b.fill(ctx, d, c, part); err != nil {
			return tables, nil, err
		}
	}
	if hand, err = b.byHand(ctx, d, "bench_hand"); err != nil {
		return tables, nil, err
	}
	c.onClose(hand.close)
	return tables, hand, nil
}

func (b *backend) saveManyLine(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		tables, hand, err := b.writing(ctx, d, c)
		if err != nil {
			return err
		}
		rows := newRows(d.rows, n)
		entries, err := entriesOf(rows)
		if err != nil {
			return err
		}
		c.ops = n
		c.restore = func(s side) error {
			_, err := tables[s].repo.DeleteMany(ctx, keysOf(rows))
			return err
		}
		c.run[ours] = func(int) error { return tables[ours].repo.SaveEntries(ctx, entries) }
		c.run[theirs] = func(int) error { return hand.saveMany(ctx, rows) }
		c.verify = func(int) error {
			return errors.Join(tables[ours].check(ctx, rows, true), tables[theirs].check(ctx, rows, true))
		}
		return nil
	}
}

func (b *backend) deleteManyLine(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		tables, hand, err := b.writing(ctx, d, c)
		if err != nil {
			return err
		}
		rows := tables[ours].rows[:min(n, len(tables[ours].rows))]
		keys := keysOf(rows)
		removed := func(n int, err error) error {
			if err == nil && n != len(keys) {
				err = fmt.Errorf("%d rows removed, want %d", n, len(keys))
			}
			return err
		}
		c.ops = len(keys)
		c.restore = func(s side) error { return tables[s].save(ctx, rows) }
		c.run[ours] = func(int) error { return removed(tables[ours].repo.DeleteMany(ctx, keys)) }
		c.run[theirs] = func(int) error { return removed(hand.deleteMany(ctx, keys)) }
		c.verify = func(int) error {
			return errors.Join(tables[ours].check(ctx, rows, false), tables[theirs].check(ctx, rows, false))
		}
		return nil
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/sqlite"
)

// files are two copies of the dataset, one for each side to write to.
type files struct {
	store *sqlite.Store
	repo  *repository.ResponseRepository[Key, []byte]
	hand  *writer
	paths [2]string
	admin [2]*writer // neither side's: restores and reads each file
	rows  int        // of the dataset
}

// copyFiles makes the copies, whose names begin alike, for as long as the contest lasts.
func copyFiles(d *dataset, c *contest, name string) (*files, error) {
	f := &files{rows: d.rows}
	for _, s := range []side{ours, theirs} {
		f.paths[s] = filepath.Join(d.folder, name+s.String()+".db")
		if err := copyFile(f.paths[s], d.path()); err != nil {
			return nil, err
		}
		c.onClose(func() error { return removeDatabase(f.paths[s]) })
		admin, err := openWriter(f.paths[s])
		if err != nil {
			return nil, err
		}
		c.onClose(admin.close)
		f.admin[s] = admin
	}
	return f, nil
}

// openFiles makes the copies and opens each side's.
func openFiles(ctx context.Context, d *dataset, c *contest) (*files, error) {
	f, err := copyFiles(d, c, "")
	if err != nil {
		return nil, err
	}
	if f.store, err = sqlite.Open(ctx, f.paths[ours], nil); err != nil {
		return nil, err
	}
	c.onClose(f.store.Close)
	if f.repo, err = newRepository(ctx, f.store, payload.Bytes()); err != nil {
		return nil, err
	}
	if f.hand, err = openWriter(f.paths[theirs]); err != nil {
		return nil, err
	}
	c.onClose(f.hand.close)
	return f, nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// restore does what puts a side's file back as it was, in one transaction, and
// moves the log into the file.
func (f *files) restore(s side, do func(w *writer) error) error {
	w := f.admin[s]
	err := w.transaction(func() error { return do(w) })
	return errors.Join(err, w.checkpoint())
}

// removeNew removes the rows that the dataset did not have.
func (f *files) removeNew(s side) error {
	return f.restore(s, func(w *writer) error {
		_, err := w.number(fmt.Sprintf("DELETE FROM tracks WHERE _rowid_ > %d", f.rows))
		return err
	})
}

// putBack restores rows that were removed, if they were.
func (f *files) putBack(s side, rows []row) error {
	return f.restore(s, func(w *writer) error {
		if w.check(&rows[0], true) != nil {
			return nil // before the first round
		}
		for i := range rows {
			if err := w.restore(&rows[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// check compares rows of both files with what they should be, and the number of
// all.
func (f *files) check(rows []row, absent bool, total int) error {
	for s, w := range f.admin {
		for i := range rows {
			if err := w.check(&rows[i], absent); err != nil {
				return fmt.Errorf("%v: %w", side(s), err)
			}
		}
		n, err := w.number("SELECT count(*) FROM tracks")
		if err != nil {
			return err
		}
		if int(n) != total {
			return fmt.Errorf("%v: there are %d rows, want %d", side(s), n, total)
		}
	}
	return nil
}

// newRows are the n rows that would follow on the first ones, as the library
// saves rows that it was given no name for.
func newRows(first, n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = newRow(first+i, 0)
		rows[i].name = ""
	}
	return rows
}

// saveNew saves rows that the table does not have.
func saveNew(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := openFiles(ctx, d, c)
		if err != nil {
			return err
		}
		rows := newRows(d.rows, n)
		c.restore = f.removeNew
		return f.compareSaves(ctx, c, [][]row{rows}, d.rows+n)
	}
}

// overwrite saves rows from all over the table, with other payloads than it has.
func overwrite(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := openFiles(ctx, d, c)
		if err != nil {
			return err
		}
		versions := make([][]row, 2)
		for _, place := range d.places[:min(n, len(d.places))] {
			for v := range versions {
				r := newRow(place, 1+v)
				r.name = ""
				versions[v] = append(versions[v], r)
			}
		}
		c.restore = func(s side) error { return f.admin[s].checkpoint() }
		return f.compareSaves(ctx, c, versions, d.rows)
	}
}

// compareSaves is a contest of saving versions of rows in bulk, in each round
// another.
func (f *files) compareSaves(ctx context.Context, c *contest, versions [][]row, total int) error {
	var entries []map[Key]repository.Entry
	for _, rows := range versions {
		m, err := entriesOf(rows)
		if err != nil {
			return err
		}
		entries = append(entries, m)
	}
	c.ops = len(versions[0])
	c.run[ours] = func(round int) error { return f.repo.SaveEntries(ctx, entries[round%len(versions)]) }
	c.run[theirs] = func(round int) error {
		return f.hand.transaction(func() error {
			rows := versions[round%len(versions)]
			for i := range rows {
				if err := f.hand.save(&rows[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	c.verify = func(round int) error { return f.check(versions[round%len(versions)], false, total) }
	return nil
}

// saveConcurrently makes single saves of new rows from many goroutines, each
// committed when its call returns.
func saveConcurrently(ctx context.Context, d *dataset, c *contest) error {
	const callers, each = 64, 32
	f, err := openFiles(ctx, d, c)
	if err != nil {
		return err
	}
	rows := newRows(d.rows, callers*each)
	for i := range rows {
		rows[i].headers = `{"Content-Type":["application/octet-stream"]}`
	}
	c.ops = len(rows)
	c.restore = f.removeNew
	c.run[ours] = func(int) error {
		return share(callers, len(rows), func(_, i int) error { return f.repo.Save(ctx, rows[i].key, rows[i].payload) })
	}
	c.run[theirs] = func(int) error {
		var mu sync.Mutex
		return share(callers, len(rows), func(_, i int) error {
			mu.Lock()
			defer mu.Unlock()
			return f.hand.save(&rows[i])
		})
	}
	c.verify = func(int) error { return f.check(rows, false, d.rows+len(rows)) }
	return nil
}

// deleteMany deletes rows from all over the table.
func deleteMany(n int) func(context.Context, *dataset, *contest) error {
	return func(ctx context.Context, d *dataset, c *contest) error {
		f, err := openFiles(ctx, d, c)
		if err != nil {
			return err
		}
		keys := d.some(n, 0)
		rows := d.rowsAt(d.places[:len(keys)])
		c.ops = len(keys)
		c.restore = func(s side) error { return f.putBack(s, rows) }
		c.run[ours] = func(int) error { return f.deleted(len(keys))(f.repo.DeleteMany(ctx, keys)) }
		c.run[theirs] = func(int) error {
			n := 0
			err := f.hand.transaction(func() error {
				for i := range keys {
					deleted, err := f.hand.delete(&keys[i])
					if err != nil {
						return err
					}
					n += deleted
				}
				return nil
			})
			return f.deleted(len(keys))(n, err)
		}
		c.verify = func(int) error { return f.check(rows, true, d.rows-len(rows)) }
		return nil
	}
}

// clearExpired removes the few rows that have expired.
func clearExpired(ctx context.Context, d *dataset, c *contest) error {
	f, err := openFiles(ctx, d, c)
	if err != nil {
		return err
	}
	rows := d.rowsAt(d.expired())
	c.ops = 1
	c.restore = func(s side) error { return f.putBack(s, rows) }
	c.run[ours] = func(int) error { return f.deleted(len(rows))(f.repo.Clear(ctx, repository.Expired)) }
	c.run[theirs] = func(int) error {
		f.hand.expired.bind(0, time.Now().UnixMicro())
		return f.deleted(len(rows))(f.hand.expired.exec())
	}
	c.verify = func(int) error { return f.check(rows, true, d.rows-len(rows)) }
	return nil
}

// deleted checks how many rows a side says that it removed.
func (f *files) deleted(want int) func(n int, err error) error {
	return func(n int, err error) error {
		if err == nil && n != want {
			err = fmt.Errorf("%d rows removed, want %d", n, want)
		}
		return err
	}
}

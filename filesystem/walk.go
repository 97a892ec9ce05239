package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// shards is how many folders the entries of a table are in.
const shards = 256

// eachShard does something with each folder of entries, with several at once.
func (t *table) eachShard(ctx context.Context, do func(b *buffers, shard byte) error) error {
	var taken atomic.Int64
	return parallel.Do(t.store.workers, func(int) error {
		b := takeBuffers()
		defer b.free()
		for {
			n := taken.Add(1) - 1
			if n >= shards {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := do(b, byte(n)); err != nil {
				return err
			}
		}
	})
}

// eachEntry visits the paths of the files in a folder that have names of entries.
func (f *folder) eachEntry(ctx context.Context, shard byte, visit func(path string) error) error {
	names, err := f.names(shard)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(shardName(shard) + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// visit is read for an entry whose key is not known. Its lines are in b.head.
func (t *table) visit(ctx context.Context, f *folder, b *buffers, path string, sel driver.Selection) (driver.Entry, bool, error) {
	e, ok, err := t.examine(f, b, path, sel)
	return t.outcome(ctx, path, e, ok, err)
}

// examine is visit whose error may be a damage.
func (t *table) examine(f *folder, b *buffers, path string, sel driver.Selection) (driver.Entry, bool, error) {
	e, ok, err := f.read(b, path, sel, len(t.id.columns))
	if err == nil && ok && !belongs(path, b.head.key) {
		err = errPlace
	}
	return e, ok, err
}

// Count reads the heads of all files, so that it counts entries and nothing else.
func (t *table) Count(ctx context.Context, filter driver.Filter) (int, error) {
	var count atomic.Int64
	err := t.store.run(ctx, "count", t.id.spec.Name, func() error {
		f := t.folder.Load()
		sel := driver.Selection{Filter: filter}
		return t.eachShard(ctx, func(b *buffers, shard byte) error {
			return f.eachEntry(ctx, shard, func(path string) error {
				_, ok, err := t.visit(ctx, f, b, path, sel)
				if ok {
					count.Add(1)
				}
				return err
			})
		})
	})
	if err != nil {
		return 0, err
	}
	return int(count.Load()), nil
}

// Clear removes what the filter selects, and wrecks of entries beside, which it does
// not count, unless it is to remove the live ones. It also removes the files that
// writers which died have left.
func (t *table) Clear(ctx context.Context, filter driver.Filter) (int, error) {
	var cleared atomic.Int64
	err := t.store.run(ctx, "clear", t.id.spec.Name, func() error {
		f := t.folder.Load()
		err := t.eachShard(ctx, func(b *buffers, shard byte) error {
			var found []string
			err := f.eachEntry(ctx, shard, func(path string) error {
				goes, entry, err := t.clears(ctx, f, b, path, filter)
				switch {
				case err != nil || !goes:
					return err
				case entry && filter.State == driver.All: // whoever has replaced it
					return clearOne(f, path, entry, &cleared)
				}
				found = append(found, path)
				return nil
			})
			for len(found) > 0 && err == nil {
				n := min(len(found), maxRenames)
				err = t.clearSome(ctx, f, b, shard, found[:n], filter, &cleared)
				found = found[n:]
			}
			return err
		})
		if err != nil {
			return err
		}
		return f.sweep()
	})
	if err != nil {
		return 0, err
	}
	return int(cleared.Load()), nil
}

// clearSome removes files of a folder, if they are still to be removed now that
// nobody else replaces them.
func (t *table) clearSome(ctx context.Context, f *folder, b *buffers, shard byte, paths []string, filter driver.Filter, cleared *atomic.Int64) error {
	unlock, err := t.lock(ctx, f, int(shard>>4))
	if err != nil {
		return err
	}
	defer unlock()
	for _, path := range paths {
		goes, entry, err := t.clears(ctx, f, b, path, filter)
		if err != nil {
			return err
		}
		if !goes {
			continue
		}
		if err := clearOne(f, path, entry, cleared); err != nil {
			return err
		}
	}
	return nil
}

func clearOne(f *folder, path string, entry bool, cleared *atomic.Int64) error {
	removed, err := remove(f.root, path)
	if removed && entry {
		cleared.Add(1)
	}
	return err
}

// clears reports whether a clear removes a file, and whether that is an entry.
func (t *table) clears(ctx context.Context, f *folder, b *buffers, path string, filter driver.Filter) (goes, entry bool, err error) {
	_, ok, err := t.examine(f, b, path, driver.Selection{Filter: filter})
	var d damage
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case errors.As(err, &d) && d.wreck() && filter.State != driver.Live:
		return true, false, nil
	case errors.As(err, &d):
		t.store.report(ctx, t.path(path), err)
		return false, false, nil
	}
	return ok, ok, err
}

package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
)

// Clear removes what the filter selects, and wrecks of entries beside, which it does
// not count, unless it is to remove the live ones or those with properties, which wrecks
// have not. Where the filter has leading values,
// these are the wrecks whose names begin so. It also removes the files that writers
// which died have left, and the folders that become empty.
func (t *table) Clear(ctx context.Context, filter driver.Filter) (int, error) {
	var cleared atomic.Int64
	err := t.store.run(ctx, "clear", t.id.spec.Name, func() error {
		f := t.hold()
		defer f.release()
		return t.clear(ctx, f, filter, &cleared)
	})
	if err != nil {
		return 0, err
	}
	return int(cleared.Load()), nil
}

func (t *table) clear(ctx context.Context, f *folder, filter driver.Filter, cleared *atomic.Int64) error {
	sel := t.selection(driver.Selection{Filter: filter})
	err := t.eachShard(ctx, func(b *buffers, shard byte) error {
		sub, ok, err := f.open(shard)
		if err != nil || !ok {
			return err
		}
		c := clearing{table: t, folder: f, buffers: b, shard: shard, sub: sub, sel: sel, cleared: cleared}
		err = errors.Join(c.all(ctx), sub.close())
		if err != nil || c.left > 0 {
			return err
		}
		return unlessReadOnly(t.removeEmpty(ctx, f, shard))
	})
	if err != nil {
		return err
	}
	names, err := f.namesAt(".")
	if err != nil {
		return err
	}
	if _, err := f.sweepBeside(".", names); unlessReadOnly(err) != nil {
		return err
	}
	return unlessReadOnly(f.sweepTemporary())
}

// clearing is the clearing of one folder of entries.
type clearing struct {
	table   *table
	folder  *folder
	buffers *buffers
	shard   byte
	sub     subfolder
	sel     selection
	cleared *atomic.Int64
	left    int // files in the folder, about
}

// removeEmpty removes a folder of entries that a clear has left empty: some file systems
// never make a folder smaller. It has the lock with which a save opens the folder, so
// that none is removed in between.
func (t *table) removeEmpty(ctx context.Context, f *folder, shard byte) error {
	unlock, err := t.lock(ctx, f, int(shard>>4))
	if err != nil {
		return err
	}
	defer unlock()
	return f.reader.removeEmpty(shardName(shard))
}

// all removes what is to be removed from the folder.
func (c *clearing) all(ctx context.Context) error {
	names, err := c.sub.names()
	if err != nil {
		return err
	}
	c.left = len(names)
	if _, err := c.folder.sweepBeside(shardName(c.shard), names); unlessReadOnly(err) != nil {
		return err
	}
	var entries, found []string
	for _, name := range entryNames(names) {
		if err := ctx.Err(); err != nil {
			return err
		}
		goes, entry, err := c.goes(ctx, name)
		switch {
		case err != nil:
			return err
		case goes && entry && c.sel.State == driver.All && c.sel.Where.IsZero(): // by whatever entry it is replaced
			entries = append(entries, name)
		case goes:
			found = append(found, name)
		}
	}
	if err := c.locked(ctx, entries, func(name string) error { return c.remove(name, true) }); err != nil {
		return err
	}
	return c.locked(ctx, found, func(name string) error { return c.removeStill(ctx, name) })
}

// locked removes files while nobody else replaces them.
func (c *clearing) locked(ctx context.Context, names []string, remove func(name string) error) error {
	for some := range slices.Chunk(names, maxRenames) {
		done, err := c.table.lockToRemove(ctx, c.folder, int(c.shard>>4))
		if err != nil {
			return err
		}
		before := c.left
		for i := 0; i < len(some) && err == nil; i++ {
			err = remove(some[i])
		}
		if err = errors.Join(err, done(c.left < before)); err != nil {
			return err
		}
	}
	return nil
}

// removeStill removes a file if it is still to be removed.
func (c *clearing) removeStill(ctx context.Context, name string) error {
	goes, entry, err := c.goes(ctx, name)
	if err != nil || !goes {
		return err
	}
	return c.remove(name, entry)
}

func (c *clearing) remove(name string, entry bool) error {
	removed, err := c.sub.remove(name)
	if removed {
		c.left--
	}
	if removed && entry {
		c.cleared.Add(1)
	}
	return err
}

// goes reports whether a file is to be removed, and whether that is an entry.
func (c *clearing) goes(ctx context.Context, name string) (goes, entry bool, err error) {
	path := shardName(c.shard) + "/" + name
	_, ok, err := c.table.examine(c.folder, c.buffers, path, c.sel)
	var d damage
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case errors.As(err, &d) && d.wreck() && c.sel.State != driver.Live && c.sel.Where.IsZero():
		return true, false, nil
	case errors.As(err, &d):
		c.table.store.report(ctx, c.table.path(path), err)
		return false, false, nil
	}
	return ok, ok, err
}

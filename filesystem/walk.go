package filesystem

import (
	"context"
	"strings"
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

// selection is a [driver.Selection] in the form of the files.
type selection struct {
	driver.Selection
	name     string    // what the names of the files begin with
	lines    []byte    // what the lines of the keys begin with
	identity *identity // of the table, for what Where says of keys
}

func (t *table) selection(sel driver.Selection) selection {
	s := selection{Selection: sel, identity: &t.id}
	if leading := sel.Leading; len(leading) > 0 {
		s.lines = t.id.append(nil, leading)
		s.name = string(t.id.appendReadableKey(nil, leading))
	}
	return s
}

// hasName reports whether the name of the file at path is one of a selected entry, as
// far as names tell: they are cut, and have an underscore for many characters.
func (s selection) hasName(path string) bool {
	return strings.HasPrefix(path[shardDigits+1:], s.name)
}

// visit is read for an entry whose key is not known. Its lines are in b.head.
func (t *table) visit(ctx context.Context, f *folder, b *buffers, path string, sel selection) (driver.Entry, bool, error) {
	e, ok, err := t.examine(f, b, path, sel)
	return t.outcome(ctx, path, e, ok, err)
}

// examine is visit whose error may be a damage. It opens no file whose name tells that it
// is not selected.
func (t *table) examine(f *folder, b *buffers, path string, sel selection) (driver.Entry, bool, error) {
	if !sel.hasName(path) {
		return driver.Entry{}, false, nil
	}
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
		f := t.hold()
		defer f.release()
		sel := t.selection(driver.Selection{Filter: filter})
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

package filesystem

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
)

var _ driver.Compactor = (*Store)(nil)

// Compact implements [driver.Compactor]. It removes what writers that died have left, folders of
// entries that are empty, and what is left of tables that were dropped. A deleted entry has left
// nothing else.
func (s *Store) Compact(ctx context.Context) (freed int64, err error) {
	err = s.run(ctx, "compact", "", func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		parent, err := s.parent()
		if err != nil {
			return err
		}
		defer func() { _ = parent.Close() }()
		sweepDropped(parent)
		names, err := namesIn(parent)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			spec, have, err := readTable(parent, name)
			if err != nil {
				return err
			}
			if have != "" || spec.Name == "" {
				continue // it is no table, or was dropped meanwhile
			}
			f, err := openFolderOf(parent, spec)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			t, err := s.keep(ctx, spec, f) // whose goroutines take turns
			if err != nil {
				return err
			}
			n, err := t.compact(ctx)
			freed += n
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return freed, nil
}

func (t *table) compact(ctx context.Context) (freed int64, err error) {
	f := t.hold()
	defer f.release()
	before, err := f.temporaryBytes()
	if err != nil {
		return 0, err
	}
	if err := f.sweepTemporary(); err != nil {
		return 0, err
	}
	names, err := f.namesAt(".")
	if err != nil {
		return 0, err
	}
	if _, err := f.sweepBeside(".", names); err != nil {
		return 0, err
	}
	after, err := f.temporaryBytes()
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	freed = max(0, before-after)
	err = t.eachShard(ctx, func(_ *buffers, shard byte) error {
		n, err := t.compactShard(ctx, f, shard)
		mu.Lock()
		defer mu.Unlock()
		freed += n
		return err
	})
	return freed, err
}

// compactShard removes what earlier versions have left in a folder of entries, and the folder if it is
// empty then.
func (t *table) compactShard(ctx context.Context, f *folder, shard byte) (freed int64, err error) {
	name := shardName(shard)
	names, err := f.namesAt(name)
	if err != nil {
		return 0, err
	}
	left := len(names)
	if left > 0 {
		if _, err := f.sweepBeside(name, names); err != nil {
			return 0, err
		}
		if names, err = f.namesAt(name); err != nil {
			return 0, err
		}
	}
	if len(names) > 0 {
		return 0, nil
	}
	info, err := f.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), t.removeEmpty(ctx, f, shard)
}

// temporaryBytes are those of the temporary files.
func (f *folder) temporaryBytes() (bytes int64, err error) {
	names, err := f.namesAt(temporaryFolder)
	for _, name := range names {
		if _, ok := writerOf(name); !ok {
			continue
		}
		info, err := f.root.Lstat(temporaryFolder + "/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return bytes, err
		}
		bytes += info.Size()
	}
	return bytes, err
}

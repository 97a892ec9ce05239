package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// maxRenames is how many entries are replaced under one lock, so that nobody waits
// for long.
const maxRenames = 64

func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.store.run(ctx, "save to", t.id.spec.Name, func() error {
		f := t.folder.Load()
		err := t.put(ctx, f, entries)
		if errors.Is(err, fs.ErrNotExist) { // somebody has removed the folder
			if err := t.reopen(ctx, f); err != nil {
				return err
			}
			return t.put(ctx, t.folder.Load(), entries)
		}
		return err
	})
}

// saving is an entry with its place.
type saving struct {
	place
	entry *driver.Entry
}

// put writes groups of entries that share a lock.
func (t *table) put(ctx context.Context, f *folder, entries []driver.Entry) error {
	all := make([]saving, len(entries))
	var lines []byte
	for i := range entries {
		e := &entries[i]
		lines = t.id.append(lines[:0], e.Key)
		all[i] = saving{t.id.place(lines, e.Key), e}
	}
	// Of two entries with one key, the later stays the later.
	slices.SortStableFunc(all, func(a, b saving) int { return cmp.Compare(a.shard(), b.shard()) })
	var groups [][]saving
	for len(all) > 0 {
		n := 1
		for n < min(len(all), maxRenames) && all[n].stripe() == all[0].stripe() {
			n++
		}
		// One key in two groups would be written by two goroutines.
		for n < len(all) && all[n].shard() == all[n-1].shard() && n >= maxRenames {
			n++
		}
		groups, all = append(groups, all[:n]), all[n:]
	}
	var taken atomic.Int64
	return parallel.Do(min(t.store.workers, max(1, len(groups))), func(int) error {
		for {
			i := int(taken.Add(1)) - 1
			if i >= len(groups) {
				return nil
			}
			if err := t.putGroup(ctx, f, groups[i]); err != nil {
				return err
			}
		}
	})
}

// putGroup writes temporary files, then has the lock while they take their places.
func (t *table) putGroup(ctx context.Context, f *folder, group []saving) (err error) {
	temporary := make([]string, 0, len(group))
	replaced := 0
	defer func() {
		for _, name := range temporary[replaced:] {
			_, removeErr := remove(f.root, name)
			err = errors.Join(err, removeErr)
		}
	}()
	var data, lines []byte
	for _, s := range group {
		if err := ctx.Err(); err != nil {
			return err
		}
		lines = t.id.append(lines[:0], s.entry.Key)
		if data = appendHead(data[:0], s.entry, lines); data == nil {
			return fmt.Errorf("%w: its key, name and headers take more than %d bytes", driver.ErrTooLarge, maxHead)
		}
		rest := s.entry.Payload
		if len(rest) <= maxJoined {
			data, rest = append(data, rest...), nil
		}
		name, err := f.write(t.store.opts.Sync, data, rest)
		if err != nil {
			return err
		}
		temporary = append(temporary, name)
	}
	unlock, err := t.lock(ctx, f, group[0].stripe())
	if err != nil {
		return err
	}
	for i := 0; i < len(group) && err == nil; i++ {
		if err = f.replace(temporary[i], &group[i].place); err == nil {
			replaced++
		}
	}
	unlock()
	if err == nil && t.store.opts.Sync {
		err = syncShards(f, group)
	}
	return err
}

// syncShards waits until the names in the folders of a group are on the disk.
func syncShards(f *folder, group []saving) error {
	for i := range group {
		if i > 0 && group[i].shard() == group[i-1].shard() {
			continue
		}
		if err := syncFolder(f.root, shardName(group[i].shard())); err != nil {
			return err
		}
	}
	return syncFolder(f.root, ".") // the folders may be new
}

// maxJoined is the payload up to which it is copied behind its head, to be written
// with it.
const maxJoined = 64 << 10

// write writes a temporary file of two parts and returns its name.
func (f *folder) write(sync bool, data, rest []byte) (name string, err error) {
	name = temporaryName()
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil && len(rest) > 0 {
		_, err = file.Write(rest)
	}
	if err == nil && sync {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		return name, nil
	}
	if tooLarge(err) {
		err = fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	return "", errors.Join(err, f.root.Remove(name))
}

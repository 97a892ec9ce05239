package filesystem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// saving is an entry with its place, and the name of its temporary file while there
// is one.
type saving struct {
	place
	entry     *driver.Entry
	temporary string
}

// put writes groups of entries that share a lock.
func (t *table) put(ctx context.Context, f *folder, entries []driver.Entry) error {
	all := make([]saving, len(entries))
	var lines []byte
	for i := range entries {
		e := &entries[i]
		lines = t.id.append(lines[:0], e.Key)
		all[i] = saving{place: t.id.place(lines, e.Key), entry: e}
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

// putGroup writes temporary files, each beside the place of its entry, then has the
// lock while they take these places.
func (t *table) putGroup(ctx context.Context, f *folder, group []saving) (err error) {
	defer func() { err = errors.Join(err, f.removeTemporary(group)) }()
	shards := groupBy(group, func(a, b saving) bool { return a.shard() == b.shard() })
	for _, shard := range shards {
		if err := t.writeShard(ctx, f, shard); err != nil {
			return err
		}
	}
	unlock, err := t.lock(ctx, f, group[0].stripe())
	if err != nil {
		return err
	}
	for i := 0; i < len(shards) && err == nil; i++ {
		err = f.replaceShard(shards[i])
	}
	unlock()
	if err == nil && t.store.opts.Sync {
		err = syncShards(f, shards)
	}
	return err
}

// writeShard writes the temporary files of entries in one folder.
func (t *table) writeShard(ctx context.Context, f *folder, shard []saving) (err error) {
	sub, err := f.makeShard(shard[0].shard())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.close()) }()
	var data, lines []byte
	for i := range shard {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &shard[i]
		lines = t.id.append(lines[:0], s.entry.Key)
		if data = appendHead(data[:0], s.entry, lines); data == nil {
			return fmt.Errorf("%w: its key, name and headers take more than %d bytes", driver.ErrTooLarge, maxHead)
		}
		rest := s.entry.Payload
		if len(rest) <= maxJoined {
			data, rest = append(data, rest...), nil
		}
		if s.temporary, err = write(sub, t.store.opts.Sync, data, rest); err != nil {
			return err
		}
	}
	return nil
}

// replaceShard moves the temporary files to the places of their entries.
func (f *folder) replaceShard(shard []saving) (err error) {
	sub, err := f.reader.subfolder(shardName(shard[0].shard()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.close()) }()
	for i := range shard {
		s := &shard[i]
		if err := sub.rename(s.temporary, s.name()); err != nil {
			return err
		}
		s.temporary = ""
	}
	return nil
}

// removeTemporary removes the files that have not taken their places.
func (f *folder) removeTemporary(group []saving) error {
	var errs []error
	for _, s := range group {
		if s.temporary == "" {
			continue
		}
		err := f.root.Remove(shardName(s.shard()) + "/" + s.temporary)
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// syncShards waits until the names in these folders are on the disk.
func syncShards(f *folder, shards [][]saving) error {
	for _, shard := range shards {
		if err := syncFolder(f.root, shardName(shard[0].shard())); err != nil {
			return err
		}
	}
	return syncFolder(f.root, ".") // the folders may be new
}

// maxJoined is the payload up to which it is copied behind its head, to be written
// with it.
const maxJoined = 64 << 10

// write writes a temporary file of two parts into a folder and returns its name.
func write(sub subfolder, sync bool, data, rest []byte) (name string, err error) {
	name = temporaryName()
	file, err := sub.create(name)
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
	_, removeErr := sub.remove(name)
	return "", errors.Join(err, removeErr)
}

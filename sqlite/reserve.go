package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/endpointcache/endpointcache/internal/mount"
)

// On a full disk even a clear needs some pages of the log, and a checkpoint may need as much
// as the log has. So upkeep has a reserve, a file beside the database, where the disk is
// nearly full: a clear that finds no room removes it.
const (
	reserveSize = 512 << 10
	nearlyFull  = 64 << 20 // bytes that are free
)

func (f *file) reserve() string { return f.path + "-reserve" }

// keepReserve makes the reserve if the disk is nearly full, and removes it if not.
func (f *file) keepReserve() {
	free, err := mount.Free(filepath.Dir(f.path))
	if err != nil {
		return // unknown here
	}
	there := sizeOf(f.reserve()) >= reserveSize
	switch {
	case free >= nearlyFull && there:
		_ = f.spendReserve()
	case free < nearlyFull && !there:
		// Zeros might take no room.
		if os.WriteFile(f.reserve(), bytes.Repeat([]byte("reserve\n"), reserveSize/8), 0o600) != nil {
			_ = f.spendReserve() // half of it helps nobody
		}
	}
}

func (f *file) spendReserve() error {
	if err := os.Remove(f.reserve()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// relieve makes room on a full disk: for what is saved in the place of what was deleted. Whoever
// needs it sees whether there is some.
func (u *upkeep) relieve(ctx context.Context) {
	_ = u.cut(ctx)
	_ = u.shrink(ctx, false)
	if err := u.cut(ctx); resultCode(err) != codeFull {
		return
	}
	// The file has to grow before the log can be emptied.
	sp, err := u.file.space(ctx)
	if err != nil || sp.pages*sp.pageSize-sizeOf(u.file.path) > reserveSize || u.file.spendReserve() != nil {
		return
	}
	_ = u.cut(ctx)
	u.file.keepReserve()
}

// clearAnyway is what a clear does that has failed, if there is something. again does
// it once more.
func (t *table) clearAnyway(ctx context.Context, all bool, cause error, again func() (int, error)) (cleared int, err error) {
	switch u := t.store.upkeep; {
	case isDamage(cause) && all:
		return t.clearDamaged(ctx)
	case resultCode(cause) == codeFull && u != nil:
		u.relieve(ctx)
		if err := u.file.spendReserve(); err != nil {
			return 0, errors.Join(cause, err)
		}
		if cleared, err = again(); err == nil {
			u.relieve(ctx) // so that what comes next finds what was cleared
			u.file.keepReserve()
		}
		return cleared, err
	}
	return 0, cause
}

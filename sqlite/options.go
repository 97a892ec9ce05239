package sqlite

import (
	"fmt"
	"log/slog"
	"runtime"
)

// Options are the settings of a store. A nil *Options means the defaults. All but Logger
// are about stores that open their own file: [New] leaves the caller's settings as they are,
// and [OpenMemory] has no file.
type Options struct {
	// Readers is how many connections read at the same time. The default
	// is twice the number of processors, at least 4.
	Readers int

	// Sync is how a commit reaches the disk; the default is [SyncNormal].
	Sync Sync

	// ReadOnly opens a file that is there to be read, and changes nothing in it or beside it.
	// Writes return [driver.ErrReadOnly]. Where the file is absent, or has no table of a cache,
	// the error is [driver.ErrAbsent]. A file that this process may not write is opened so
	// without the option.
	//
	// Where nobody else has the file open, SQLite takes it for one that does not change, so
	// that it needs no files beside it; if somebody writes to it nevertheless, it is opened
	// anew. If there are a -wal and a -shm, they are used as by all who have the file open: the
	// -shm notes who reads what. A -wal without -shm, as in a copy of a file that was in use, is
	// an error: to read what is in it, SQLite would have to make one.
	ReadOnly bool

	// Damaged is what becomes of a file that is damaged or no database; the
	// default is [DamagedFail].
	Damaged Damaged

	// Network is what is done where the file is on a network file system; the
	// default is [NetworkJournal].
	Network Network

	// SecureDelete overwrites with zeros what was deleted, as far as the file
	// itself goes, see https://sqlite.org/pragma.html#pragma_secure_delete. Without
	// it, what was deleted can be read in the file until other entries take its
	// place. Deletes and overwrites write more with it.
	SecureDelete bool

	// Logger is told of files that were set aside, replaced or given other
	// permissions, and of network file systems. The default is [slog.Default].
	Logger *slog.Logger
}

// Sync is SQLite's synchronous setting, see
// https://sqlite.org/pragma.html#pragma_synchronous.
type Sync uint8

const (
	// SyncNormal keeps what was committed if the process dies. If the
	// machine loses power, the last commits may be undone, as a whole.
	SyncNormal Sync = iota

	// SyncFull keeps what was committed if the machine loses power, too, at
	// the price of a disk flush for each commit.
	SyncFull
)

// Damaged is what becomes of a file that SQLite finds damaged, or no database at all, when
// it is opened or while it is open.
type Damaged uint8

const (
	// DamagedFail leaves the file as it is. Operations that meet the damage
	// fail.
	DamagedFail Damaged = iota

	// DamagedSetAside renames the file, and what SQLite keeps beside it, to a name with
	// the time in UTC, such as music.db.damaged-20261129T153000Z, and begins anew with
	// an empty file. Nothing is deleted; who no longer needs such files removes them.
	// A get that met the damage finds nothing; other operations are done in the new file.
	DamagedSetAside
)

// Network is what is done where the file is on a file system that other machines may change
// at the same time, such as NFS, SMB or one of FUSE. WAL mode needs memory that all users of
// a file share, which there is not between machines: the file would be damaged, see
// https://sqlite.org/wal.html.
type Network uint8

const (
	// NetworkJournal uses a rollback journal there, and no shared memory. Readers and
	// writers then wait for each other. The locks are those of the file
	// system, which has to have them.
	NetworkJournal Network = iota

	// NetworkRefuse opens no file there; the error is [ErrNetwork].
	NetworkRefuse

	// NetworkIgnore opens the file as on a disk of this machine. It is for file systems
	// that only seem to be on a network, such as many of FUSE.
	NetworkIgnore
)

func (o *Options) validate() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Readers < 0 {
		return opts, fmt.Errorf("Readers is %d: it cannot be negative", opts.Readers)
	}
	if opts.Readers == 0 {
		opts.Readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if opts.Sync > SyncFull {
		return opts, fmt.Errorf("Sync is %d: it is SyncNormal or SyncFull", opts.Sync)
	}
	if opts.Damaged > DamagedSetAside {
		return opts, fmt.Errorf("Damaged is %d: it is DamagedFail or DamagedSetAside", opts.Damaged)
	}
	if opts.Network > NetworkIgnore {
		return opts, fmt.Errorf("Network is %d: it is NetworkJournal, NetworkRefuse or NetworkIgnore", opts.Network)
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return opts, nil
}

package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// file is the file of a store. It may be damaged, removed or replaced while it is open; then
// the store goes on with the one that is at its path, and begins one where there is none.
type file struct {
	path string // without symbolic links
	opts Options
	mode mode

	readers, writer *pool

	looked     atomic.Int64 // when somebody last looked which file is at path, since began
	began      time.Time
	generation atomic.Uint64            // counts the files that were at path
	current    atomic.Pointer[identity] // the one that the store works on
	unfinished atomic.Bool              // its tables have not been created yet

	relieve func(context.Context) // makes room on a full disk; nil where nothing can

	renewing chan struct{} // holds an element while somebody replaces the file
	tables   tables
}

// errMoved means that a file is no longer the one at its path: it was removed, renamed or
// replaced. What was committed in it, nobody will find.
var errMoved = errors.New("the file was removed or replaced while it was open")

// errEmptied means that a file has lost all that it had, while another user has it open.
var errEmptied = errors.New("the file was emptied while another program had it open, which still has: close that, or remove the file")

// emptiedWait is how long the users of a file that was emptied have to close it.
const emptiedWait = time.Second

// errLogLost means that a file's log has lost all that it had, while another user has it open.
var errLogLost = errors.New("the write-ahead log was removed or emptied while another program had the file open, which still has: close that, or remove the file")

// lostWait is how long the users of a file whose log was removed have to notice it.
const lostWait = 2 * lookEvery

// errChanged means that somebody has written to a file that seemed to be one which nobody can.
var errChanged = errors.New("the file was changed while it was read as one that nobody changes")

// errUnfinished means that a file was begun, but does not have its tables yet.
var errUnfinished = errors.New("the file was begun anew, and its tables are not created")

// lookEvery is how often reads look whether the file is still the one at its path.
const lookEvery = time.Second

// maxRenewals is how often one operation begins anew.
const maxRenewals = 3

func newFile(ctx context.Context, path string, o Options) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	mode, err := chooseMode(ctx, path, o)
	if err != nil {
		return nil, err
	}
	if !mode.readOnly() {
		if err := makePrivate(ctx, path, o); err != nil {
			return nil, err
		}
		if err := makeWritable(path); err != nil {
			return nil, err
		}
	}
	if !isAt(path, info) { // what was chosen may be for none
		return nil, errMoved
	}
	f := &file{path: path, opts: o, mode: mode, began: time.Now(), renewing: make(chan struct{}, 1)}
	f.current.Store(&identity{file: info})
	if f.readers, err = newPool(o.Readers, f.connectReader); err != nil {
		return nil, err
	}
	if mode.readOnly() {
		f.writer = f.readers
		return f, nil
	}
	f.writer, err = newPool(1, f.connectWriter)
	return f, err
}

func (f *file) connectReader(ctx context.Context) (*conn, error) {
	c, err := f.connect(ctx, "PRAGMA query_only=ON")
	if err != nil || f.mode != readingJournal {
		return c, err
	}
	inLog, err := c.hasLog(ctx)
	if err == nil && inLog {
		err = fmt.Errorf("%w, where a file in WAL format cannot be read: open it once to write", ErrNetwork)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// hasLog reports whether the file is in WAL format.
func (c *conn) hasLog(ctx context.Context) (bool, error) {
	s, err := c.prepare(ctx, stmtKey{text: "PRAGMA journal_mode"})
	if err != nil {
		return false, err
	}
	name := ""
	err = c.query(ctx, s, 1, func(row []sqldriver.Value) bool {
		name, _ = row[0].(string)
		return false
	})
	return name == "wal", err
}

func (f *file) connectWriter(ctx context.Context) (*conn, error) {
	var pragmas []string
	if sizeOf(f.path) == 0 {
		// Only before a file has anything: later it would take a VACUUM.
		pragmas = append(pragmas, "PRAGMA auto_vacuum=INCREMENTAL")
	}
	sync := f.opts.Sync
	if f.mode == inJournal {
		sync = SyncFull // at NORMAL, a loss of power may damage a file without a log
		// A connection with exclusive locks leaves WAL mode without shared memory.
		pragmas = append(pragmas, "PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=DELETE",
			"PRAGMA locking_mode=NORMAL", "PRAGMA schema_version")
	} else {
		pragmas = append(pragmas, "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0") // see upkeep
	}
	pragmas = append(pragmas, fmt.Sprintf("PRAGMA synchronous=%d", sync+1))
	if f.opts.SecureDelete {
		pragmas = append(pragmas, "PRAGMA secure_delete=ON")
	}
	if sizeOf(f.path) > 0 || sizeOf(f.path+"-shm") == 0 {
		return f.connect(ctx, pragmas...)
	}
	// Who had the file open in WAL mode, and perhaps still has, keeps it from being begun.
	bounded, cancel := context.WithTimeoutCause(ctx, emptiedWait, errEmptied)
	defer cancel()
	c, err := f.connect(bounded, pragmas...)
	if err != nil && errors.Is(context.Cause(bounded), errEmptied) {
		err = errEmptied
	}
	return c, err
}

// connect opens a connection. Where the log was removed, it waits for those who have it open:
// when they next do something, they write it into the file.
func (f *file) connect(ctx context.Context, pragmas ...string) (*conn, error) {
	for began := time.Now(); ; {
		c, err := f.connectOnce(ctx, pragmas)
		if !isLogLost(err) || time.Since(began) > lostWait || waitBusy(ctx) != nil {
			return c, describe(err)
		}
	}
}

// connectOnce opens a connection to the file at the path, which must be the one that the store
// works on, also when the connection has read from it: what it found beside the
// file might be of another one otherwise.
func (f *file) connectOnce(ctx context.Context, pragmas []string) (*conn, error) {
	current := f.current.Load()
	if !current.isAt(f.path) {
		return nil, errMoved
	}
	parameters, err := f.parameters(current)
	if err != nil {
		return nil, err
	}
	c, err := connect(ctx, fileDSN(f.path, parameters), slices.Concat(
		[]string{fmt.Sprintf("PRAGMA busy_timeout=%d", busyTimeout.Milliseconds())},
		pragmas,
		[]string{"PRAGMA cache_size=-16384"}, // KiB; this reads from the file
	))
	if err == nil && f.mode == inWAL {
		err = c.checkLog(ctx, f.path)
	}
	if !current.isAt(f.path) {
		err = errors.Join(errMoved, err)
	}
	if err != nil {
		if c != nil {
			_ = c.Close() // it has written nothing
		}
		return nil, err
	}
	current.opened(f.path)
	c.file = current
	return c, nil
}

// parameters are those of a connection.
func (f *file) parameters(current *identity) (string, error) {
	switch f.mode {
	case reading:
		alone, err := unchanging(f.path, f.opts)
		if err != nil {
			return "", err
		}
		if !alone {
			return "mode=ro", nil
		}
		if !current.freeze(f.path) {
			return "", errChanged
		}
		return "mode=ro&immutable=1", nil
	case readingJournal:
		return "mode=ro", nil
	default:
		return "mode=rw", nil
	}
}

// guard does an operation, and again in the file that takes the place of one that was found
// damaged, removed or replaced. What may have told its caller of some entries is not done
// again: it has missed the others.
func (f *file) guard(ctx context.Context, again bool, do func() error) error {
	relieved := false
	for renewals := 0; ; renewals++ {
		seen := f.generation.Load()
		err := f.look()
		done := err == nil
		if done {
			err = do()
		}
		if done && err == nil && again && f.current.Load().hasChanged(f.path) {
			err = errChanged // while it was read without locks
		}
		if err != nil && resultCode(err) == codeFull && f.relieve != nil && !relieved {
			relieved = true
			f.relieve(ctx)
			err = do()
		}
		if err == nil || renewals == maxRenewals || !f.isLost(err) && !f.isRenewed(seen, err) {
			return err
		}
		if err := f.renew(ctx, seen, err); err != nil {
			return err
		}
		if done && !again {
			return nil
		}
	}
}

// look makes sure now and then that the file is the one at its path, and each time that one which
// SQLite takes for unchanging is so.
func (f *file) look() error {
	current := f.current.Load()
	switch {
	case f.unfinished.Load():
		return errUnfinished
	case current.hasChanged(f.path):
		return errChanged
	}
	last, now := f.looked.Load(), int64(time.Since(f.began))
	if now-last < int64(lookEvery) || !f.looked.CompareAndSwap(last, now) {
		return nil
	}
	if !current.isAt(f.path) {
		return errMoved
	}
	return nil
}

// isLost reports whether an operation failed because of the file, which can be replaced.
func (f *file) isLost(err error) bool {
	switch {
	case errors.Is(err, errMoved) || errors.Is(err, errChanged) || errors.Is(err, errUnfinished):
		return true
	case isUnusable(err) && f.opts.Damaged == DamagedSetAside && !f.mode.readOnly():
		return true
	case resultCode(err) == 0: // not SQLite's
		return false
	}
	current := f.current.Load()
	return !current.isAt(f.path) || current.hasChanged(f.path)
}

// isRenewed reports whether SQLite's error is of an operation during which the file was replaced
// by somebody else: it may have met the new one before that had its tables.
func (f *file) isRenewed(seen uint64, err error) bool {
	return f.generation.Load() != seen && resultCode(err) != 0
}

// renew goes on with the file that is at the path, after it has set aside one that is damaged
// or created one that is absent; not if somebody has done so since the caller
// saw the generation.
func (f *file) renew(ctx context.Context, seen uint64, cause error) error {
	select {
	case f.renewing <- struct{}{}:
		defer func() { <-f.renewing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	done := f.generation.Load() != seen || errors.Is(cause, errUnfinished)
	if done && !f.unfinished.Load() {
		return nil
	}
	for renewals := 0; ; renewals++ {
		if err := f.replace(ctx, cause); err != nil {
			return fmt.Errorf("%w (met while a file was to be begun anew: %w)", err, cause)
		}
		if f.mode.readOnly() {
			return nil
		}
		err := f.tables.create(ctx, f.writer)
		if err == nil {
			f.unfinished.Store(false)
			return nil
		}
		if renewals == maxRenewals || !f.isLost(err) {
			return fmt.Errorf("creating the tables anew: %w", err)
		}
		cause = err // what has taken the file's place is damaged, or has moved, too
	}
}

// replace makes the connections those of the file at the path. Other processes do the same
// when they see that it is another one.
func (f *file) replace(ctx context.Context, cause error) error {
	current := f.current.Load()
	if !f.mode.readOnly() {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
			return err
		}
		unlock, err := lockPath(ctx, f.path)
		if err != nil {
			return err
		}
		defer unlock()
		if isUnusable(cause) && current.isAt(f.path) {
			if err := f.setAside(ctx, cause); err != nil {
				return err
			}
		}
		if err := f.leaveLog(ctx, current); err != nil {
			return err
		}
		if err := createAbsent(f.path); err != nil {
			return err
		}
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	if !isUnusable(cause) && !os.SameFile(info, current.file) {
		f.opts.Logger.WarnContext(ctx, "endpointcache: a SQLite file was removed or replaced while it was open", "path", f.path)
	}
	// Who meets the new file has to know that it is one, and that it has no tables yet.
	f.unfinished.Store(!f.mode.readOnly())
	f.generation.Add(1)
	// Connections that are in use are closed when they are given back. SQLite
	// knows that their file has moved, and removes nothing at its path.
	f.readers.reset()
	f.writer.reset()
	f.current.Store(&identity{file: info})
	return nil
}

// leaveLog keeps the connections' log from being taken for another file's, and what is in it from
// being lost where only the log was removed.
func (f *file) leaveLog(ctx context.Context, current *identity) error {
	there, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // createAbsent does it
	}
	if err != nil {
		return err
	}
	if !os.SameFile(there, current.file) {
		return current.removeBeside(f.path)
	}
	beside := current.beside.Load()
	if beside == nil || isAt(f.path+"-wal", beside.log) {
		return nil
	}
	err = f.writer.with(ctx, func(c *conn) error {
		if c.file != current {
			return nil
		}
		return f.keepLog(ctx, c)
	})
	if errors.Is(err, errMoved) {
		return nil // no connection has the log open
	}
	return err
}

// keepLog writes the log that a connection has open into the file, unless somebody has begun
// another one meanwhile. It waits for others that do the same.
func (f *file) keepLog(ctx context.Context, c *conn) error {
	for began := time.Now(); f.logSize() == 0; {
		err := c.truncate(ctx)
		if !errors.Is(err, errAnotherDoes) || time.Since(began) > writersWait {
			return err
		}
		if err := waitBusy(ctx); err != nil {
			return err
		}
	}
	return nil
}

// committed is called with the connection after each commit: what is committed in a file that
// is no longer at its path is lost.
func (f *file) committed(c *conn) error {
	if !c.file.isAt(f.path) {
		return errMoved
	}
	return nil
}

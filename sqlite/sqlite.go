// Package sqlite keeps responses in a SQLite database: one file, no server, any
// number of processes.
//
// A file is opened in WAL mode with one connection that writes and several that read, so
// that readers never wait for a writer. Saves that are made at the same time share a
// transaction, and each has been committed when its call returns. If another process holds
// a lock, calls wait for it as long as their context allows.
//
// A file is kept in order while it is open, by a goroutine that commits start, that ends
// when there is nothing to do, and that Close waits for: it keeps the write-ahead log short, and
// gives the space of what was deleted back to the disk. A file that is removed or replaced
// while it is open is begun anew, before a save is acknowledged that nobody would find; so is
// a damaged one, where [Options.Damaged] says so. Beside the file there are at times those
// of SQLite (-wal, -shm, -journal), -lock for a moment when a file is begun, and -reserve
// where the disk is nearly full.
//
// With cgo, which is Go's default where there is a C compiler, the driver is
// github.com/mattn/go-sqlite3. A program that is built without cgo imports a driver written
// in Go, modernc.org/sqlite, with one more line; the database file is the same:
//
//	import _ "github.com/endpointcache/endpointcache/sqlite/purego"
//
// # Layout
//
// Each repository is a table with its name. Its primary key is made of the key's columns,
// integers and bools as BIGINT and BOOLEAN, strings as TEXT. Beside them stand status,
// name, headers (a JSON object), payload (a BLOB), and the times as microseconds since 1970
// in cached_us and expires_us, of which cached_at and expires_at are the readable form:
//
//	sqlite3 music.db 'SELECT id, name, expires_at FROM tracks'
//
// The other columns begin with an underscore, which no column of a key does: _encoding says
// how the body stands in payload (NULL: exactly as it came), _payload_sum and _meta_sum are
// checksums (0: none), and _used_us is when the entry was used last. It is NULL, for
// cached_us, in an entry that a version without that column has saved. Tables of such
// versions get the new columns when they are opened; those versions then refuse them.
//
//	sqlite3 music.db "SELECT name, length(payload), datetime(_used_us / 1e6, 'unixepoch') FROM tracks ORDER BY _used_us"
//
// The first listing in an order other than that of the keys makes an index, such as
// "tracks by used", which then is kept.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// ErrNoDriver is returned where the program is built without cgo and does not import
// package sqlite/purego.
var ErrNoDriver = errors.New(`no driver: build with CGO_ENABLED=1 and a C compiler, or import _ "github.com/endpointcache/endpointcache/sqlite/purego"`)

// Store is a SQLite database. It implements [driver.Store].
type Store struct {
	path    string
	readers *pool
	writer  *pool // the same as readers where one connection, or database, is all there is
	commits *committer
	shares  int     // how many readers may share the work of one call
	file    *file   // nil where the store has none of its own
	upkeep  *upkeep // nil where there is nothing to keep up
	watch   *watch
	release func() error // removes what the store leaves; nil for nothing

	gate gate.Gate
}

var _ driver.Store = (*Store)(nil)

// Open opens the database at path, which it creates with mode 0600 where it is
// absent, with the folders on the way. A leading ~ is the user's home folder.
// The extension is left as given. What SQLite takes otherwise, ":memory:" and
// "file:" URIs, is refused.
//
// A file that this process may not write is opened to read: writes return [driver.ErrReadOnly].
// A file of this user that everybody may read or write becomes the user's alone.
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	return openOwn(ctx, opts, func(o Options) (*Store, error) {
		path, err := absolute(path)
		if err != nil {
			return nil, err
		}
		resolve := makeFile
		if o.ReadOnly {
			resolve = findFile
		}
		for attempt := 1; ; attempt++ {
			var s *Store
			resolved, err := resolve(ctx, path)
			if err == nil {
				s, err = openFile(ctx, path, resolved, o, nil)
			}
			// Another process may have set the file aside meanwhile.
			moved := errors.Is(err, errMoved) || errors.Is(err, fs.ErrNotExist) && !o.ReadOnly
			if err == nil || !moved || attempt == maxRenewals {
				return s, err
			}
		}
	})
}

// OpenTemp opens a new database of a unique name in the folder for temporary
// files. Close removes it; until then, [Store.Path] tells where it is.
func OpenTemp(ctx context.Context, opts *Options) (*Store, error) {
	return openOwn(ctx, opts, func(o Options) (*Store, error) {
		path, err := createTemp()
		if err != nil {
			return nil, err
		}
		return openFile(ctx, path, path, o, func() error { return removeDatabase(path) })
	})
}

// OpenMemory opens a new database in memory that is shared with nobody and gone
// after Close.
func OpenMemory(ctx context.Context, opts *Options) (*Store, error) {
	return openOwn(ctx, opts, func(o Options) (*Store, error) {
		// Another connection would be another database.
		one, err := newPool(1, func(ctx context.Context) (*conn, error) { return connect(ctx, ":memory:", nil) })
		if err != nil {
			return nil, err
		}
		return newStore(one, one, 1), nil
	})
}

// New returns a store on the caller's own database, which Close leaves open. Its
// journal mode, pool and other settings stay as they are; the driver is
// github.com/mattn/go-sqlite3 or modernc.org/sqlite. WAL mode, a busy timeout
// and more than one connection make it fast. What the package does by itself for
// a file of its own, it leaves to the caller.
func New(ctx context.Context, db *sql.DB, opts *Options) (*Store, error) {
	return open(ctx, opts, func(Options) (*Store, error) {
		if db == nil {
			return nil, errors.New("the database is nil")
		}
		callers := &pool{db: db}
		return newStore(callers, callers, 1), nil
	})
}

// openOwn is open for a store that makes its own connections, with a driver that the
// program has to have.
func openOwn(ctx context.Context, o *Options, make func(Options) (*Store, error)) (*Store, error) {
	return open(ctx, o, func(opts Options) (*Store, error) {
		if err := checkDriver(); err != nil {
			return nil, err
		}
		return make(opts)
	})
}

// open checks the options, makes a store and proves that it works.
func open(ctx context.Context, o *Options, make func(Options) (*Store, error)) (*Store, error) {
	opts, err := o.validate()
	if err == nil {
		err = gate.Usable(ctx)
	}
	if err != nil {
		return nil, &driver.OpError{Store: kind, Op: "open", Err: err}
	}
	s, err := make(opts)
	if err == nil {
		err = s.guard(ctx, true, func() error { return s.ping(ctx) })
		if err == nil && opts.ReadOnly && s.file != nil {
			err = s.guard(ctx, true, func() error { return s.find(ctx) })
		}
		if err != nil {
			err = errors.Join(err, s.shutDown())
		}
	}
	if err != nil {
		return nil, &driver.OpError{Store: kind, Op: "open", Err: err}
	}
	if s.upkeep != nil {
		s.file.keepReserve()
		s.upkeep.wake() // for what others have left
	}
	return s, nil
}

// openFile opens the file at path, which is resolved without symbolic links.
func openFile(ctx context.Context, path, resolved string, o Options, release func() error) (*Store, error) {
	f, err := newFile(ctx, resolved, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := newStore(f.readers, f.writer, o.Readers)
	s.path, s.file, s.release = path, f, release
	if f.mode.readOnly() {
		s.commits.readOnly = true
		return s, nil
	}
	s.upkeep = newUpkeep(f, s.commits)
	f.relieve = s.upkeep.relieve
	s.commits.before = s.upkeep.holdBack
	s.commits.committed = func(c *conn, size int) error {
		s.upkeep.committed(size)
		return f.committed(c)
	}
	return s, nil
}

func newStore(readers, writer *pool, parallel int) *Store {
	w := new(watch)
	return &Store{
		readers: readers, writer: writer,
		commits: newCommitter(writer, w),
		shares:  max(1, min(runtime.GOMAXPROCS(0), parallel)),
		watch:   w,
	}
}

// ping reads from the writer's connection, which sets the journal mode, then
// from a reader's: a file that is no database fails here.
func (s *Store) ping(ctx context.Context) error {
	for _, p := range []*pool{s.writer, s.readers} {
		err := p.with(ctx, func(c *conn) error {
			return c.pragma(ctx, "PRAGMA schema_version")
		})
		if err != nil {
			if s.path != "" {
				return fmt.Errorf("%s: %w", s.path, err)
			}
			return err
		}
	}
	return nil
}

// find reports an error where there is no table of a cache.
func (s *Store) find(ctx context.Context) error {
	specs, err := s.specs(ctx)
	if err == nil && len(specs) == 0 {
		err = fmt.Errorf("%w in %s", driver.ErrAbsent, s.path)
	}
	return err
}

// Path is the file that the store was opened on, or empty.
func (s *Store) Path() string { return s.path }

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, ReadOnly: s.commits.readOnly}
}

const kind = "sqlite"

// Close waits for running operations and closes the connections that the store
// has opened.
func (s *Store) Close() error {
	if err := s.gate.Close(s.shutDown); err != nil {
		return &driver.OpError{Store: kind, Op: "close", Err: err}
	}
	return nil
}

func (s *Store) shutDown() error {
	if s.upkeep != nil {
		s.upkeep.stop(s.release == nil)
	}
	s.watch.close()
	s.readers.close()
	s.writer.close() // the last connection checkpoints the log
	if s.release == nil {
		return nil
	}
	return s.release()
}

// run does one operation: not after Close, not with a context that is done,
// and with errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func() error) error {
	return s.attempt(ctx, op, table, true, do)
}

// get is run for what tells its caller of entries one by one. If the file has to be begun anew
// meanwhile, those that it has not told of are misses.
func (s *Store) get(ctx context.Context, op, table string, do func() error) error {
	return s.attempt(ctx, op, table, false, do)
}

func (s *Store) attempt(ctx context.Context, op, table string, again bool, do func() error) error {
	err := describe(s.gate.Do(ctx, func() error { return s.guard(ctx, again, do) }))
	if err == nil {
		return nil
	}
	switch resultCode(err) {
	case codeTooBig:
		err = fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	case codeReadOnly:
		err = fmt.Errorf("%w: %w", driver.ErrReadOnly, err)
	}
	return &driver.OpError{Store: kind, Op: op, Table: table, Err: err}
}

func (s *Store) guard(ctx context.Context, again bool, do func() error) error {
	if s.file == nil {
		return do()
	}
	return s.file.guard(ctx, again, do)
}

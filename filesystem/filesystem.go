// Package filesystem keeps responses as files in a folder: one file for each response.
// Other programs can read the files, and any number of processes may share the folder.
//
// A file appears under its name as a whole or not at all, and is replaced in one step. A
// file that is damaged, or is not an entry at all, counts as missing and is reported to
// [Options.Logger].
//
// # Layout
//
// Each repository is a folder of its name, with 256 folders for its entries:
//
//	music/tracks/table.json                           name and key of the table
//	music/tracks/lock-0 … lock-f                      see Processes
//	music/tracks/tmp/                                 see Temporary files
//	music/tracks/3a/6rqhFg,DE,1~7d9c…                 an entry
//
// The name of an entry begins with what is readable of its key and ends with a digest of
// the whole; the digest also decides on the folder. The name of a repository that some
// systems would not accept, or not distinguish from another, is shortened and also ends
// with a digest. A file begins with lines that describe the response; after an empty line
// comes the unchanged payload:
//
//	sed '1,/^$/d' music/tracks/3a/6rqhFg,DE,1~7d9c… | jq .name
//
// Checksums in these lines cover all of a file, so that none are needed from elsewhere.
// When an entry was used last is when its file was changed: a save sets that back to when
// the entry was cached, and a use forward, without writing the file.
//
// # Processes
//
// Readers need no lock. A call that replaces or removes an entry locks one of 16 files,
// so that a pop returns just what it has removed, and of several calls that put an entry
// if it is absent one does. The system releases the locks of a process that dies. Where it has
// no such locks (neither flock nor LockFileEx), only one process at a time may write.
//
// # Temporary files
//
// A file is written in the folder tmp and then gets its name. A writer has a number, which
// is part of the names of its temporary files: that of the first file tmp/lock-0,
// tmp/lock-1, … that it could lock, which it keeps locked until it is closed or dies. So
// whoever gets the lock of a number may remove the temporary files that have it. That is
// done when a table is opened, with one of 16 saves, and by a clear. Where locks may not
// tell, files must also be an hour old by the clock of the file system: on those that are
// not known to be a disk of this machine, and on systems without such locks. Should the
// writer of such a file be alive nevertheless, it writes the file again.
//
// Earlier versions of the library had temporary files beside the entries. These go when
// they are an hour old: with the saves, one folder at a time, or all at once by a clear.
//
// A clear also removes the folders of entries that it leaves empty. It holds the lock under
// which a save makes the folder and puts its files there.
//
// # Marks
//
// Behind its first byte, the file by which a writer has its number holds its mark: 16
// hexadecimal digits that no other writer has, and 16 that count what it has changed. It counts
// when others can read the change. Who watches the folder reads the marks, and takes the
// death of a writer for a change, which it may have made just before. Notifications of the
// system would be for each of up to 256 folders of each table, and for the store's own
// changes, too; the times of folders are not fine enough to tell one change from the next.
//
// # Folders that are removed, moved or cannot be written
//
// A save that finds the folder removed makes it again. On a disk of this machine, it does
// so where the folder was moved as well; on others, a store goes on in the folder that it
// has open. A folder on a read-only file system, or one that this user may not write to,
// can be opened and read, if its tables are there; a write is [driver.ErrReadOnly].
//
// A renewal of an entry's times and headers reads its file and writes a new one with the
// whole payload, so in this store it costs as much as a save.
package filesystem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// kind begins the store's errors.
const kind = "filesystem"

// Options are the settings of a store. A nil *Options means the defaults.
type Options struct {
	// Temp puts a folder that is given by a relative path below the system's
	// folder for temporary files instead of the working directory. The store
	// never removes it; the system does so at its time. A folder there that
	// belongs to another user is refused. Only for [Open]. The default is the
	// working directory.
	Temp bool

	// Sync waits until what is saved is on the disk: then it is kept also if
	// the machine loses power. Without it, the last saves may be lost then, and
	// an entry whose file was half written counts as missing. The default is
	// not to wait.
	Sync bool

	// ReadOnly opens a folder that is there to be read, and changes nothing in it. Writes return
	// [driver.ErrReadOnly]. Where the folder is absent, or has no table of a cache, the error is
	// [driver.ErrAbsent].
	ReadOnly bool

	// Logger is told of files that were found damaged or are no entries, with their
	// paths, in which "*" stands for what is readable of a key, and of folders that other
	// users may write to. The default is [slog.Default].
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return opts
}

// Store is a folder of tables. It implements [driver.Store].
type Store struct {
	path    string // of the folder; empty with New
	opts    Options
	workers int // goroutines that share the work of one call

	own bool // root is the store's own

	mu     sync.Mutex
	root   *os.Root          // the folder
	tables map[string]*table // by name
	all    []*table          // those that were in tables before, too

	watch watch
	gate  gate.Gate
}

var _ driver.Store = (*Store)(nil)

// Open opens the folder dir, which it creates with mode 0700 where it is absent,
// with the folders on the way. A leading ~ is the user's home folder.
func Open(ctx context.Context, dir string, opts *Options) (*Store, error) {
	o := opts.withDefaults()
	if err := gate.Usable(ctx); err != nil {
		return nil, opError("open", "", err)
	}
	path, err := absolute(dir, o.Temp)
	if err != nil {
		return nil, opError("open", "", err)
	}
	root, err := o.openFolder(path)
	if err != nil {
		return nil, opError("open", "", err)
	}
	return opened(ctx, root, path, o)
}

// New returns a store on a folder that the caller has opened, and which Close
// leaves open. Nothing outside of it is changed, wherever symbolic links lead.
func New(ctx context.Context, root *os.Root, opts *Options) (*Store, error) {
	o := opts.withDefaults()
	err := gate.Usable(ctx)
	switch {
	case err != nil:
	case root == nil:
		err = errors.New("the folder is nil")
	case o.Temp:
		err = errors.New("Temp is for Open: the caller's folder is where it is")
	default:
		_, err = root.Stat(".")
	}
	if err != nil {
		return nil, opError("open", "", err)
	}
	return opened(ctx, root, "", o)
}

// opened returns a store on a folder that is open.
func opened(ctx context.Context, root *os.Root, path string, o Options) (*Store, error) {
	s := newStore(root, path, o)
	if !o.ReadOnly {
		s.warnOfOthers(ctx, root, s.Path())
		sweepDropped(root)
		return s, nil
	}
	specs, err := s.Tables(ctx)
	if err == nil && len(specs) == 0 {
		err = opError("open", "", fmt.Errorf("%w in %s", driver.ErrAbsent, s.Path()))
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// syncing is how many goroutines wait for the disk at once in one call.
const syncing = 16

func newStore(root *os.Root, path string, o Options) *Store {
	workers := max(2, runtime.GOMAXPROCS(0))
	if o.Sync {
		workers = max(workers, syncing)
	}
	return &Store{path: path, opts: o, workers: workers, root: root, own: path != "", tables: make(map[string]*table)}
}

// warnOfOthers tells of a folder in which others can forge entries. Whoever has made it so
// may want it: it stays as it is.
func (s *Store) warnOfOthers(ctx context.Context, folder *os.Root, path string) {
	if info, err := folder.Stat("."); err == nil && access.OthersMayWrite(info) {
		s.opts.Logger.WarnContext(ctx, "endpointcache: other users may write to a folder of the store",
			"path", path, "mode", info.Mode().String())
	}
}

// Path is the folder of the store: with [New], by the name that it was opened with.
func (s *Store) Path() string {
	if s.path != "" {
		return s.path
	}
	return s.root.Name()
}

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, Intact: true, ReadOnly: s.opts.ReadOnly}
}

// Close waits for running operations and lets go of the folders. The files stay.
func (s *Store) Close() error {
	err := s.gate.Close(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		var errs []error
		for _, t := range s.all {
			errs = append(errs, t.folder.Load().close())
		}
		if s.own {
			errs = append(errs, s.root.Close())
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return opError("close", "", err)
	}
	return nil
}

// run does one operation: not after Close, not with a context that is done,
// and with errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func() error) error {
	if err := s.gate.Do(ctx, do); err != nil {
		return s.failed(op, table, err)
	}
	return nil
}

// failed is an operation's error, which tells of no keys.
func (s *Store) failed(op, table string, err error) error {
	var path *os.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) { // whose paths are below the folder
		err = fmt.Errorf("%s: %w", s.Path(), withoutKeys(err))
	}
	return opError(op, table, err)
}

// report tells of a file that is no entry.
func (s *Store) report(ctx context.Context, path string, why error) {
	s.opts.Logger.WarnContext(ctx, "endpointcache: a file of the store is no entry",
		"path", withoutKey(path), "error", withoutKeys(why))
}

// readable is the part of an entry's name that is of its key.
var readable = regexp.MustCompile(`[^/\\\s":]*~([0-9a-f]{` + strconv.Itoa(entryDigits) + `})`)

// withoutKey is a path with a "*" in place of what is readable of the key, which may be
// secret. A shell finds the file by it.
func withoutKey(path string) string { return readable.ReplaceAllString(path, "*~$1") }

// withoutKeys is err with a text without the keys in its paths.
func withoutKeys(err error) error {
	if err == nil {
		return nil
	}
	if text := err.Error(); withoutKey(text) != text {
		return &keylessError{withoutKey(text), err}
	}
	return err
}

type keylessError struct {
	text string
	err  error
}

func (e *keylessError) Error() string { return e.text }
func (e *keylessError) Unwrap() error { return e.err }

func opError(op, table string, err error) error {
	return &driver.OpError{Store: kind, Op: op, Table: table, Err: err}
}

// notFolder tells what is there instead of a folder.
func notFolder(info os.FileInfo) string {
	switch mode := info.Mode(); {
	case mode&os.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsRegular():
		return "a file"
	default:
		return fmt.Sprintf("a file of mode %v", mode)
	}
}

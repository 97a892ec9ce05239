package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/filelock"
)

// writer makes a table's temporary files. It has a number for itself, by a lock which the
// system releases when the process ends: who gets the lock of a number knows that the
// files of that number are of the dead.
type writer struct {
	dir    subfolder
	lock   *os.File
	id     string // that no other writer has
	prefix string // of the names of its files
	files  atomic.Uint64
	marks  atomic.Uint64
}

// A writer leaves a mark in the file by which it has its number: its id, and the number of
// its changes, both hexadecimal. Windows lets nobody read what is locked, the first byte.
const (
	markAt     = 1
	markDigits = 16
	markSize   = 2 * markDigits
)

// mark tells those who watch that the writer has changed the table: it is called when others
// can read that. No mark is left twice.
func (w *writer) mark() error {
	var text [markDigits]byte
	n := w.marks.Add(1)
	for i := len(text) - 1; i >= 0; i-- {
		text[i] = hexDigits[n&15]
		n >>= 4
	}
	_, err := w.lock.WriteAt(text[:], markAt+markDigits)
	return writing(err)
}

// begin leaves the first mark.
func (w *writer) begin() error {
	if _, err := w.lock.WriteAt([]byte("\n"+w.id), 0); err != nil {
		return writing(err)
	}
	return w.mark()
}

// writer returns the folder's writer, which the first call makes.
func (f *folder) writer(ctx context.Context) (*writer, error) {
	f.making.Lock()
	defer f.making.Unlock()
	if w := f.made.Load(); w != nil {
		return w, nil
	}
	w, err := f.newWriter(ctx)
	if err == nil {
		f.made.Store(w)
	}
	return w, err
}

func (f *folder) newWriter(ctx context.Context) (*writer, error) {
	if err := f.makeTemporaryFolder(); err != nil {
		return nil, err
	}
	dir, err := f.reader.subfolder(temporaryFolder)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		lock, err := f.tryNumber(strconv.Itoa(n))
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, errors.Join(err, dir.close())
		}
		if lock != nil {
			w := &writer{dir: dir, lock: lock, id: newWriterID()}
			w.prefix = strconv.Itoa(n) + "-" + w.id + "-"
			if err := w.begin(); err != nil {
				return nil, errors.Join(err, w.close())
			}
			return w, nil
		}
	}
}

func (f *folder) makeTemporaryFolder() error {
	if err := f.root.Mkdir(temporaryFolder, 0o700); !errors.Is(err, fs.ErrExist) {
		return writing(err)
	}
	return nil
}

// tryNumber locks the number of a writer until the file is closed, which is nil where a
// living writer has it. The file is never removed, so that nobody locks another.
func (f *folder) tryNumber(n string) (*os.File, error) {
	file, err := f.root.OpenFile(temporaryFolder+"/"+lockPrefix+n, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, writing(err)
	}
	locked, err := filelock.Try(file)
	if err != nil || !locked {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// close unlocks the writer's number.
func (w *writer) close() error { return errors.Join(w.dir.close(), w.lock.Close()) }

// write writes a temporary file of two parts and returns its name.
func (w *writer) write(sync bool, data, rest []byte) (name string, err error) {
	name = w.prefix + strconv.FormatUint(w.files.Add(1), 10)
	file, err := w.dir.create(name)
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
	_, removeErr := w.dir.remove(name)
	return "", errors.Join(err, removeErr)
}

// remove removes the files that have not taken their places.
func (w *writer) remove(group []saving) error {
	var errs []error
	for _, s := range group {
		if s.temporary != "" {
			_, err := w.dir.remove(s.temporary)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

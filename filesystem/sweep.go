package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/filelock"
)

// Temporary files of writers that died are removed when a table is opened, with one of
// sweepEach saves, and by a clear. No step takes longer than to read one folder's names.
const sweepEach = 16

// abandoned is how old a temporary file is that no writer has any more, where locks do
// not tell. Should one have it nevertheless, it writes the file again: what is saved is
// what has got its name.
const abandoned = time.Hour

// sweepSome does one step, unless another goroutine does. What it cannot remove, the next
// step tries again: it is no matter of the save it comes with.
func (f *folder) sweepSome() {
	if !f.sweeping.TryLock() {
		return
	}
	defer f.sweeping.Unlock()
	_ = f.sweepTemporary()
	_ = f.sweepNextBeside()
}

// sweepTemporary removes what dead writers have left in the folder of temporary files.
func (f *folder) sweepTemporary() error {
	dir, err := f.reader.subfolder(temporaryFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := dir.names()
	if err = errors.Join(err, dir.close()); err != nil {
		return err
	}
	ofWriter := make(map[string][]string)
	own := f.made.Load()
	for _, name := range names {
		if n, ok := writerOf(name); ok && (own == nil || !strings.HasPrefix(name, own.prefix)) {
			ofWriter[n] = append(ofWriter[n], name)
		}
	}
	for n, names := range ofWriter {
		if own != nil && strings.HasPrefix(own.prefix, n+"-") { // by a writer before it
			err = f.removeDead(names)
		} else {
			err = f.removeIfDead(n, names)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeIfDead removes the files of the writer with a number, unless it is alive.
func (f *folder) removeIfDead(n string, names []string) error {
	lock, err := f.tryNumber(n)
	if err != nil || lock == nil {
		return err
	}
	return errors.Join(f.removeDead(names), lock.Close())
}

// removeDead removes temporary files of a writer whose lock is held. Where other machines
// may not see locks, they have to be old as well.
func (f *folder) removeDead(names []string) error {
	if !f.local || !filelock.EndWithProcess {
		_, err := f.removeAbandoned(temporaryFolder, names)
		return err
	}
	for _, name := range names {
		if err := f.removeFile(temporaryFolder + "/" + name); err != nil {
			return err
		}
	}
	return nil
}

// removeAbandoned removes those files in the folder at path that are old enough, and
// returns how many are not.
func (f *folder) removeAbandoned(path string, names []string) (young int, err error) {
	if len(names) == 0 {
		return 0, nil
	}
	now, err := f.now()
	if err != nil {
		return len(names), err
	}
	for _, name := range names {
		info, err := f.root.Lstat(path + "/" + name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) <= abandoned:
			young++
			continue
		case err == nil && info.Mode().IsRegular():
			err = f.removeFile(path + "/" + name)
		}
		if err != nil {
			return young, err
		}
	}
	return young, nil
}

func (f *folder) removeFile(path string) error {
	if err := f.root.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return writing(err)
	}
	return nil
}

// now is the time by the clock of the file system, which may be another machine's: that
// of a file which was written just now.
func (f *folder) now() (time.Time, error) {
	if err := f.makeTemporaryFolder(); err != nil {
		return time.Time{}, err
	}
	path := temporaryFolder + "/" + clockFile
	if err := f.root.WriteFile(path, []byte("\n"), 0o600); err != nil {
		return time.Time{}, writing(err)
	}
	info, err := f.root.Lstat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// sweepBeside removes what earlier versions of the library have left, which had the
// temporary files beside the entries: of the names in the folder at path. It returns how
// many are left.
func (f *folder) sweepBeside(path string, names []string) (left int, err error) {
	var old []string
	for _, name := range names {
		if isOldTemporary(name) {
			old = append(old, name)
		}
	}
	return f.removeAbandoned(path, old)
}

// sweepNextBeside does so for the next of the folders of entries, and last for the
// table's own. A file has as many bytes as folders are done, so that a table is swept
// once, by however many processes.
func (f *folder) sweepNextBeside() error {
	if f.swept.Load() {
		return nil
	}
	path := temporaryFolder + "/" + sweptFile
	info, err := f.root.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	done := int64(0)
	if err == nil {
		done = info.Size()
	}
	if done > shards {
		f.swept.Store(true)
		return nil
	}
	at := "."
	if done < shards {
		at = shardName(byte(done))
	}
	names, err := f.namesAt(at)
	if err != nil {
		return err
	}
	if left, err := f.sweepBeside(at, names); err != nil || left > 0 {
		return err
	}
	file, err := f.root.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return writing(err)
	}
	return errors.Join(file.Truncate(done+1), file.Close())
}

// namesAt are the names in the folder at path. There are none where it is no folder.
func (f *folder) namesAt(path string) ([]string, error) {
	sub, ok, err := f.openAt(path)
	if err != nil || !ok {
		return nil, err
	}
	names, err := sub.names()
	return names, errors.Join(err, sub.close())
}

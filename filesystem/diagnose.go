package filesystem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/internal/filelock"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/findings/ondisk"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/mount"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. A thorough one reads all files, and compares their
// checksums.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func() error {
		d := diagnosis{store: s}
		err := d.all(ctx, thorough)
		found = d.List
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

type diagnosis struct {
	findings.List
	store *Store
}

func (d *diagnosis) all(ctx context.Context, thorough bool) error {
	s := d.store
	root, err := s.openToWatch() // which makes no folder
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // which was only read
	d.Good("folder", "%s", s.Path())
	system, err := mount.At(s.Path())
	ondisk.FileSystem(&d.List, system, err, driver.Warning,
		"Each response is a file of its own, and changes of others are not told there: a store with a server is faster, and so is a SQLite file on a disk of this machine.")
	ondisk.Space(&d.List, s.Path())
	ondisk.Files(&d.List, s.Path())
	ondisk.Permissions(&d.List, "permissions of the folder", s.Path())
	d.access()
	if filelock.EndWithProcess {
		d.Good("locks", "of the system")
	} else {
		d.Warning("locks", "the system has none that end with a process", "Only one process at a time may write.")
	}
	d.Good("layout", "version %d", schemaVersion)
	return d.tables(ctx, root, thorough)
}

func (d *diagnosis) access() {
	if d.store.opts.ReadOnly {
		d.Good("access", "opened to be read")
		return
	}
	if !access.Writable(d.store.Path()) {
		d.Warning("access", "this user may only read it", "Nothing is saved: change the rights of the folder, or mount its file system to be written.")
		return
	}
	d.Good("access", "read and written")
}

// left is what is in the cache's folder besides entries.
type left struct{ dropped, others, temporary, abandoned int }

func (d *diagnosis) tables(ctx context.Context, root *os.Root, thorough bool) error {
	names, err := namesIn(root)
	if err != nil {
		return err
	}
	var tables []driver.TableSpec
	var l left
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		spec, have, err := readTable(root, name)
		switch {
		case err != nil:
			return err
		case droppedName.MatchString(name):
			l.dropped++
		case have != "":
			l.others++
		case spec.Name != "":
			tables = append(tables, spec)
			if err := l.lookAt(root, name); err != nil {
				return err
			}
		}
	}
	d.Good("tables", "%d", len(tables))
	d.left(l)
	if !thorough {
		return nil
	}
	return d.check(ctx, root, tables)
}

// lookAt counts the temporary files of a table. Those that are an hour old are nobody's any more.
func (l *left) lookAt(root *os.Root, table string) error {
	folder, err := root.Open(table + "/" + temporaryFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := folder.Readdirnames(-1)
	if err = errors.Join(err, folder.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := writerOf(name); !ok {
			continue
		}
		l.temporary++
		info, err := root.Lstat(table + "/" + temporaryFolder + "/" + name)
		if err == nil && time.Since(info.ModTime()) > abandoned {
			l.abandoned++
		}
	}
	return nil
}

func (d *diagnosis) left(l left) {
	level := driver.Good
	if l.abandoned > 0 {
		level = driver.Warning
	}
	value := "none"
	if l.temporary > 0 {
		value = fmt.Sprintf("%s, of which %s are older than an hour", human.Count(l.temporary), human.Count(l.abandoned))
	}
	d.Judge(level, "temporary files", value, "Processes have died while they saved: compact the store, which removes what they have left.")
	if l.dropped > 0 {
		d.Warning("dropped tables", human.Things(l.dropped, "folder", "folders")+" not removed to the end",
			"Compact the store, which removes them.")
	}
	if l.others > 0 {
		d.Warning("other contents", human.Things(l.others, "file or folder", "files or folders")+" that are not of the cache",
			"Give the cache a folder of its own.")
	}
}

// check reads all entries of the tables.
func (d *diagnosis) check(ctx context.Context, root *os.Root, tables []driver.TableSpec) error {
	var all checked
	for _, spec := range tables {
		f, err := openFolderOf(root, spec)
		if err != nil {
			return err
		}
		t := newTable(d.store, spec, f)
		err = t.check(ctx, f, &all)
		if err = errors.Join(err, f.close()); err != nil {
			return err
		}
	}
	d.Good("entries", "%s, %s", human.Things(all.entries, "entry", "entries"), human.Size(all.bytes))
	if all.damaged > 0 {
		d.Fault("damaged files", human.Things(all.damaged, "file", "files"),
			"They count as missing, and the next saves replace them; the log of a read names them. Look after the disk.")
	} else {
		d.Good("damaged files", "none")
	}
	return nil
}

// checked is what a check has found.
type checked struct {
	mu               sync.Mutex
	entries, damaged int
	bytes            int64
}

func (t *table) check(ctx context.Context, f *folder, all *checked) error {
	sel := t.selection(driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage})
	return t.eachShard(ctx, func(b *buffers, shard byte) error {
		return f.eachEntry(ctx, shard, func(path string) error {
			e, ok, err := t.examine(f, b, path, sel)
			all.mu.Lock()
			defer all.mu.Unlock()
			var d damage
			switch {
			case errors.As(err, &d):
				all.damaged++
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				return err
			case ok:
				all.entries++
				all.bytes += e.Size
			}
			return nil
		})
	})
}

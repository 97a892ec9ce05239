package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/findings/ondisk"
	"github.com/endpointcache/endpointcache/internal/human"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. A thorough one has SQLite check the whole file, see
// https://sqlite.org/pragma.html#pragma_integrity_check.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func() error {
		d := diagnosis{store: s}
		if s.file != nil {
			d.ofFile(s.file)
		}
		err := s.readers.with(ctx, func(c *conn) error { return d.ofDatabase(ctx, c, thorough) })
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

// ofFile opens no file: to close it would end the locks that this process has on it, see
// https://sqlite.org/howtocorrupt.html, section 2.2.
func (d *diagnosis) ofFile(f *file) {
	folder := filepath.Dir(f.path)
	d.Good("file", "%s, %s", f.path, human.Size(sizeOf(f.path)))
	remote, advice := driver.Warning, "Readers and writers wait for each other there, and locks are as good as the file system's: keep the file on a disk of this machine, or use a store with a server."
	if f.mode == inWAL {
		remote, advice = driver.Fault, "Users on several machines damage the file, as Network is NetworkIgnore: keep it on a disk of this machine, or leave that option."
	}
	system, err := mountAt(folder)
	ondisk.FileSystem(&d.List, system, err, remote, advice)
	ondisk.Space(&d.List, folder)
	ondisk.Permissions(&d.List, "permissions of the file", f.path)
	ondisk.Permissions(&d.List, "permissions of the log", f.path+"-wal")
	ondisk.Permissions(&d.List, "permissions of the folder", folder)
	switch {
	case f.opts.ReadOnly:
		d.Good("access", "opened to be read")
	case f.mode.readOnly():
		d.Warning("access", "this user may only read it", "Nothing is saved: SQLite needs to write the file and to make files in its folder.")
	default:
		d.Good("access", "read and written")
	}
	if sizeOf(f.reserve()) > 0 {
		d.Warning("reserve", human.Size(sizeOf(f.reserve())), "The disk was nearly full when something was saved last: make room.")
	}
	if aside, err := filepath.Glob(globEscaper.Replace(f.path) + ".damaged-*"); err == nil && len(aside) > 0 {
		d.Warning("damaged files", human.Things(len(aside), "file", "files")+" set aside beside it", "Damaged files were replaced: find out why, and remove them when nobody needs them.")
	}
}

var globEscaper = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

func (d *diagnosis) ofDatabase(ctx context.Context, c *conn, thorough bool) error {
	version, err := c.oneText(ctx, "SELECT sqlite_version()")
	if err != nil {
		return err
	}
	if resetsLogsWrongly(version) {
		d.Fault("SQLite", version, "In rare cases it damages a file in WAL mode that several connections use (https://sqlite.org/wal.html#walresetbug): build the program with a driver that has 3.51.3 or later.")
	} else {
		d.Good("SQLite", "%s", version)
	}
	if err := d.ofJournal(ctx, c, version); err != nil {
		return err
	}
	if err := d.ofSpace(ctx, c); err != nil {
		return err
	}
	specs, err := layouts(ctx, c, "")
	if err != nil {
		return err
	}
	d.ofTables(specs)
	if !thorough {
		return nil
	}
	return d.check(ctx, c)
}

func (d *diagnosis) ofJournal(ctx context.Context, c *conn, version string) error {
	mode, err := c.oneText(ctx, "PRAGMA journal_mode")
	if err != nil {
		return err
	}
	f := d.store.file
	if f != nil && f.current.Load().frozen.Load() != nil {
		mode = formatOf(f.path) // SQLite does not look, as it takes the file for one that does not change
	}
	const subject = "journal mode"
	switch {
	case f == nil, mode == "wal", mode == "unknown", f.mode == inJournal || f.mode == readingJournal:
		d.Good(subject, "%s", mode)
	default:
		d.Warning(subject, mode, "Readers and writers wait for each other: a store that opens the file to write, on a disk of this machine, makes it wal.")
	}
	if f == nil || mode != "wal" {
		return nil
	}
	return d.ofLog(ctx, c, version)
}

// ofLog tells of the write-ahead log. What of it is not in the file yet, SQLite tells only since
// it can be asked without doing a checkpoint.
func (d *diagnosis) ofLog(ctx context.Context, c *conn, version string) error {
	const subject = "write-ahead log"
	f := d.store.file
	size := f.logSize()
	value := human.Size(size)
	if size == 0 {
		value = "empty"
	}
	if number(version) >= number("3.51.0") {
		p, err := c.checkpoint(ctx, "NOOP")
		if err != nil {
			return err
		}
		if p.pages > 0 {
			value += fmt.Sprintf(", %s of %s are in the file", human.Count(p.written), human.Things(p.pages, "page", "pages"))
		}
	}
	if size <= hugeLog {
		d.Good(subject, "%s", value)
		return nil
	}
	d.Warning(subject, value, "A reader stays in one transaction for long, or whoever wrote was killed: end that reader, or compact the store.")
	return nil
}

func (d *diagnosis) ofSpace(ctx context.Context, c *conn) error {
	sp, err := c.space(ctx)
	if err != nil {
		return err
	}
	d.Good("pages", "%s of %s", human.Count(sp.pages), human.Size(sp.pageSize))
	free := "none"
	if sp.free > 0 {
		free = fmt.Sprintf("%s, %s of %s", human.Count(sp.free), human.Size(sp.free*sp.pageSize), human.Size(sp.pages*sp.pageSize))
	}
	level := driver.Good
	if used := sp.pages - sp.free; sp.free > fewPages && sp.free > used/4 {
		level = driver.Warning
	}
	d.Judge(level, "free pages", free, "The file is larger than what is in it: compact the store.")
	if sp.incremental {
		d.Good("auto_vacuum", "incremental")
		return nil
	}
	d.Warning("auto_vacuum", "not incremental", "What is deleted does not make the file smaller, except where all of it is rewritten: compact the store once, which changes it.")
	return nil
}

func (d *diagnosis) ofTables(all []layout) {
	ours, old := 0, 0
	for _, l := range all {
		if _, ok := l.spec(); ok {
			ours++
			if len(l.missing()) > 0 {
				old++
			}
		}
	}
	if others := len(all) - ours; others > 0 {
		d.Good("tables", "%d, and %d that are not of a cache", ours, others)
	} else {
		d.Good("tables", "%d", ours)
	}
	if old > 0 {
		d.Warning("tables of an earlier version", strconv.Itoa(old), "A program that opens them to write brings them up to date.")
	}
}

// told is how many messages of a check are told.
const told = 10

// check tells what SQLite finds in the whole file. What it says names tables, indexes and rows by
// numbers, and no contents.
func (d *diagnosis) check(ctx context.Context, c *conn) error {
	const subject, advice = "integrity", "Clear the repository that is damaged, or let the store set the file aside (Damaged). Look after the disk."
	s, err := c.prepare(ctx, stmtKey{text: fmt.Sprintf("PRAGMA integrity_check(%d)", told)})
	if err != nil {
		return err
	}
	var messages []string
	err = c.queryLong(ctx, s, 1, func(row []sqldriver.Value) bool {
		messages = append(messages, textOf(row[0]))
		return true
	})
	switch {
	case isDamage(err):
		d.Fault(subject, err.Error(), advice)
		return nil
	case err != nil:
		return err
	case len(messages) == 1 && messages[0] == "ok":
		d.Good(subject, "ok")
	default:
		d.Fault(subject, strings.Join(messages, "; "), advice)
	}
	return nil
}

// oneText runs a query that answers with one text.
func (c *conn) oneText(ctx context.Context, query string) (text string, err error) {
	s, err := c.prepare(ctx, stmtKey{text: query})
	if err != nil {
		return "", err
	}
	err = c.query(ctx, s, 1, func(row []sqldriver.Value) bool {
		text = textOf(row[0])
		return false
	})
	return text, err
}

// textOf is a text as drivers return it.
func textOf(v sqldriver.Value) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	text, _ := v.(string)
	return text
}

// number is that of a version, as sqlite3_libversion_number tells it.
func number(version string) (n int) {
	parts := strings.Split(version, ".")
	for i := range 3 {
		part := 0
		if i < len(parts) {
			part, _ = strconv.Atoi(parts[i])
		}
		n = 1000*n + part
	}
	return n
}

// resetsLogsWrongly reports whether a version of SQLite has the fault that
// https://sqlite.org/wal.html#walresetbug tells of. It was mended in some older lines, too.
func resetsLogsWrongly(version string) bool {
	n := number(version)
	for _, line := range []struct{ mended, next string }{{"3.44.6", "3.45.0"}, {"3.50.7", "3.51.0"}} {
		if n >= number(line.mended) && n < number(line.next) {
			return false
		}
	}
	return n >= number("3.7.0") && n < number("3.51.3")
}

// formatOf is the journal mode that the header of a file tells, see
// https://sqlite.org/fileformat.html, section 1.3.3. Nobody has it open with locks.
func formatOf(path string) (mode string) {
	const unknown = "unknown"
	if isOpen(path) {
		return unknown
	}
	f, err := os.Open(path)
	if err != nil {
		return unknown
	}
	defer func() { _ = f.Close() }() // which was only read
	var versions [2]byte
	if _, err := f.ReadAt(versions[:], 18); err != nil && !errors.Is(err, io.EOF) {
		return unknown
	}
	switch versions[1] {
	case 1:
		return "delete"
	case 2:
		return "wal"
	}
	return unknown
}

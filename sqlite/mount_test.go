package sqlite

import (
	"bytes"
	sqldriver "database/sql/driver"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/mount"
)

var network = driver.TableSpec{Name: "network", Key: []driver.Column{{Name: "id", Kind: driver.Int}}}

// onNetwork makes all folders seem to be on a network file system.
func onNetwork(t *testing.T) {
	t.Helper()
	mountAt = func(string) (mount.System, error) { return mount.System{Name: "nfs", Remote: true}, nil }
	t.Cleanup(func() { mountAt = mount.At })
}

// journalMode is what the store's writer says.
func journalMode(t *testing.T, s *Store) (mode string) {
	t.Helper()
	err := s.writer.with(t.Context(), func(c *conn) error {
		st, err := c.prepare(t.Context(), stmtKey{text: "PRAGMA journal_mode"})
		if err != nil {
			return err
		}
		return c.query(t.Context(), st, 1, func(row []sqldriver.Value) bool {
			mode, _ = row[0].(string)
			return true
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return mode
}

func TestANetworkFileSystem(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "music.db")
	local, err := Open(ctx, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mode := journalMode(t, local); mode != "wal" {
		t.Errorf("on a disk the mode is %s", mode)
	}
	if err := local.Close(); err != nil {
		t.Fatal(err)
	}
	onNetwork(t)
	if _, err := Open(ctx, path, &Options{Network: NetworkRefuse}); !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "nfs") {
		t.Errorf("refused: %v", err)
	}
	ignoring, err := Open(ctx, path, &Options{Network: NetworkIgnore})
	if err != nil {
		t.Fatal(err)
	}
	if mode := journalMode(t, ignoring); mode != "wal" {
		t.Errorf("ignored, the mode is %s", mode)
	}
	if err := ignoring.Close(); err != nil {
		t.Fatal(err)
	}

	var said bytes.Buffer
	var stores []*Store
	for range 2 {
		s, err := Open(ctx, path, &Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	if !strings.Contains(said.String(), "network file system") || !strings.Contains(said.String(), "nfs") {
		t.Errorf("the log says %q", said.String())
	}
	var wait sync.WaitGroup
	for i, s := range stores {
		if mode := journalMode(t, s); mode != "delete" {
			t.Errorf("the mode is %s", mode)
		}
		table, err := s.OpenTable(ctx, network)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			wait.Go(func() {
				for k := range 10 {
					e := driver.Entry{Key: driver.Key{int64(100*i + 10*n + k)}, CachedAt: time.UnixMicro(1).UTC()}
					if err := table.Put(ctx, []driver.Entry{e}); err != nil {
						t.Error(err)
					}
					if _, err := table.Count(ctx, driver.Filter{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		defer func() {
			if n, err := table.Count(ctx, driver.Filter{}); n != 80 || err != nil {
				t.Errorf("%d entries, %v; want 80", n, err)
			}
		}()
	}
	wait.Wait()
	if shared, _ := filepath.Glob(path + "-shm"); len(shared) > 0 {
		t.Errorf("there is %q", shared)
	}
}

// Another process sets the file aside while this one is about to open it.
func TestTheFileIsSetAsideWhileItIsOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	if err := os.WriteFile(path, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := 0
	mountAt = func(string) (mount.System, error) {
		if asked++; asked == 1 {
			return mount.System{}, os.Rename(path, path+".damaged")
		}
		return mount.System{}, nil
	}
	t.Cleanup(func() { mountAt = mount.At })
	s, err := Open(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.OpenTable(t.Context(), network); err != nil {
		t.Error(err)
	}
}

// What only reads on a network file system has no shared memory, either.
func TestReadOnlyOnANetworkFileSystem(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "music.db")
	openAndClose := func() {
		s, err := Open(ctx, path, nil)
		if err == nil {
			_, err = s.OpenTable(ctx, network)
			err = errors.Join(err, s.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	openAndClose()
	onNetwork(t)
	if s, err := Open(ctx, path, &Options{ReadOnly: true}); !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "WAL") {
		t.Fatalf("a file in WAL format: %v, %v", s, err)
	}
	openAndClose() // to write, which changes the format
	s, err := Open(ctx, path, &Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table, err := s.OpenTable(ctx, network)
	if err != nil {
		t.Fatal(err)
	}
	writing, err := Open(ctx, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer writing.Close()
	written, err := writing.OpenTable(ctx, network)
	if err != nil {
		t.Fatal(err)
	}
	if err := written.Put(ctx, []driver.Entry{{Key: driver.Key{int64(1)}, CachedAt: time.UnixMicro(1).UTC()}}); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Count(ctx, driver.Filter{}); n != 1 || err != nil {
		t.Errorf("%d entries, %v; want 1", n, err)
	}
}

func TestNamesOfSQLite(t *testing.T) {
	s, err := OpenMemory(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"sqlite_master", "SQLite_stat1", "sqlite_"} {
		_, err := s.OpenTable(t.Context(), driver.TableSpec{Name: name, Key: network.Key})
		if err == nil || !strings.Contains(err.Error(), "SQLite's own") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

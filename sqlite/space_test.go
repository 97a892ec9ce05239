package sqlite_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/sqlite"
)

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// small is the size of a file without entries, and more.
const small = 600 << 10

func TestSpaceComesBackWhileTheFileIsOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, nil)
	put(t, table, many(5_000)...)
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the file is small", func() bool { return sizeOf(t, path)+sizeOf(t, path+"-wal") < small })
	put(t, table, many(10)...)
	if n := count(t, table); n != 10 {
		t.Errorf("%d entries", n)
	}
}

func TestSpaceComesBackWhenTheStoreIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	store, table := openTracks(t, path, nil)
	put(t, table, many(5_000)...)
	if _, err := table.Clear(t.Context(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if size := sizeOf(t, path); size > small {
		t.Errorf("the file has %d bytes", size)
	}
}

// A file of an earlier version, or of another program, cannot be cut in steps.
func TestAFileWithoutIncrementalVacuumIsConverted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.db")
	db := openDB(t, path)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE own (x)"); err != nil {
		t.Fatal(err)
	}
	_, table := openTracks(t, path, nil)
	put(t, table, many(5_000)...)
	mode := func() (mode int) {
		fresh := openDB(t, path) // others tell what they knew
		fresh.SetMaxOpenConns(1)
		for _, query := range []string{"SELECT count(*) FROM tracks", "PRAGMA auto_vacuum"} { // which tells of what was read
			if err := fresh.QueryRowContext(t.Context(), query).Scan(&mode); err != nil {
				t.Fatal(err)
			}
		}
		return mode
	}
	if got := mode(); got != 0 {
		t.Fatalf("auto_vacuum is %d", got)
	}
	some := many(5_000)
	keys := make([]driver.Key, 0, len(some))
	for i, e := range some {
		if i%10 > 0 {
			keys = append(keys, e.Key)
		}
	}
	if _, err := table.Delete(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the file is a fifth of what it was", func() bool { return sizeOf(t, path)+sizeOf(t, path+"-wal") < 2_000*1_200 })
	if got := mode(); got != 2 {
		t.Errorf("auto_vacuum is %d", got)
	}
	if n := count(t, table); n != 500 {
		t.Errorf("%d entries, want 500", n)
	}
}

// The log is cut, by whichever store finds it long, after another program has read for long.
func TestALogThatAReaderHasMadeLongIsCut(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "music.db")
	_, table := openTracks(t, path, nil)
	put(t, table, track("w", 1))
	reader, err := openDB(t, path).BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRowContext(ctx, "SELECT count(*) FROM tracks").Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d entries, %v", n, err)
	}
	for round := range 5 {
		entries := many(2_500)
		for i := range entries {
			entries[i].Payload[0] = byte(round) // what does not change is not written
			entries[i].Payload[1] = byte(i)
		}
		put(t, table, entries...)
	}
	if size := sizeOf(t, path+"-wal"); size < 16<<20 {
		t.Fatalf("the log has only %d bytes", size)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	waitfor.True(t, "the log is short", func() bool { return sizeOf(t, path+"-wal") <= 16<<20 })
}

func TestSecureDelete(t *testing.T) {
	secret := []byte("a secret that is only here")
	for _, secure := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "music.db")
		store, table := openTracks(t, path, &sqlite.Options{SecureDelete: secure})
		put(t, table, many(50)...)
		for i := range 50 {
			e := track("secret", i)
			e.Payload = secret
			put(t, table, e)
			if i%2 == 0 {
				e.Payload = []byte("another")
				put(t, table, e)
				continue
			}
			if n, err := table.Delete(t.Context(), []driver.Key{e.Key}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := bytes.Contains(content, secret); found == secure {
			t.Errorf("with SecureDelete %v the secret is found: %v", secure, found)
		}
	}
}

func TestAFileThatEverybodyMayReadIsMadePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	for mode, want := range map[os.FileMode]os.FileMode{0o666: 0o600, 0o644: 0o600, 0o660: 0o660, 0o600: 0o600} {
		path := filepath.Join(t.TempDir(), "music.db")
		store, table := openTracks(t, path, nil)
		put(t, table, track("w", 1))
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var said log
		_, table = openTracks(t, path, &sqlite.Options{Logger: said.logger()})
		put(t, table, track("w", 2))
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(path + suffix)
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%v: %s has %v, %v; want %v", mode, suffix, info.Mode(), err, want)
			}
		}
		if logged := said.String() != ""; logged != (mode != want) {
			t.Errorf("%v: the log says %q", mode, said.String())
		}
	}
}

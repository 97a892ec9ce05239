package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

var tracks = driver.TableSpec{Name: "tracks", Key: []driver.Column{
	{Name: "id", Kind: driver.String}, {Name: "n", Kind: driver.Int},
}}

func track(writer string, n int) driver.Entry {
	return driver.Entry{
		Key: driver.Key{writer, int64(n)}, Name: fmt.Sprint(writer, " ", n), Status: 200,
		Payload: []byte(`{"a":1}`), CachedAt: time.UnixMicro(1).UTC(),
	}
}

const (
	pathVariable   = "ENDPOINTCACHE_TEST_PATH"
	writerVariable = "ENDPOINTCACHE_TEST_WRITER"
	savesOfEach    = 200
)

func isOtherProcess() bool { return os.Getenv(pathVariable) != "" }

// otherProcess saves one by one and in bulk, with other processes doing the
// same in the same file. It ends with a crash: what was saved must be there.
func otherProcess() {
	fail := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, os.Getenv(pathVariable), nil)
	fail(err)
	table, err := store.OpenTable(ctx, tracks)
	fail(err)
	writer := os.Getenv(writerVariable)
	var bulk []driver.Entry
	for n := range savesOfEach {
		fail(table.Put(ctx, []driver.Entry{track(writer, n)}))
		bulk = append(bulk, track(writer, savesOfEach+n))
		_, err := table.Count(ctx, driver.Filter{})
		fail(err)
	}
	fail(table.Put(ctx, bulk))
	process, err := os.FindProcess(os.Getpid())
	fail(err)
	fail(process.Kill())
	time.Sleep(time.Minute) // until the signal comes
}

// Several processes create, read and write one file; each is killed after its
// last call returned.
func TestManyProcessesShareOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shared.db")
	const processes = 4
	ended := make(chan error, processes)
	for i := range processes {
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), pathVariable+"="+path, writerVariable+"="+strconv.Itoa(i))
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != -1 {
				ended <- fmt.Errorf("process was not killed: %w\n%s", err, out)
				return
			}
			ended <- nil
		}()
	}
	for range processes {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	store := must(t)(sqlite.Open(t.Context(), path, nil))
	defer store.Close()
	table, err := store.OpenTable(t.Context(), tracks)
	if err != nil {
		t.Fatal(err)
	}
	n, err := table.Count(t.Context(), driver.Filter{})
	if want := processes * savesOfEach * 2; err != nil || n != want {
		t.Fatalf("%d entries, %v; want %d", n, err, want)
	}
}

package filesystem_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
)

var tracks = driver.TableSpec{Name: "tracks", Key: []driver.Column{
	{Name: "id", Kind: driver.String}, {Name: "n", Kind: driver.Int},
}}

// everything selects all parts of all entries.
var everything = driver.Selection{Parts: driver.Payload | driver.Meta}

// now is the tests' instant.
var now = time.Now().UTC().Truncate(time.Microsecond)

// track is an entry whose status tells what its payload is: 8 KiB and more, so that
// it is not written in one page.
func track(writer string, n, version int) driver.Entry {
	return driver.Entry{
		Key: driver.Key{writer, int64(n)}, Name: strconv.Itoa(version), Status: version,
		Payload:  bytes.Repeat(fmt.Appendf(nil, "%010d", version), 800+version%100),
		CachedAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

// whole reports whether all parts of an entry are of one version.
func whole(e driver.Entry) bool {
	want := track("", 0, e.Status)
	return e.Name == want.Name && bytes.Equal(e.Payload, want.Payload)
}

const (
	folderVariable = "ENDPOINTCACHE_TEST_FOLDER"
	writerVariable = "ENDPOINTCACHE_TEST_WRITER"
	taskVariable   = "ENDPOINTCACHE_TEST_TASK"
)

func isOtherProcess() bool { return os.Getenv(folderVariable) != "" }

// otherProcess does a task in the folder that other processes use, too.
func otherProcess() {
	ctx := context.Background()
	store, err := filesystem.Open(ctx, os.Getenv(folderVariable), nil)
	fail(err)
	table, err := store.OpenTable(ctx, tracks)
	fail(err)
	switch os.Getenv(taskVariable) {
	case "save":
		saveForEver(ctx, table, os.Getenv(writerVariable))
	case "save many":
		saveManyForEver(ctx, table, os.Getenv(writerVariable))
	case "remove":
		fmt.Println(removeAll(ctx, table))
	case "replace":
		replaceAndPop(ctx, table, os.Getenv(writerVariable))
	case "claim":
		fmt.Println(claimAll(ctx, table))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// saveForEver saves one by one and in bulk, and tells what it has saved. It is
// killed in the middle of it.
func saveForEver(ctx context.Context, table driver.Table, writer string) {
	for n := 0; ; n++ {
		fail(table.Put(ctx, []driver.Entry{track(writer, n, n), track("shared", n%3, n)}))
		fmt.Println(n)
		if n%10 == 9 {
			var bulk []driver.Entry
			for i := n - 9; i <= n; i++ {
				bulk = append(bulk, track(writer, i, i))
			}
			fail(table.Put(ctx, bulk))
		}
	}
}

// A process that saves many entries does so on several goroutines, so that a kill which
// one of them brings about is in the middle of what the others do.
const (
	savers = 4
	many   = 50 // entries of each
)

// saveManyForEver replaces the same entries, and tells who has and their version after
// each call.
func saveManyForEver(ctx context.Context, table driver.Table, writer string) {
	var wait sync.WaitGroup
	for saver := range savers {
		wait.Go(func() {
			entries := make([]driver.Entry, many)
			for version := 1; ; version++ {
				for n := range entries {
					entries[n] = track(fmt.Sprintf("%s-%d", writer, saver), n, version)
				}
				fail(table.Put(ctx, entries))
				fmt.Println(saver, version)
			}
		})
	}
	wait.Wait()
}

// removable is how many entries the processes take from each other.
const removable = 300

// removeAll removes by all means and returns how many entries it has removed.
func removeAll(ctx context.Context, table driver.Table) (removed int) {
	for i := range removable {
		key := driver.Key{"removable", int64(i)}
		if i%2 == 0 {
			n, err := table.Delete(ctx, []driver.Key{key})
			fail(err)
			removed += n
			continue
		}
		_, ok, err := table.Pop(ctx, key, driver.Filter{State: driver.Live, Now: now})
		fail(err)
		if ok {
			removed++
		}
	}
	n, err := table.Clear(ctx, driver.Filter{State: driver.Expired, Now: now.Add(2 * time.Hour)})
	fail(err)
	return removed + n
}

// replaced is how many entries a process puts in the places of others, in all.
const replaced = 400

// replaceAndPop puts entries that differ from all others in the places of others,
// removes some by all means, and tells the statuses of those that it has popped.
func replaceAndPop(ctx context.Context, table driver.Table, writer string) {
	w, err := strconv.Atoi(writer)
	fail(err)
	for i := range replaced {
		fail(table.Put(ctx, []driver.Entry{track("shared", i%3, 1+w*replaced+i)}))
		key := driver.Key{"shared", int64((i + w) % 3)}
		switch i % 8 {
		case 3:
			_, err := table.Delete(ctx, []driver.Key{key})
			fail(err)
		case 7:
			_, err := table.Clear(ctx, driver.Filter{State: driver.Live, Now: now})
			fail(err)
		default:
			e, ok, err := table.Pop(ctx, key, driver.Filter{State: driver.Live, Now: now})
			fail(err)
			if !ok {
				continue
			}
			if !whole(e) {
				fail(fmt.Errorf("entry %v is torn", e.Key))
			}
			fmt.Println(e.Status)
		}
	}
}

// start starts another process on a folder.
func start(t *testing.T, folder, task, writer string) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), folderVariable+"="+folder, taskVariable+"="+task, writerVariable+"="+writer)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func TestProcessesThatAreKilledTearAndLoseNothing(t *testing.T) {
	const processes, saves = 4, 50
	folder := fastFolder(t)
	saved := make([]int, processes)
	ended := make(chan error, processes)
	var running atomic.Int32
	running.Store(processes)
	for i := range processes {
		cmd, out := start(t, folder, "save", strconv.Itoa(i))
		go func() {
			defer running.Add(-1)
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				n, err := strconv.Atoi(lines.Text())
				if err != nil {
					ended <- fmt.Errorf("a process failed: %s", lines.Text())
					return
				}
				saved[i] = n
				if n == saves+10*i {
					cmd.Process.Kill()
				}
			}
			cmd.Wait()
			ended <- nil
		}()
	}
	table := openTracks(t, open(t, folder, nil))
	for running.Load() > 0 { // read what they write
		for e, err := range table.Entries(t.Context(), everything) {
			if err != nil {
				t.Fatal(err)
			}
			if !whole(e) {
				t.Fatalf("entry %v is torn", e.Key)
			}
		}
	}
	for range processes {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	for i, last := range saved {
		if last < saves {
			t.Errorf("process %d ended after %d saves", i, last)
		}
		for n := range last + 1 {
			e, ok := get(t, table, driver.Key{strconv.Itoa(i), int64(n)})
			if !ok || e.Status != n || !whole(e) {
				t.Fatalf("entry %d of process %d was saved, and is %v %d", n, i, ok, e.Status)
			}
		}
	}
}

func TestProcessesRemoveEachEntryOnce(t *testing.T) {
	folder := fastFolder(t)
	store := open(t, folder, nil)
	table := openTracks(t, store)
	entries := make([]driver.Entry, removable+100)
	for i := range entries {
		entries[i] = track("removable", i, i)
	}
	if err := table.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	const processes = 4
	outs := make([]io.Reader, processes)
	cmds := make([]*exec.Cmd, processes)
	for i := range processes {
		cmds[i], outs[i] = start(t, folder, "remove", "")
	}
	sum := 0
	for i, out := range outs {
		text, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatalf("a process failed: %s", text)
		}
		sum += n
		if err := cmds[i].Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if sum != len(entries) {
		t.Errorf("%d entries were removed in sum, want %d", sum, len(entries))
	}
}

func TestProcessesPopWhatTheyReplaceOnce(t *testing.T) {
	folder := fastFolder(t)
	const processes = 3
	var outs []io.Reader
	var cmds []*exec.Cmd
	for i := range processes {
		cmd, out := start(t, folder, "replace", strconv.Itoa(i))
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	popped := make(map[int]int)
	for i, out := range outs {
		text, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(text)) {
			status, err := strconv.Atoi(line)
			if err != nil {
				t.Fatalf("a process failed: %s", text)
			}
			popped[status]++
		}
		if err := cmds[i].Wait(); err != nil {
			t.Fatal(err)
		}
	}
	for status, times := range popped {
		if times > 1 {
			t.Errorf("entry %d was popped %d times", status, times)
		}
	}
	if len(popped) < replaced/4 {
		t.Errorf("%d entries were popped, which are too few to tell", len(popped))
	}
}

// An entry that no filter of a pop selects is there all the time.
func TestAPopOfWhatIsNotSelectedHidesNothing(t *testing.T) {
	folder := fastFolder(t)
	table, other := openTracks(t, open(t, folder, nil)), openTracks(t, open(t, folder, nil))
	e := track("a", 1, 1)
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	expired := driver.Filter{State: driver.Expired, Now: now}
	go func() {
		for range 2_000 {
			if _, ok, err := other.Pop(t.Context(), e.Key, expired); ok || err != nil {
				done <- fmt.Errorf("pop: %v, %w", ok, err)
				return
			}
		}
		done <- nil
	}()
	go func() {
		for range 200 { // which it finds live each time
			if err := other.Put(t.Context(), []driver.Entry{e}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for left := 2; left > 0; {
		if _, ok := get(t, table, e.Key); !ok {
			t.Fatal("a live entry was missing")
		}
		select {
		case err := <-done:
			if left--; err != nil {
				t.Error(err)
			}
		default:
		}
	}
}

package declared_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

const fileVariable = "ENDPOINTCACHE_TEST_FILE"

func TestMain(m *testing.M) {
	if file := os.Getenv(fileVariable); file != "" {
		if err := otherProcess(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// otherProcess is a migration that is killed. It writes a byte for each entry.
func otherProcess(file string) error {
	declared.Lease = 100 * time.Millisecond
	ctx := context.Background()
	store, err := sqlite.Open(ctx, file, nil)
	if err != nil {
		return err
	}
	c, err := cache.New(store, nil)
	if err != nil {
		return err
	}
	s := tracks3
	s.Migrations = []settings.Migration[key2, track2]{settings.MigrateFrom(tracks2, func(k key2, v track1) (key2, track2, bool, error) {
		if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
			return k, track2{}, false, err
		}
		return rename(k, v)
	})}
	if _, err := cache.CreateRepository(ctx, c, s); err != nil {
		return err
	}
	return c.Close()
}

// A migration that is killed at any point is gone on with by the next program, and nothing is
// lost or there twice.
func TestAMigrationThatIsKilledLosesNothing(t *testing.T) {
	entries, rounds, kills := 4000, 12, 8
	if testing.Short() {
		entries, rounds, kills = 1000, 2, 3
	}
	random := rand.New(rand.NewPCG(3, 14))
	for range rounds {
		file := filepath.Join(t.TempDir(), "tracks.db")
		fill(t, file, entries)
		killed := 0
		for killed < kills && killedAfter(t, file, random.IntN(entries*5/4), random) {
			killed++
		}
		if killed == kills && killedAfter(t, file, -1, random) {
			t.Fatal("a migration that is not killed does not end")
		}
		verify(t, file, entries)
	}
}

func values(entries int) map[key1]track1 {
	all := make(map[key1]track1, entries)
	for i := range entries {
		all[key1{fmt.Sprint("id", i)}] = track1{fmt.Sprint("title", i)}
	}
	return all
}

func fill(t *testing.T, file string, entries int) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), file, nil)
	check(t, err)
	defer store.Close()
	check(t, create(t, shared{store}, tracks1).SaveMany(t.Context(), values(entries)))
}

// killedAfter runs a migration, and kills it after so many entries, or soon after all. It is
// false if it has ended before.
func killedAfter(t *testing.T, file string, n int, random *rand.Rand) bool {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), fileVariable+"="+file)
	command.Stderr = os.Stderr
	progress, err := command.StdoutPipe()
	check(t, err)
	check(t, command.Start())
	if n < 0 {
		_, err = io.Copy(io.Discard, progress)
	} else if _, err = io.CopyN(io.Discard, progress, int64(n)); err == nil {
		time.Sleep(time.Duration(random.IntN(int(10 * time.Millisecond)))) // between two entries, or behind the last
		_ = command.Process.Kill()
	}
	if err != nil && err != io.EOF {
		t.Fatal(err)
	}
	ended := err != nil || n < 0
	_, _ = io.Copy(io.Discard, progress)
	if err := command.Wait(); ended && err != nil {
		t.Fatalf("the other process has failed: %v", err)
	}
	return !ended
}

// verify looks at what has become of the entries.
func verify(t *testing.T, file string, entries int) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), file, nil)
	check(t, err)
	defer store.Close()
	r := create(t, shared{store}, tracks3)
	seen := 0
	for _, err := range r.All(t.Context()) {
		check(t, err)
		seen++
	}
	n, err := r.Count(t.Context(), repository.All)
	check(t, err)
	if seen != entries || n != entries {
		t.Fatalf("%d entries are read, %d are there, of %d", seen, n, entries)
	}
	for key, value := range values(entries) {
		want(t, r, key2{key.ID, "DE"}, track2{value.Title})
	}
	record := remembered(t, store, "tracks")
	number, err := strconv.Atoi(first(record, "table"))
	check(t, err)
	home := declared.HomeTable("tracks", number)
	if names := tables(t, shared{store}); names != home || record["next_table"] != nil || record["old"] != nil {
		t.Errorf("the tables are %s, the record is %v", names, record)
	}
}

package cache_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/sqlite"
)

const copyVariable = "ENDPOINTCACHE_TEST_COPY"

func TestMain(m *testing.M) {
	if files := os.Getenv(copyVariable); files != "" {
		if err := otherCopy(strings.Split(files, "|")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// otherCopy is a copy from one file to another that is killed. It tells how many entries it has written,
// a line for each batch.
func otherCopy(files []string) error {
	var caches []*cache.ResponseCache
	for _, file := range files {
		store, err := sqlite.Open(context.Background(), file, nil)
		if err != nil {
			return err
		}
		c, err := cache.New(store, nil)
		if err != nil {
			return err
		}
		caches = append(caches, c)
	}
	_, err := caches[0].CopyTo(context.Background(), caches[1], &cache.CopyOptions{Progress: func(p cache.CopyProgress) {
		fmt.Println(p.Copied)
	}})
	return err
}

// A copy that is killed, at any point, has written whole entries, which the next one does not write again.
func TestACopyThatIsKilledGoesOn(t *testing.T) {
	rounds, kills := 6, 6
	if testing.Short() {
		rounds, kills = 1, 3
	}
	random := rand.New(rand.NewPCG(3, 14))
	from := t.TempDir() + "/from.db"
	open := func(file string) driver.Store {
		store, err := sqlite.Open(t.Context(), file, nil)
		check(t, err)
		t.Cleanup(func() { check(t, store.Close()) })
		return kept{store}
	}
	usedStore(t, open(from))
	for range rounds {
		to := t.TempDir() + "/to.db"
		told := 0 // entries that were written
		for range kills {
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), copyVariable+"="+from+"|"+to)
			command.Stderr = os.Stderr
			output, err := command.StdoutPipe()
			check(t, err)
			check(t, command.Start())
			lines, copied := bufio.NewScanner(output), 0
			for range 2 + random.IntN(3) {
				if !lines.Scan() {
					break
				}
				_, err := fmt.Sscan(lines.Text(), &copied)
				check(t, err)
			}
			time.Sleep(time.Duration(random.IntN(int(3 * time.Millisecond)))) // amid the next batch
			_ = command.Process.Kill()
			_ = command.Wait()
			told += copied
		}
		target := open(to)
		progress, err := copied(t, open(from), target, nil)
		if err != nil || told == 0 || progress.Copied > progress.Total-told {
			t.Errorf("%+v after %d, %v", progress, told, err)
		}
		wantEqual(t, open(from), target)
	}
}

package prefetch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

const (
	storeVariable  = "ENDPOINTCACHE_TEST_STORE"
	placeVariable  = "ENDPOINTCACHE_TEST_PLACE"
	serverVariable = "ENDPOINTCACHE_TEST_SERVER"
)

func isOtherProcess() bool { return os.Getenv(storeVariable) != "" }

var killedKeys = numbered(0, 3000)

// otherProcess is a prefetch that is killed.
func otherProcess() error {
	ctx := context.Background()
	var store driver.Store
	var err error
	if place := os.Getenv(placeVariable); os.Getenv(storeVariable) == "sqlite" {
		store, err = sqlite.Open(ctx, filepath.Join(place, "tracks.db"), nil)
	} else {
		store, err = filesystem.Open(ctx, place, nil)
	}
	if err != nil {
		return err
	}
	repo, err := repository.New(ctx, store, settings.RepositorySettings[string, track]{Name: "tracks", Endpoint: byID}, nil)
	if err != nil {
		return err
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: os.Getenv(serverVariable)})
	if err != nil {
		return err
	}
	fetcher, err := fetch.New(client, repo, nil)
	if err != nil {
		return err
	}
	result, err := prefetch.Run(ctx, fetcher, slices.Values(killedKeys), nil)
	if err == nil && result.Cached+result.Fetched != len(killedKeys) {
		err = fmt.Errorf("the run has ended with %s", result.Report())
	}
	return err
}

// A process that is killed has saved all that it has received but for what it was about
// to save: the next one asks for no more than that, and for what was under way.
func TestAProcessThatIsKilledLosesLittle(t *testing.T) {
	const lost = 64 + 8 // responses that are saved together, and requests at once
	for _, store := range []string{"sqlite", "files"} {
		t.Run(store, func(t *testing.T) {
			place, random := t.TempDir(), rand.New(rand.NewPCG(1, 2))
			server := newOrigin(t, nil)
			kills, most := 0, 0
			for more := true; more; {
				if kills == 100 {
					t.Fatalf("after 100 kills and %d requests there are still keys left", server.total())
				}
				until, twice := server.total()+50+random.IntN(700), server.twice()
				if more = killedWhen(t, store, place, server.URL, func() bool { return server.total() >= until }); more {
					kills++
				}
				most = max(most, server.twice()-twice)
			}
			if len(server.requests) != len(killedKeys) || kills < 3 || most > lost {
				t.Errorf("%d kills, %d keys of %d, up to %d twice after one, want no more than %d", kills, len(server.requests), len(killedKeys), most, lost)
			}
		})
	}
}

// twice is how many requests there were for what had been asked for before.
func (o *countingServer) twice() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.times) - len(o.requests)
}

// killedWhen runs the other process, and kills it when it is time. It is false where the
// process has ended before.
func killedWhen(t *testing.T, store, place, url string, isTime func() bool) bool {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), storeVariable+"="+store, placeVariable+"="+place, serverVariable+"="+url)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	late := time.After(waitfor.Limit)
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the other process has failed: %v", err)
			}
			return false
		case <-late:
			_ = cmd.Process.Kill()
			t.Fatal("the other process goes on after a minute")
		case <-time.After(time.Millisecond):
		}
		if isTime() {
			err := cmd.Process.Kill()
			return <-ended != nil && err == nil
		}
	}
}

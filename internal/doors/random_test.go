package doors

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// Callers at every door, who give up at any moment, writers and one who closes the cache:
// what is answered or kept is never older than the last change, nor than a reload.
func TestWhatIsKnownLaterStaysWhateverTheDoorsDo(t *testing.T) {
	onDisk := func(driver.Store) driver.Store {
		store, err := sqlite.OpenMemory(t.Context(), nil)
		check(t, err)
		return store
	}
	batch := request.BatchPattern[string]("GET /tracks?ids={id}", 3, payload.SplitArrayBy("", "id"), nil)
	length := time.Second
	if testing.Short() {
		length /= 4
	}
	for name, o := range map[string]option{
		"memory":         {},
		"sqlite":         {store: onDisk},
		"memory, batch":  {settings: tracks{Batch: batch}},
		"sqlite, absent": {store: onDisk, settings: tracks{ExpireAbsent: settings.NeverExpire}},
	} {
		t.Run(name, func(t *testing.T) {
			o.cache.Logger = slog.New(slog.DiscardHandler)
			o.cache.StoreTimeout = time.Minute
			(&crowd{house: newHouse(t, o)}).run(length)
		})
	}
}

// crowd are callers of a house whose versions count requests and changes.
type crowd struct {
	*house
	changing sync.Mutex
	floors   [3]atomic.Int64 // by key: no older version may be seen any more
	ended    atomic.Bool
}

func (c *crowd) run(d time.Duration) {
	ticking := c.api.Config.Handler
	c.api.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.api.version.Add(1)
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		switch {
		case r.Method == http.MethodPut:
			w.WriteHeader(http.StatusNoContent)
		case rand.IntN(20) == 0:
			http.NotFound(w, r)
		default:
			ticking.ServeHTTP(w, r)
		}
	})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for !c.ended.Load() {
				c.step()
			}
		})
	}
	time.Sleep(d)
	check(c.t, c.cache.Close())
	c.ended.Store(true)
	callers.Wait()
}

func (c *crowd) step() {
	k := rand.IntN(len(c.floors))
	id := fmt.Sprint("k", k)
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	if rand.IntN(3) == 0 {
		defer time.AfterFunc(time.Duration(rand.IntN(2000))*time.Microsecond, cancel).Stop()
	}
	if rand.IntN(4) == 0 {
		c.change(ctx, k, id)
		return
	}
	least := c.floors[k].Load()
	if rand.IntN(3) == 0 {
		ctx = policy.With(ctx, policy.Policy{Use: policy.Reload})
		least = max(least, c.api.version.Load())
	}
	d := doors[rand.IntN(len(doors))]
	if d.name == "prefetch" {
		least = c.floors[k].Load() // it tells what is stored afterwards
	}
	if got := d.ask(ctx, c.house, id); got.version > 0 && int64(got.version) < least {
		c.t.Errorf("%s of %s: version %d, and %d was known before", d.name, id, got.version, least)
	}
}

// change makes what was known before outdated.
func (c *crowd) change(ctx context.Context, k int, id string) {
	c.changing.Lock()
	defer c.changing.Unlock()
	repo := c.fetcher.Repository()
	now := c.api.version.Add(1)
	outdated := []int{k}
	var err error
	switch rand.IntN(4) {
	case 0:
		err = repo.Save(c.t.Context(), id, track{id, int(now)})
	case 1:
		_, err = repo.Delete(c.t.Context(), id)
	case 2:
		_, err = repo.Clear(c.t.Context(), repository.All)
		outdated = []int{0, 1, 2}
	case 3:
		var req *http.Request
		var resp *http.Response
		req, err = http.NewRequestWithContext(ctx, http.MethodPut, c.api.URL+"/tracks/"+id, strings.NewReader("x"))
		check(c.t, err)
		if resp, err = c.http.Do(req); err == nil {
			err = resp.Body.Close()
		}
	}
	if err != nil {
		return
	}
	for _, k := range outdated {
		c.floors[k].Store(now)
	}
}

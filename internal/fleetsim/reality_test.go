package main

import (
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// tolerance is how far the requests to the origin may be from those that were predicted, which
// is 2% where the machine has time. A run counts only if it was on time: nineteen of twenty
// requests were begun, and answered by the origin, within slack of when they had to be.
const (
	tolerance = 0.2
	slack     = 50 * time.Millisecond
	attempts  = 5
)

// reality is a fleet that is small enough to be real, with a store on this machine.
func reality(t *testing.T) *model.Fleet {
	t.Helper()
	duration := 10 * time.Second
	if testing.Short() {
		duration = 3 * time.Second
	}
	f, err := measure.Parse(costs)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Costs("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	return &model.Fleet{
		Workload: model.Workload{Processes: 8, Keys: 20, Exponent: 0.9, PerSecond: 25, Duration: duration, Seed: 3},
		Origin:   model.Origin{Latency: simulation.Constant(100 * time.Millisecond)},
		Costs:    c, Life: time.Second, Bucket: time.Second,
	}
}

// TestTheModelIsLikeAFleet gives a fleet of caches the same requests as the model, and counts
// those that reach the origin.
func TestTheModelIsLikeAFleet(t *testing.T) {
	for name, s := range map[string]model.Settings{
		"nothing":                {},
		"refresh ahead":          {RefreshAhead: 0.3},
		"stale while revalidate": {StaleWhileRevalidate: 500 * time.Millisecond},
		"leases":                 {Lease: 5 * time.Second},
		"leases, refresh ahead":  {Lease: 5 * time.Second, RefreshAhead: 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := reality(t)
			f.Settings = s
			want, err := model.Simulate(f)
			if err != nil {
				t.Fatal(err)
			}
			got := onTime(t, f)
			t.Logf("%d requests, %d at once for a key; predicted %d and %d", got.requests, got.atOnce, want.Requests, want.AtOnce)
			if math.Abs(float64(got.requests-want.Requests)) > tolerance*float64(want.Requests) {
				t.Errorf("the origin gets %d requests, predicted %d", got.requests, want.Requests)
			}
			if s.Lease > 0 && got.atOnce != 1 {
				t.Errorf("the origin gets %d requests for one key at once, in spite of the leases", got.atOnce)
			}
		})
	}
}

// onTime is a run of the fleet that was not held up by other work of the machine.
func onTime(t *testing.T, f *model.Fleet) *counts {
	t.Helper()
	for range attempts {
		c := runFleet(t, f)
		if c.late*20 <= c.timed {
			return c
		}
		t.Logf("%d of %d times were missed: again", c.late, c.timed)
	}
	t.Skip("the machine is too busy for a fleet that is on time")
	return nil
}

// counts is what the fleet has done. It is the origin, too, and answers after as long as that
// of the model.
type counts struct {
	latency time.Duration

	mu          sync.Mutex
	requests    int
	underWay    map[string]int
	atOnce      int
	timed, late int // times that had to be kept, and those that were not
}

// ServeHTTP implements http.Handler.
func (c *counts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	due := time.Now().Add(c.latency)
	c.count(r.URL.Path, 1)
	defer c.count(r.URL.Path, -1)
	select {
	case <-time.After(c.latency):
		c.keep(due)
		_, _ = w.Write([]byte(r.URL.Path))
	case <-r.Context().Done():
	}
}

func (c *counts) count(path string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay[path] += n
	c.requests += max(n, 0)
	c.atOnce = max(c.atOnce, c.underWay[path])
}

// keep notes whether it is the time that it has to be.
func (c *counts) keep(due time.Time) {
	late := time.Since(due) > slack
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timed++
	if late {
		c.late++
	}
}

// runFleet has caches on one file do what the fleet is to do.
func runFleet(t *testing.T, f *model.Fleet) *counts {
	t.Helper()
	c := &counts{latency: f.Origin.Latency.Median(), underWay: make(map[string]int)}
	server := httptest.NewServer(c)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "fleet.db")
	processes := make([]*fetch.Fetcher[int, []byte], f.Workload.Processes)
	for i := range processes {
		store, err := sqlite.Open(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		processes[i] = newProcess(t, store, server.URL, f)
	}
	var callers sync.WaitGroup
	begin := time.Now()
	for arrivals := f.Workload.Arrivals(); ; {
		a, ok := arrivals.Next()
		if !ok {
			break
		}
		due := begin.Add(a.At)
		time.Sleep(time.Until(due)) // as the workload says, not for something to happen
		callers.Go(func() {
			c.keep(due)
			if _, err := processes[a.Process].Fetch(t.Context(), a.Key); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	server.CloseClientConnections() // of renewals in the background
	server.Close()
	return c
}

// newProcess is a cache of its own, as a process has it.
func newProcess(t *testing.T, store driver.Store, origin string, f *model.Fleet) *fetch.Fetcher[int, []byte] {
	t.Helper()
	s := f.Settings
	c, err := cache.New(store, &cache.Options{StoreTimeout: waitfor.Limit, Policy: policy.Policy{
		Expire: policy.After(f.Life), Lease: s.Lease, RefreshAhead: s.RefreshAhead, RefreshBeta: s.RefreshBeta,
		StaleWhileRevalidate: s.StaleWhileRevalidate,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[int, []byte]{
		Name: "items", Endpoint: request.Pattern[int]("/items/{id}"), Payload: payload.Bytes(),
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := fetch.NewClient(&fetch.Options{BaseURL: origin})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	fetcher, err := fetch.New(client, repo, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fetcher
}

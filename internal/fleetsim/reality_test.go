package main

import (
	"context"
	"errors"
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
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// tolerance is how far the requests to the origin may be from those that were predicted: the
// number varies, as the processes of a real fleet do not wait to the millisecond for as long
// as those of the model. A busy machine makes more of it.
const tolerance = 0.2

// reality is a fleet that is small enough to be real, with a store on this machine.
func reality(t *testing.T) *model.Fleet {
	t.Helper()
	f, err := measure.Parse(costs)
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Costs("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	return &model.Fleet{
		Workload: model.Workload{Processes: 8, Keys: 20, Exponent: 0.9, PerSecond: 25, Duration: 10 * time.Second, Seed: 3},
		Origin:   model.Origin{Latency: simulation.Constant(100 * time.Millisecond)},
		Costs:    c, Life: time.Second, Bucket: time.Second,
	}
}

// TestTheModelIsLikeAFleet gives a fleet of caches the same requests as the model, and counts
// those that reach the origin.
func TestTheModelIsLikeAFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("the fleet runs for 10 seconds for each of the settings")
	}
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
			requests, atOnce := runFleet(t, f)
			t.Logf("%d requests, %d at once for a key; predicted %d and %d", requests, atOnce, want.Requests, want.AtOnce)
			if math.Abs(float64(requests-want.Requests)) > tolerance*float64(want.Requests) {
				t.Errorf("the origin gets %d requests, predicted %d", requests, want.Requests)
			}
			if s.Lease > 0 && atOnce != 1 {
				t.Errorf("the origin gets %d requests for one key at once, in spite of the leases", atOnce)
			}
		})
	}
}

// countingOrigin answers after as long as the model's origin.
type countingOrigin struct {
	latency  time.Duration
	mu       sync.Mutex
	requests int
	underWay map[string]int
	atOnce   int
}

func (o *countingOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.count(r.URL.Path, 1)
	defer o.count(r.URL.Path, -1)
	select {
	case <-time.After(o.latency):
		_, _ = w.Write([]byte(r.URL.Path))
	case <-r.Context().Done():
	}
}

func (o *countingOrigin) count(path string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.underWay[path] += n
	o.requests += max(n, 0)
	o.atOnce = max(o.atOnce, o.underWay[path])
}

// runFleet has caches on one file do what the fleet is to do.
func runFleet(t *testing.T, f *model.Fleet) (requests, atOnce int) {
	t.Helper()
	origin := &countingOrigin{latency: f.Origin.Latency.Median(), underWay: make(map[string]int)}
	server := httptest.NewServer(origin)
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
		time.Sleep(time.Until(begin.Add(a.At))) // the workload's, not for something to happen
		callers.Go(func() {
			if _, err := processes[a.Process].Fetch(t.Context(), a.Key); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	origin.mu.Lock()
	defer origin.mu.Unlock()
	return origin.requests, origin.atOnce
}

// newProcess is a cache of its own, as a process has it.
func newProcess(t *testing.T, store driver.Store, origin string, f *model.Fleet) *fetch.Fetcher[int, []byte] {
	t.Helper()
	s := f.Settings
	c, err := cache.New(store, &cache.Options{Policy: policy.Policy{
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

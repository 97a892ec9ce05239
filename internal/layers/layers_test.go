package layers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/tier"
)

func TestMain(m *testing.M) {
	exchange.DefaultStoreTimeout = waitfor.Limit
	goleak.VerifyTestMain(m)
}

// orders are all orders of the layers, the lowest first. The first is what the documentation
// names.
var orders = [][]string{
	{"seal", "observe", "tier"},
	{"observe", "seal", "tier"},
	{"tier", "seal", "observe"},
	{"seal", "tier", "observe"},
	{"tier", "observe", "seal"},
	{"observe", "tier", "seal"},
}

func stack(order []string) (layers []layer) {
	for _, name := range order {
		layers = append(layers, named[name])
	}
	return layers
}

// whatLayersCanChange are the topics that are run in every order; the short form has the first
// of them. The whole suite is run by the layers' own packages.
var whatLayersCanChange = []string{"Values", "Near", "Schema", "Renew", "Pop", "Errors"}

func topics() []string {
	if testing.Short() {
		return whatLayersCanChange[:2]
	}
	return whatLayersCanChange
}

func TestLayersKeepThePromisesInEveryOrder(t *testing.T) {
	for _, order := range orders {
		t.Run(strings.Join(order, " below "), func(t *testing.T) {
			drivertest.RunTopics(t, backends["sqlite"].harness("sqlite", stack(order)...), topics()...)
		})
	}
}

// topics are those that are run on every store: of those with slow servers, and in the short form,
// the first.
func (b backend) topics() []string {
	topics := []string{"Values", "Renew", "Where"}
	if testing.Short() || b.many > 0 {
		return topics[:1]
	}
	return topics
}

func TestLayersKeepThePromisesOnEveryStore(t *testing.T) {
	for kind, b := range backends {
		t.Run(kind, func(t *testing.T) {
			drivertest.RunTopics(t, b.harness(kind, stack(orders[0])...), b.topics()...)
		})
	}
}

// What is sealed in other ways keeps the promises on the stores that package seal's own tests do
// not reach.
func TestSealedStoresKeepThePromises(t *testing.T) {
	for mode, o := range map[string]*seal.Options{
		"encrypted": nil,
		"digested":  {Names: seal.Digest, KeyColumn: func(string, string) seal.Form { return seal.Digest }, DigestKey: secret(9)},
		"signed":    {Mode: seal.Sign},
	} {
		for _, kind := range []string{"redis", "mongodb", "dynamodb"} {
			t.Run(mode+" "+kind, func(t *testing.T) {
				drivertest.RunTopics(t, backends[kind].harness(kind, sealedBelow(o)), backends[kind].topics()...)
			})
		}
	}
}

// Whatever stands between, a caller finds who tells of changes, and each layer.
func TestLayersAreSeenThrough(t *testing.T) {
	for _, order := range orders {
		t.Run(strings.Join(order, " below "), func(t *testing.T) {
			s := newPlace(t, "sqlite").open(t, stack(order)...)
			defer s.Close()
			if _, ok := driver.As[driver.Watcher](s); !ok {
				t.Error("nobody tells of changes")
			}
			if _, ok := driver.As[driver.Announcer](s); !ok {
				t.Error("nobody lets others listen")
			}
			if _, ok := driver.As[driver.Diagnoser](s); !ok {
				t.Error("nobody tells how the store is set up")
			}
			if c, ok := driver.As[driver.Compactor](s); !ok {
				t.Error("nobody compacts the store")
			} else if _, err := c.Compact(t.Context()); err != nil {
				t.Error(err)
			}
			if _, ok := driver.As[*seal.Store](s); !ok {
				t.Error("the sealed store is hidden")
			}
			if _, ok := driver.As[*tier.Store](s); !ok {
				t.Error("the tier is hidden")
			}
		})
	}
}

type track struct {
	ID      string `json:"id"`
	Version int64  `json:"version"`
}

// process is a cache as one process has it.
type process struct {
	cache   *cache.ResponseCache
	fetcher *fetch.Fetcher[string, track]
}

func start(t *testing.T, s driver.Store, url string) *process {
	t.Helper()
	c, err := cache.New(s, nil)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	client, err := fetch.NewClient(&fetch.Options{BaseURL: url})
	check(t, err)
	t.Cleanup(func() { check(t, client.Close()) })
	p := &process{cache: c}
	p.fetcher, err = fetch.Create(t.Context(), c, client, settings.RepositorySettings[string, track]{
		Name: "tracks", Pattern: "GET /tracks/{id}", Policy: policy.Policy{Lease: time.Minute}, Compression: settings.Zstd,
	}, nil)
	check(t, err)
	return p
}

// The main job through all layers: a fleet asks once, what one saves or deletes others see, and
// what is stored can be listed.
func TestAFleetThroughAllLayers(t *testing.T) {
	for i, order := range orders {
		for kind := range backends {
			if kind == "memory" || (i > 0 || testing.Short()) && kind != "redis" {
				continue // no second process can open memory
			}
			t.Run(kind+" "+strings.Join(order, " below "), func(t *testing.T) { testFleet(t, kind, order) })
		}
	}
}

func testFleet(t *testing.T, kind string, order []string) {
	var requests, version atomic.Int64
	version.Store(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_ = json.NewEncoder(w).Encode(track{strings.TrimPrefix(r.URL.Path, "/tracks/"), version.Load()})
	}))
	t.Cleanup(server.Close)
	at := newPlace(t, kind)
	var fleet []*process
	for range 3 {
		fleet = append(fleet, start(t, at.open(t, stack(order)...), server.URL))
	}
	keys := make([]string, 40)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%02d", i)
	}
	var wait sync.WaitGroup
	for _, p := range fleet {
		wait.Go(func() {
			results, err := p.fetcher.FetchMany(t.Context(), keys)
			if err != nil {
				t.Error(err)
			}
			for _, r := range results {
				if r.Err != nil || r.Value != (track{r.Key, 1}) {
					t.Errorf("%s is %v, %v", r.Key, r.Value, r.Err)
				}
			}
		})
	}
	wait.Wait()
	if n := requests.Load(); n != int64(len(keys)) && kind != "mongodb" { // whose test server puts in two steps
		t.Errorf("%d requests for %d keys", n, len(keys))
	}
	first, last := fleet[0].fetcher, fleet[len(fleet)-1].fetcher
	version.Store(2)
	if v, err := first.Fetch(t.Context(), keys[0], fetch.Refresh()); err != nil || v.Version != 2 {
		t.Errorf("the refreshed track is %v, %v", v, err)
	}
	waitfor.True(t, "another process sees what was refreshed", func() bool {
		v, err := last.Fetch(t.Context(), keys[0])
		check(t, err)
		return v.Version == 2
	})
	_, err := last.Repository().Delete(t.Context(), keys[1])
	check(t, err)
	waitfor.True(t, "another process sees what was deleted", func() bool {
		_, ok, err := first.Repository().Get(t.Context(), keys[1])
		check(t, err)
		return !ok
	})
	page, err := fleet[1].cache.Contents("tracks").List(t.Context(), cache.Listing{Query: cache.Query{Bodies: true}})
	check(t, err)
	if len(page.Entries) != len(keys)-1 {
		t.Errorf("%d entries are listed, want %d", len(page.Entries), len(keys)-1)
	}
	for _, e := range page.Entries {
		var v track
		if err := json.Unmarshal(e.Payload, &v); err != nil || v.ID != fmt.Sprint(e.Key[0].Value) {
			t.Errorf("%v is listed with %q, %v", e.Key, e.Payload, err)
		}
	}
}

package fleet

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Limiters on one store, each as in a process of its own, never use a slot twice.
func TestSlotsAreUsedOnce(t *testing.T) {
	const processes, each = 8, 60
	for _, burst := range []int{1, 20} {
		t.Run(fmt.Sprint("burst ", burst), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "limits.db")
			begun := time.Now()
			var mu sync.Mutex
			var slots []int64
			var wait sync.WaitGroup
			for range processes {
				store := tracktest.Opened[*sqlite.Store](t)(sqlite.Open(t.Context(), path, nil))
				l := limiter(t, store, Limits{Rate: 1000, Burst: burst, StoreTimeout: time.Minute})
				for range each {
					wait.Go(func() {
						slot, err := l.take(t.Context())
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						defer mu.Unlock()
						slots = append(slots, slot)
					})
				}
			}
			wait.Wait()
			slices.Sort(slots)
			earliest := begun.UnixNano()/int64(time.Millisecond) - int64(burst) + 1
			if n := len(slices.Compact(slots)); n != processes*each || slots[0] < earliest {
				t.Errorf("%d slots for %d requests, from %d on, want from %d on", n, processes*each, slots[0], earliest)
			}
		})
	}
}

// So many requests take at least as long as the rate says, whoever sends them.
func TestTheRateIsThatOfAllProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.db")
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer server.Close()
	const processes, each, rate, burst = 4, 50, 500, 10
	begun := time.Now()
	var wait sync.WaitGroup
	for range processes {
		store := tracktest.Opened[*sqlite.Store](t)(sqlite.Open(t.Context(), path, nil))
		l := limiter(t, store, Limits{Rate: rate, Burst: burst, StoreTimeout: time.Minute})
		base := &http.Transport{}
		client := &http.Client{Transport: l.Transport(base)}
		t.Cleanup(client.CloseIdleConnections)
		for range each {
			wait.Go(func() {
				resp, err := client.Get(server.URL) //nolint:noctx // the test ends it
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			})
		}
	}
	wait.Wait()
	least := time.Duration(float64(processes*each-burst) / rate * float64(time.Second))
	if took := time.Since(begun); served.Load() != processes*each || took < least {
		t.Errorf("%d requests took %v, which is less than %v", served.Load(), took, least)
	}
}

// What a caller does not use is for the next one.
func TestACallerThatGivesUpWastesNoSlot(t *testing.T) {
	store := tracktest.Opened[*memory.Store](t)(memory.New(nil))
	l := limiter(t, store, Limits{Rate: 0.001, Burst: 2})
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Wait(ctx) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	slot, err := l.take(t.Context())
	if err != nil || slot > l.at(time.Now())+1 {
		t.Errorf("slot %d, %v, want the next one after %d", slot, err, l.at(time.Now()))
	}
}

// A process finds the slots behind those that others have put, however many.
func TestSlotsBehindManyOthers(t *testing.T) {
	store := tracktest.Opened[*memory.Store](t)(memory.New(nil))
	one := limiter(t, store, Limits{Rate: 0.01})
	now := time.Now()
	one.now = func() time.Time { return now }
	var rows []driver.Entry
	first := one.first(0)
	for i := range int64(3000) {
		rows = append(rows, driver.Entry{Key: driver.Key{one.name, first + i}, CachedAt: now.UTC().Truncate(time.Microsecond)})
	}
	if err := one.table.Put(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	slot, err := one.take(t.Context())
	if err != nil || slot < first+3000 || slot > first+3000+mostAtOnce {
		t.Errorf("slot %d, %v, want one soon after %d", slot, err, first+3000)
	}
}

// Names and rates tell limiters apart, and slots of long ago are removed.
func TestLimitersOfOneStore(t *testing.T) {
	store := tracktest.Opened[*memory.Store](t)(memory.New(nil))
	for _, limits := range []Limits{{Name: "a", Rate: 1}, {Name: "b", Rate: 1}, {Name: "a", Rate: 2}} {
		l := limiter(t, store, limits)
		now := time.Now()
		l.now = func() time.Time { return now }
		if slot, err := l.take(t.Context()); err != nil || slot != l.first(0) {
			t.Errorf("slot %d, %v, want the first one, %d", slot, err, l.first(0))
		}
		now = now.Add(time.Hour)
		if _, err := l.take(t.Context()); err != nil {
			t.Error(err)
		}
		if n, err := l.table.Count(t.Context(), driver.Filter{State: driver.Expired, Now: now.UTC().Truncate(time.Microsecond)}); err != nil || n != 0 {
			t.Errorf("%d slots of long ago are left, %v", n, err)
		}
	}
}

// Slots are put ahead of the time that the store takes, so that they are not past by then.
func TestAStoreThatTakesManySlots(t *testing.T) {
	slow := &slowStore{Store: tracktest.Opened[*memory.Store](t)(memory.New(nil)), takes: 3 * time.Millisecond}
	l := limiter(t, slow, Limits{Rate: 100_000})
	for range 10 {
		slot, err := l.take(t.Context())
		if err != nil || slot < 1 {
			t.Fatalf("slot %d, %v", slot, err)
		}
	}
	if n := slow.puts.Load(); n > 50 {
		t.Errorf("10 slots have taken %d operations of the store", n)
	}
}

// slowStore takes some time to put entries, or waits until it may.
type slowStore struct {
	driver.Store
	takes time.Duration
	puts  atomic.Int64
	gate  chan struct{}
}

func (s *slowStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	return &slowTable{table, s}, err
}

type slowTable struct {
	driver.Table
	of *slowStore
}

func (t *slowTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	t.of.puts.Add(1)
	time.Sleep(t.of.takes)
	if t.of.gate != nil {
		<-t.of.gate
	}
	return t.Table.PutIf(ctx, entries, c)
}

// A caller that gives up does not wait for the store that another one waits for.
func TestACallerThatGivesUpDoesNotWait(t *testing.T) {
	slow := &slowStore{Store: tracktest.Opened[*memory.Store](t)(memory.New(nil))}
	l := limiter(t, slow, Limits{Rate: 0.001, Burst: 2})
	if err := l.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- l.Wait(ctx) }()
	waitfor.True(t, "it has a slot", func() bool { return slow.puts.Load() == 2 && l.waiting.Load() == 0 })
	slow.gate = make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() { _, _ = l.take(t.Context()) })
	waitfor.True(t, "another one waits for the store", func() bool { return slow.puts.Load() == 3 })
	cancel()
	if err := waitfor.Receive(t, "the first has given up", waiting); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	close(slow.gate)
	other.Wait()
}

func TestAStoreThatFails(t *testing.T) {
	store, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	strict, lenient := limiter(t, store, Limits{Rate: 1}), limiter(t, store, Limits{Rate: 1, Alone: 1000})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := strict.Wait(t.Context()); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("the error is %v, want the store's", err)
	}
	for range 3 {
		if err := lenient.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	store := tracktest.Opened[*memory.Store](t)(memory.New(nil))
	for _, limits := range []Limits{{}, {Rate: -1}, {Rate: 1e6}, {Rate: math.NaN()}, {Rate: 1e-300}, {Rate: 1, Burst: math.MaxInt32}, {Rate: 1, Burst: -1}, {Rate: 1, Alone: -1}, {Rate: 1, StoreTimeout: -1}} {
		if _, err := New(t.Context(), store, limits); err == nil {
			t.Errorf("%+v are accepted", limits)
		}
	}
	if _, err := New(t.Context(), nil, Limits{Rate: 1}); err == nil {
		t.Error("no store is accepted")
	}
	if _, err := New(nil, store, Limits{Rate: 1}); err == nil { //nolint:staticcheck // it has to be an error
		t.Error("no context is accepted")
	}
	if err := limiter(t, store, Limits{Rate: 1}).Wait(nil); err == nil { //nolint:staticcheck // as above
		t.Error("no context is accepted")
	}
}

func limiter(t *testing.T, store driver.Store, limits Limits) *Limiter {
	t.Helper()
	l, err := New(t.Context(), store, limits)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

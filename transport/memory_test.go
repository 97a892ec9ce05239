package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/internal/memuse"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/sqlite"
)

// deadStore keeps nothing, so that what is counted is the transport's own.
type deadStore struct{ driver.Store }

type deadTable struct{ driver.Table }

func (s deadStore) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	table, err := s.Store.OpenTable(ctx, spec)
	if spec.Name == "endpointcache_records" { // the cache's own
		return table, err
	}
	return deadTable{table}, err
}

func (deadTable) PutIf(_ context.Context, entries []driver.Entry, _ driver.Condition) ([]bool, error) {
	stored := make([]bool, len(entries))
	for i := range stored {
		stored[i] = true
	}
	return stored, nil
}

// largeBody is a limit, and a length that is nearly that.
func largeBody() (maxBody, size int64) {
	maxBody = 64 << 20
	if testing.Short() {
		maxBody = 8 << 20
	}
	return maxBody, maxBody / 16 * 15
}

func TestALargeBodyTakesLittleMoreMemoryThanItIsLong(t *testing.T) {
	maxBody, size := largeBody()
	for name, store := range map[string]struct {
		open func() driver.Store
		own  int64 // what it adds: the entry itself
	}{
		"none":   {func() driver.Store { return deadStore{memoryStore(t)} }, 0},
		"memory": {func() driver.Store { return memoryStore(t) }, 0},
		"filesystem": {func() driver.Store {
			store, err := filesystem.Open(t.Context(), t.TempDir(), nil)
			check(t, err)
			return store
		}, 0},
		"sqlite": {func() driver.Store {
			store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "cache.db"), nil)
			check(t, err)
			return store
		}, 0},
	} {
		for _, readers := range []int{1, 3} {
			for _, announced := range []int64{-1, size} {
				t.Run(fmt.Sprint(name, ", ", readers, " readers, announces ", announced), func(t *testing.T) {
					release := make(chan struct{})
					h := startOn(t, store.open(), nil, &options{MaxBody: maxBody, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
						resp := chunked(req, &numbered{endless: endless{size: size}, holdAt: 1 << 10, release: release})
						resp.ContentLength = announced
						return resp, nil
					})})
					allocated, inUse := memuse.Of(func() { h.readTogether(readers, size, func() { close(release) }) })
					if s := h.transport.Stats(); s.Stored != 1 || s.Shared != int64(readers-1) {
						t.Errorf("%+v", s)
					}
					total, peak := 2.5, 1.5
					if announced >= 0 {
						total, peak = 1.2, 1.2
					}
					if got := float64(allocated-store.own) / float64(size); got > total {
						t.Errorf("it costs %.2f times its size", got)
					}
					if got := float64(inUse-store.own) / float64(maxBody); got > peak {
						t.Errorf("at its peak it takes %.2f times the largest body", got)
					}
				})
			}
		}
	}
}

// readTogether has so many callers share a response, and read it once begin was called.
func (h *harness) readTogether(callers int, size int64, begin func()) {
	h.t.Helper()
	var wg sync.WaitGroup
	for range callers {
		resp := h.open("GET", "/a")
		wg.Go(func() {
			if n, err := copyAll(io.Discard, resp); n != size || err != nil {
				h.t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	begin()
	wg.Wait()
}

// Once it is larger than what is kept, no more of it is held than its readers need.
func TestAStreamTakesTheMemoryOfAWindow(t *testing.T) {
	const maxBody, size = 4 << 20, 64 << 20
	for _, readers := range []int{1, 3} {
		t.Run(fmt.Sprint(readers, " readers"), func(t *testing.T) {
			begin, goOn := make(chan struct{}), make(chan struct{})
			body := &numbered{endless: endless{size: size}, holdAt: 1 << 10, release: begin}
			later := &numbered{endless: endless{size: size / 2}, release: goOn}
			h := start(t, nil, &options{MaxBody: maxBody, Base: roundTripper(func(req *http.Request) (*http.Response, error) {
				return chunked(req, struct {
					io.Reader
					io.Closer
				}{io.MultiReader(body, later), body}), nil
			})})
			before, first := memuse.Allocated(), memuse.InUse()
			h.readTogether(readers, size+size/2, func() {
				close(begin)
				waitfor.True(t, "two thirds have come", func() bool { return body.read.Load() == size })
				if got := memuse.InUse() - first; got > 1<<20 {
					t.Errorf("%d bytes are in use", got)
				}
				close(goOn)
			})
			if got := memuse.Allocated() - before; got > 2*maxBody {
				t.Errorf("%d bytes were allocated", got)
			}
		})
	}
}

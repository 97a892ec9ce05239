package doors

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
)

// variantReads counts what is read of variants that are kept beside the latest.
type variantReads struct {
	driver.Store
	all, bodies *atomic.Int64
}

func (s variantReads) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil || spec.Name != exchange.VariantsTable {
		return t, err
	}
	return variantsTable{t, s}, nil
}

type variantsTable struct {
	driver.Table
	reads variantReads
}

func (t variantsTable) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	t.reads.all.Add(1)
	if sel.Parts&driver.Payload != 0 {
		t.reads.bodies.Add(1)
	}
	return t.Table.Get(ctx, keys, sel, visit)
}

// Who waits for a variant that another process asks for looks for it often, and reads the body
// of the old one no more.
func TestWaitingForAVariantReadsNoBodies(t *testing.T) {
	var all, bodies atomic.Int64
	o := leased(policy.Policy{CacheControl: policy.On})
	o.store = func(s driver.Store) driver.Store { return variantReads{s, &all, &bodies} }
	first := newHouse(t, o)
	second := first.another(o)
	first.api.set("Vary", "Accept-Language", "Cache-Control", "max-age=60")
	get := func(h *house, language string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.api.URL+"/tracks/a", http.NoBody)
		check(t, err)
		req.Header.Set("Accept-Language", language)
		resp, err := h.http.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Error(err)
		}
	}
	get(first, "de")
	get(first, "en") // beside which the other is kept
	first.clock.advance(time.Hour)
	release := first.api.block()
	var wait sync.WaitGroup
	wait.Go(func() { get(first, "de") })
	first.awaitRequests(3)
	wait.Go(func() { get(second, "de") })
	second.awaitWaiting()
	looked, read := all.Load(), bodies.Load()
	waitfor.True(t, "the second looks for the answer", func() bool { return all.Load() > looked+5 })
	if n := bodies.Load() - read; n > 1 { // its own lookup, if it was that
		t.Errorf("%d bodies were read", n)
	}
	release()
	wait.Wait()
	first.wantRequests(3)
}

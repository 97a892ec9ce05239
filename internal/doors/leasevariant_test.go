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

// getIn gets a track in a language.
func (h *house) getIn(language string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, h.api.URL+"/tracks/a", http.NoBody)
	check(h.t, err)
	req.Header.Set("Accept-Language", language)
	resp, err := h.http.Do(req)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		h.t.Error(err)
	}
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
	first.getIn("de")
	first.getIn("en") // beside which the other is kept
	first.clock.advance(time.Hour)
	release := first.api.block()
	var wait sync.WaitGroup
	wait.Go(func() { first.getIn("de") })
	first.awaitRequests(3)
	wait.Go(func() { second.getIn("de") })
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

// leaseTries counts how often a process tries to get leases.
type leaseTries struct {
	driver.Store
	tries *atomic.Int64
}

func (s leaseTries) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t, err := s.Store.OpenTable(ctx, spec)
	if err != nil || spec.Name != exchange.LeasesTable {
		return t, err
	}
	return leasesTable{t, s}, nil
}

type leasesTable struct {
	driver.Table
	tries leaseTries
}

func (t leasesTable) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) ([]bool, error) {
	t.tries.tries.Add(1)
	return t.Table.PutIf(ctx, entries, c)
}

// While other processes renew variants of a key, reads of one after the other try once for each.
func TestRenewalsOfVariantsAreLeftToOtherProcesses(t *testing.T) {
	var tries atomic.Int64
	o := leased(policy.Policy{CacheControl: policy.On, StaleWhileRevalidate: 24 * time.Hour})
	o.store = func(s driver.Store) driver.Store { return leaseTries{s, &tries} }
	first := newHouse(t, o)
	second := first.another(o)
	first.api.set("Vary", "Accept-Language", "Cache-Control", "max-age=60")
	languages := []string{"de", "en", "fr"}
	for _, language := range languages {
		first.getIn(language)
		first.clock.advance(time.Second) // so that they are not of one instant
	}
	waitfor.True(t, "no lease is left", func() bool { return len(first.leases()) == 0 })
	first.clock.advance(time.Hour)
	defer first.api.block()()
	for i, language := range languages {
		first.another(o).getIn(language)
		first.awaitRequests(int64(len(languages) + i + 1))
	}
	before := tries.Load()
	table := exchange.OfRepository(second.fetcher.Repository().Responses).View()
	for range 5 {
		for _, language := range languages {
			second.getIn(language)
			waitfor.True(t, "the renewal is left", func() bool {
				flights, _ := table.Pending()
				return flights == 0
			})
		}
	}
	if n := tries.Load() - before; n != int64(len(languages)) {
		t.Errorf("it has tried %d times for %d variants", n, len(languages))
	}
}

package cache

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

func init() {
	exchange.TransferOf = func(ctx context.Context, contents any, writes bool) (*exchange.Transfer, error) {
		return contents.(*Contents).transfer(ctx, writes)
	}
}

// transfer finds requests for responses and the other way round, by the tables that there are now.
func (s *Contents) transfer(ctx context.Context, writes bool) (*exchange.Transfer, error) {
	if writes { // keys are made with the digests that programs look for
		if _, err := s.cache.exchange.DigestKey(ctx); err != nil {
			return nil, err
		}
	}
	t := &transfer{lookup: lookup{contents: s}, tables: make(map[string]transferTable), origins: make(map[string]map[string]bool)}
	if err := t.collect(ctx); err != nil {
		return nil, err
	}
	for _, p := range t.known {
		t.origins[p.repository] = make(map[string]bool)
		for i, listed := range p.listed {
			t.tables[listed.Name] = transferTable{listed, p.tables[i]}
			if listed.Origin != "" {
				t.origins[p.repository][listed.Origin] = true
			}
		}
	}
	x := s.cache.exchange
	return &exchange.Transfer{
		Request: t.request, Place: t.placed,
		DigestKey: x.DigestKey, KeptDigestKey: x.KeptDigestKey, AdoptDigestKey: x.AdoptDigestKey,
	}, nil
}

type transfer struct {
	lookup
	tables  map[string]transferTable   // whose endpoints are known, by name
	origins map[string]map[string]bool // that have tables, or are going to, by repository
}

type transferTable struct {
	listed declared.Table
	table  *exchange.Table
}

func (t *transfer) request(ctx context.Context, table string, key driver.Key) (*http.Request, error) {
	found, ok := t.tables[table]
	if !ok {
		return nil, fmt.Errorf("cache: %w: table %q: %w", ErrNoRequest, table, errNoEndpoint)
	}
	return t.contents.request(ctx, found.listed, found.table, key, "")
}

func (t *transfer) placed(ctx context.Context, req *http.Request) (at exchange.Placed, matched, placed bool, err error) {
	p, seen, key, err := t.place(req, caching(ctx, cmp.Or(req.Method, http.MethodGet)))
	if p == nil || err != nil {
		return at, err != nil, false, nil //nolint:nilerr // its key cannot be told: nothing finds it there
	}
	whole, bypass, err := p.table.Seat(ctx, seen.req, key)
	if err != nil || bypass != "" {
		return at, true, false, err
	}
	at = exchange.Placed{Repository: p.repository, Columns: p.table.Spec().Key, Key: whole}
	if !p.table.HasAllOrigins() {
		at.Origin = seen.origin
		origins := t.origins[p.repository]
		if !origins[at.Origin] && len(origins) >= exchange.MostOrigins {
			return at, true, false, nil // as those of a client's requests
		}
		origins[at.Origin] = true
	}
	return at, true, true, nil
}

package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

func (c *ResponseCache) route(ctx context.Context, req *http.Request) (*exchange.Table, driver.Key, bool, error) {
	table, key, ok, err := c.routeAmong(req, nil)
	if !ok {
		return nil, nil, false, err
	}
	return table.Place(ctx, req, key, nil)
}

// tables are those that requests are routed to.
func (c *ResponseCache) tables() []*exchange.Table {
	c.mu.RLock()
	defer c.mu.RUnlock()
	tables := make([]*exchange.Table, len(c.ranked))
	for i, m := range c.ranked {
		tables[i] = m.table
	}
	return tables
}

func (c *ResponseCache) routeAmong(req *http.Request, some func(*exchange.Table) bool) (*exchange.Table, driver.Key, bool, error) {
	if req == nil {
		return nil, nil, false, nil
	}
	if c.opts.Router != nil {
		return c.routeByName(req, some)
	}
	c.mu.RLock()
	ranked := c.ranked // never changed in place
	c.mu.RUnlock()
	var failed []error
	for _, m := range ranked {
		if some != nil && !some(m.table) {
			continue
		}
		key, ok, err := m.table.Match(req)
		if ok {
			return m.table, key, true, nil
		}
		failed = append(failed, err)
	}
	return nil, nil, false, errors.Join(failed...)
}

func (c *ResponseCache) routeByName(req *http.Request, some func(*exchange.Table) bool) (*exchange.Table, driver.Key, bool, error) {
	name := c.opts.Router(req)
	if name == "" {
		return nil, nil, false, nil
	}
	m := c.member(name)
	switch {
	case m == nil:
		return nil, nil, false, &exchange.MisroutedError{Err: fmt.Errorf("cache: router: %w: %q", ErrNotFound, name)}
	case some != nil && !some(m.table):
		return nil, nil, false, nil
	}
	key, ok, err := m.table.Match(req)
	return m.table, key, ok, err
}

package repository

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/redirect"
)

// Routed is the request's and response's side of repositories: of one, or of all
// in a cache. A request that no key can be taken from is a miss: it is not
// found, its response is not saved, and there is nothing to delete. It is no
// error. So is one that the repository's scope does not let be cached, see
// [settings.Scope].
type Routed struct{ route exchange.Route }

func init() {
	exchange.RoutedBy = func(route exchange.Route) any { return Routed{route} }
}

// targets are the entries of one repository that a call is about.
type targets struct {
	table   *exchange.Table
	keys    []driver.Key
	indices []int // those of the call's arguments
	entries []Entry
}

// group collects targets by repository.
type group []*targets

func (g *group) of(table *exchange.Table) *targets {
	for _, t := range *g {
		if t.table == table {
			return t
		}
	}
	t := &targets{table: table}
	*g = append(*g, t)
	return t
}

// group routes the requests. The error joins those of keys that could not be
// told; the others are grouped nevertheless.
func (r Routed) group(ctx context.Context, reqs []*http.Request) (group, error) {
	var g group
	var failed []error
	for i, req := range reqs {
		table, key, ok, err := r.route(ctx, req)
		failed = append(failed, err)
		if ok && err == nil {
			t := g.of(table)
			t.keys, t.indices = append(t.keys, key), append(t.indices, i)
		}
	}
	return g, errors.Join(failed...)
}

// GetResponse returns the live response for req, and whether there is one. Its
// body is the stored one and need not be closed.
func (r Routed) GetResponse(ctx context.Context, req *http.Request, opts ...ReadOption) (*http.Response, bool, error) {
	responses, err := r.GetResponses(ctx, []*http.Request{req}, opts...)
	if err != nil || responses[0] == nil {
		return nil, false, err
	}
	return responses[0], true, nil
}

// GetResponses returns the live responses for the requests, in their order, nil
// for a miss. A request whose key cannot be told, because its body cannot be read,
// does not keep the others from being found; the error joins all.
func (r Routed) GetResponses(ctx context.Context, reqs []*http.Request, opts ...ReadOption) ([]*http.Response, error) {
	g, unkeyed := r.group(ctx, reqs)
	var err error
	entries := make([]Entry, len(reqs)) // without a status: a miss
	for _, t := range g {
		err := t.table.Get(ctx, t.keys, selectionOf(t.table, driver.Payload|driver.Meta, opts), func(i int, e driver.Entry) {
			entries[t.indices[i]] = newEntry(ctx, t.table, e)
		})
		if err != nil {
			return nil, err
		}
	}
	found := make([]*http.Response, len(reqs))
	for i, req := range reqs {
		if entries[i].Status == 0 || exchange.IsPart(entries[i].Status) {
			continue
		}
		if found[i], err = entries[i].Response(req); err != nil { //nolint:bodyclose // it is the caller's
			return nil, err
		}
	}
	return found, unkeyed
}

// SaveResponse saves resp, the answer to resp.Request, and reports whether it
// did: only whole responses of status 200 are saved, whose request has a key.
// After redirects, that is the request which began them. A body that cannot be
// decoded is a [DecodeError]. What another host has answered after a redirect is saved
// only if the settings' RedirectHosts name it. Set-Cookie is left out, unless a policy says otherwise.
//
// The body of a response that has a key is read to its end and closed, and resp
// is given an equal one.
func (r Routed) SaveResponse(ctx context.Context, resp *http.Response, opts ...SaveOption) (bool, error) {
	n, err := r.SaveResponses(ctx, []*http.Response{resp}, opts...)
	return n == 1, err
}

// SaveResponses saves responses as [Routed.SaveResponse] does and returns how
// many it saved; of two for one key the later stays. One that cannot be read or decoded does not keep the others
// from being saved; the error joins all.
func (r Routed) SaveResponses(ctx context.Context, resps []*http.Response, opts ...SaveOption) (int, error) {
	var g group
	var failed []error
	for _, resp := range resps {
		if resp == nil || resp.Request == nil || resp.StatusCode != http.StatusOK {
			continue
		}
		first := firstRequest(resp)
		table, key, ok, err := r.route(ctx, first)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if !ok || table.MayCross(resp, key, func() *http.Request { return first }) {
			continue
		}
		if table.IsForeign(resp, nil) {
			table.RefuseForeign()
			continue
		}
		entry, err := readEntry(resp, table.Cookies(ctx))
		if err != nil {
			failed = append(failed, fmt.Errorf("repository %q: %w", table.Name, err))
			continue
		}
		t := g.of(table)
		t.keys, t.entries = append(t.keys, key), append(t.entries, entry)
	}
	saved := 0
	for _, t := range g {
		n, err := saveResponses(ctx, t.table, t.keys, t.entries, opts)
		saved += n
		failed = append(failed, err)
	}
	return saved, errors.Join(failed...)
}

// DeleteResponse removes the response for req and reports whether there was one.
func (r Routed) DeleteResponse(ctx context.Context, req *http.Request) (bool, error) {
	n, err := r.DeleteResponses(ctx, []*http.Request{req})
	return n == 1, err
}

// DeleteResponses removes the responses for the requests and returns how many
// there were.
func (r Routed) DeleteResponses(ctx context.Context, reqs []*http.Request) (int, error) {
	g, unkeyed := r.group(ctx, reqs)
	deleted := 0
	for _, t := range g {
		n, err := t.table.Delete(ctx, t.keys)
		deleted += n
		if err != nil {
			return deleted, errors.Join(unkeyed, err)
		}
	}
	return deleted, unkeyed
}

// firstRequest is the request that led to resp, by redirects or at once.
func firstRequest(resp *http.Response) *http.Request {
	req := resp.Request
	for before := range redirect.Way(req, nil) {
		req = before
	}
	return req
}

package exchange

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/policy"
)

// Cache is what a door finds behind a user's cache.
type Cache struct {
	*Exchange

	// Route returns the table that a request belongs to and its key there, and whether
	// there is one; see also [Table.Place]. Where some is not nil, only tables that it selects are asked, so
	// that others do not read the request's body.
	Route func(req *http.Request, some func(*Table) bool) (*Table, driver.Key, bool, error)

	// Tables are those that requests are routed to.
	Tables func() []*Table

	// Writes are the endpoints that were declared to change what is stored.
	Writes func() []*Write
}

// OfCache returns what is behind a *cache.ResponseCache, and OfRepository the table of a
// *repository.Responses. The packages cache and repository set them: what only doors need
// is no part of what they export.
var (
	OfCache      func(cache any) *Cache
	OfRepository func(responses any) *Table
)

// Route finds the table of a request and its key there, as [Table.Place] does; it is false
// where there is none.
type Route func(ctx context.Context, req *http.Request) (*Table, driver.Key, bool, error)

// PlacedAt returns the *repository.Responses whose typed calls are about the table of another
// origin. Package repository sets it.
var PlacedAt func(responses any, placed *Table) any

// RoutedBy returns the repository.Routed that a route leads to. Package repository sets
// it, for package cache.
var RoutedBy func(route Route) any

// IdentityOf returns a *repository.Identity for the identity that stands in keys as value,
// in tables. Package repository sets it, for package cache.
var IdentityOf func(value string, tables func() []*Table) any

// CachesMethod reports whether requests of that method are cached in the table, by its
// endpoint or by a policy of the rules.
func (t *Table) CachesMethod(method string, r *Rules) bool {
	return slices.Contains(t.Methods, method) || r.Adds(method)
}

// Store is a store whose tables belong to an exchange that is there already.
type Store struct {
	driver.Store
	Exchange *Exchange
}

// MisroutedError is the error of a router that names no table.
type MisroutedError struct{ Err error }

func (e *MisroutedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *MisroutedError) Unwrap() error { return e.Err }

// IsMisrouted reports whether the error is that of a router.
func IsMisrouted(err error) bool {
	var misrouted *MisroutedError
	return errors.As(err, &misrouted)
}

// Unkeyed tells of a request whose key cannot be told.
func (x *Exchange) Unkeyed(err error) {
	x.counts.unkeyed.Add(1)
	x.log.Warn("endpointcache: the key of a request cannot be told", "error", err)
}

// Answers reports whether what is stored answers the ask with a value, without the
// origin.
func (x *Exchange) Answers(ctx context.Context, a *Ask) bool {
	s, err := x.lookup(ctx, a)
	return err == nil && s != nil && s.Entry.Status == http.StatusOK &&
		(s.Fresh(x.Now()) || a.Rules.Use() == policy.Offline && !s.old)
}

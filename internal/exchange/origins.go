package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/weborigin"
	"github.com/endpointcache/endpointcache/settings"
)

// origins are the tables of one declaration. The first origin that is met, by whichever
// process, has the table of the declaration's name; each further one has a table whose name
// ends in the origin's. So those who have one origin pay nothing for it.
type origins struct {
	single bool // one table has all of them
	home   *Table
	last   atomic.Pointer[visit] // what the next request is likely to be like
	view   atomic.Pointer[Table] // of typed calls

	mu     sync.Mutex
	bound  bool // the origin of typed calls is known
	tables map[string]*Table
	others map[string]bool // those with tables of their own, once there can be no more; else nil
}

// mostOrigins is how many origins a declaration has tables for, besides the first: whoever
// can send a client on to hosts of all names should not be able to fill the store with tables.
const mostOrigins = 64

// MostOrigins is how many origins a declaration has tables for.
const MostOrigins = 1 + mostOrigins

// ErrUnkept means that an origin has no table, as there are too many others.
var ErrUnkept = fmt.Errorf("responses of further origins are not kept: the repository has tables for %d", 1+mostOrigins)

// visit is where a request of that scheme and hosts belongs.
type visit struct {
	scheme, host, named string
	table               *Table
}

func newOrigins(home *Table) *origins {
	o := &origins{home: home, tables: make(map[string]*Table)}
	o.single = home.Origin == settings.AnyBaseURL || home.table == nil || endpoint.HasOrigin(home.Endpoint)
	o.view.Store(home)
	return o
}

// HasAllOrigins reports whether one table has the responses of all origins.
func (t *Table) HasAllOrigins() bool { return t.origins.single }

// home is the table of the declaration's name, which is told of what is logged once.
func (t *Table) home() *Table { return t.origins.home }

// View is the table that typed calls are about: that of the origin which is declared, or
// else of the first one that was met.
func (t *Table) View() *Table { return t.origins.view.Load() }

// Family are the tables of all origins that the store has responses of.
func (t *Table) Family(ctx context.Context) ([]*Table, error) {
	o := t.origins
	family := []*Table{o.home}
	if o.single {
		return family, nil
	}
	others, err := t.x.records.items(ctx, declared.OtherOrigins+o.home.Name)
	if err != nil {
		return nil, err
	}
	for _, origin := range others {
		table, err := t.openAt(ctx, origin)
		if err != nil {
			return nil, err
		}
		family = append(family, table)
	}
	return family, nil
}

// AtRequest is the table of the origin that answers a request.
func (t *Table) AtRequest(ctx context.Context, req *http.Request) (*Table, error) {
	o := t.origins
	if o.single {
		return o.home, nil
	}
	if v := o.last.Load(); v != nil && v.host == req.URL.Host && v.scheme == req.URL.Scheme && v.named == req.Host {
		return v.table, nil
	}
	placed, err := t.at(ctx, weborigin.OfRequest(req))
	if err == nil && req.URL.Host != "" {
		o.last.Store(&visit{req.URL.Scheme, req.URL.Host, req.Host, placed})
	}
	return placed, err
}

// AtBase is the table of the API with that base URL, whose path counts, too.
func (t *Table) AtBase(ctx context.Context, base *url.URL) (*Table, error) {
	if t.origins.single {
		return t.origins.home, nil
	}
	return t.at(ctx, originOfBase(base))
}

// originOfBase is the origin of the API with that base URL, empty where it has no host.
func originOfBase(base *url.URL) string {
	origin := weborigin.Of(base)
	if origin == "" {
		return ""
	}
	return origin + strings.TrimSuffix(base.EscapedPath(), "/")
}

// at is the table of an origin, which it opens when it is first met. Without an origin, it
// is that of typed calls.
func (t *Table) at(ctx context.Context, origin string) (*Table, error) {
	o := t.origins
	if origin == "" {
		return t.View(), nil
	}
	placed, err := t.openAt(ctx, origin)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.bound && placed.Keeps() {
		o.bound = true
		o.view.Store(placed)
	}
	return placed, nil
}

// openAt is the table of an origin, which typed calls may not be about.
func (t *Table) openAt(ctx context.Context, origin string) (*Table, error) {
	o := t.origins
	o.mu.Lock()
	defer o.mu.Unlock()
	if placed := o.tables[origin]; placed != nil {
		return placed, nil
	}
	if o.others != nil && !o.others[origin] {
		return o.home.detached(origin), nil
	}
	placed, err := o.open(ctx, origin)
	if err != nil {
		return nil, err
	}
	if placed == nil {
		o.home.x.log.Warn("endpointcache: responses of further origins are not cached", "repository", o.home.Name, "origins", 1+mostOrigins)
		return o.home.detached(origin), nil
	}
	o.tables[origin] = placed
	return placed, nil
}

// open opens the table of an origin that is met for the first time, nil where there are too
// many. The lock is held.
func (o *origins) open(ctx context.Context, origin string) (*Table, error) {
	home := o.home
	var opened atomic.Pointer[Table] // by a goroutine that may go on
	var full atomic.Pointer[map[string]bool]
	err := home.x.guard.do(ctx, home, "get", 1, func(ctx context.Context) error {
		kept, err := home.x.records.claim(ctx, declared.FirstOrigin, home.Name, origin, home.x.Now(), func() error {
			_, err := home.table.Clear(ctx, driver.Filter{}) // nobody knows whose responses these are
			return err
		})
		if err != nil {
			return err
		}
		if kept == origin {
			opened.Store(home)
			return nil
		}
		others, err := o.claimOther(ctx, origin)
		if err != nil || !others[origin] {
			full.Store(&others)
			return err
		}
		table, err := home.sibling(ctx, origin)
		if err == nil {
			opened.Store(table)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if others := full.Load(); others != nil {
		o.others = *others
	}
	return opened.Load(), nil
}

// claimOther notes that there is a table for an origin besides the first, unless there are
// too many, and returns the origins that have one. Processes that do so at once may exceed the
// limit by a few.
func (o *origins) claimOther(ctx context.Context, origin string) (map[string]bool, error) {
	records, kind := &o.home.x.records, declared.OtherOrigins+o.home.Name
	known, err := records.items(ctx, kind)
	if err != nil {
		return nil, err
	}
	others := make(map[string]bool, len(known)+1)
	for _, other := range known {
		others[other] = true
	}
	if others[origin] || len(others) >= mostOrigins {
		return others, nil
	}
	_, err = records.claim(ctx, kind, origin, declared.OriginTable(o.home.Name, origin), o.home.x.Now(), nil)
	others[origin] = true
	return others, err
}

// sibling opens the table of another origin than the declaration's first.
func (t *Table) sibling(ctx context.Context, origin string) (*Table, error) {
	s := t.x.newTable(t.Declaration, t.fixed, t.hosts, t.redactor)
	s.Name, s.stored, s.origins = declared.OriginTable(t.Name, origin), declared.OriginTable(t.stored, origin), t.origins
	s.flying = t.x.flights.ofTable(s.Name)
	store := t.x.records.keptIn()
	table, err := store.OpenTable(ctx, s.Spec())
	if err != nil {
		return nil, err
	}
	return s, s.take(ctx, store, table)
}

// Detached is a table for a request whose own cannot be told, as the store does not answer:
// nothing is found or kept, and equal requests at one time share a flight.
func (t *Table) Detached(req *http.Request) *Table { return t.detached(weborigin.OfRequest(req)) }

// DetachedBase is [Table.Detached] for the API with that base URL.
func (t *Table) DetachedBase(base *url.URL) *Table { return t.detached(originOfBase(base)) }

func (t *Table) detached(origin string) *Table {
	d := t.x.newTable(t.Declaration, t.fixed, t.hosts, t.redactor)
	d.Name, d.origins, d.flying = declared.OriginTable(t.Name, origin), t.origins, new(atomic.Int64)
	return d
}

// checkName reports a name of a repository whose table may be one that caches make
// themselves.
func checkName(name string) error {
	switch {
	case declared.Own(name):
		return fmt.Errorf("repository %q: a table of that name is the cache's own", name)
	case declared.Derived(name):
		return fmt.Errorf("repository %q: names with an origin behind an @, or that end in ~ and a number, are for the further tables of repositories", name)
	}
	return nil
}

// bind opens the table of the declaration's own origin, which typed calls are about.
func (t *Table) bind(ctx context.Context) error {
	origin := t.Origin
	if origin == "" || t.origins.single {
		return nil
	}
	base, err := url.Parse(origin)
	if err != nil {
		return errors.New("origin cannot be parsed")
	}
	_, err = t.AtBase(ctx, base)
	return err
}

// HasOrigin reports whether tables that do not say have an origin nevertheless.
func (x *Exchange) HasOrigin() bool { return x.opts.Origin != "" }

// columns are the key columns of the declaration's tables.
func (d *Declaration) columns() []driver.Column { return declared.Columns(d.Declared) }

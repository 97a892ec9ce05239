package exchange

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/bounds"
	"github.com/endpointcache/endpointcache/internal/compress"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/settings"
)

// Declaration is what an exchange needs to know of a table: a repository's settings,
// without their types.
type Declaration struct {
	Name         string
	Key          []driver.Column
	Expire       time.Duration // how long responses live where no policy tells; negative: for ever
	ExpireAbsent time.Duration // how long a 404 or 410 is remembered; 0: not at all, negative: for ever
	Policy       policy.Policy
	Methods      []string // that the endpoint names
	Endpoint     any      // request.Endpoint[K], nil for none

	// Declared is what the store remembers of it, Changed what happens if that is another one
	// from which no migration leads here, and Migration what leads here.
	Declared  settings.Declaration
	Changed   settings.Change
	Migration func(stored settings.Declaration) (settings.Step, bool)

	Scope    settings.Scope
	Identity func(*http.Request) string // nil: the exchange's
	Origin   string                     // of typed calls, see settings.RepositorySettings

	// RedirectHosts are the hosts whose answers are kept, besides the one that was asked.
	RedirectHosts []string

	Redact redact.Rules
	Limit  settings.Limit

	Compression settings.Compression

	// Match takes the key from a request, false where it is not the endpoint's.
	Match func(*http.Request) (driver.Key, bool, error)

	// Request makes a request for a key without an identity; nil where there is no endpoint.
	Request func(ctx context.Context, base *url.URL, key driver.Key) (*http.Request, error)

	// Decode returns the value that a body holds, and its name. Where no value is
	// wanted, it does no more than tell whether there is one.
	Decode func(body []byte, wanted bool) (value any, name string, err error)

	// TypedKey is the K of a key, for errors; nil where it cannot be told.
	TypedKey func(driver.Key) any

	// KeyType is K, and KeyOf the key of a K.
	KeyType reflect.Type
	KeyOf   func(typed any) (driver.Key, error)

	// Beside names the columns of the key that do not come from the URL: an unsafe request
	// makes all entries of its URL old, whatever these columns hold.
	Beside []string

	// MatchURL takes the key of a request's URL, whose other columns hold anything; nil
	// where the endpoint does not tell it.
	MatchURL func(*http.Request) (driver.Key, bool)

	// Tags are those of an entry with that value, nil for an entry without; nil where
	// entries have none.
	Tags func(key driver.Key, value any) []string
}

// Table is the table of one declaration. All writes to it, whichever door or method
// makes them, outdate what was asked for before.
type Table struct {
	Declaration
	x        *Exchange
	stored   string       // the table's name in the store, which is another than Name after a change
	table    driver.Table // nil: nothing is stored
	base     driver.Table // as the store has it, without the layers of table
	traits   driver.Traits
	isPrompt bool
	near     driver.NearTable    // the table, where some of its entries are near; else nil
	keeper   driver.KeepingTable // the table, where it keeps payloads as they are; else nil
	probeKey driver.Key
	fixed    *Rules
	hosts    redirect.Hosts
	foreign  sync.Once // tells that an answer of another host was not kept
	redactor *redact.Redactor
	saver    saver
	flying   *atomic.Int64 // flights of a table of that name that have not landed
	origins  *origins
	marked   *marked // table, where its entries have marks; else nil
	decoding sync.Once
	decodes  *compress.Decoder // for who examines entries

	raw bool // it was opened without its declaration

	unscoped, anonymous, unplaced atomic.Bool // whether it was logged that requests bypass it
}

// Open returns the table of a declaration in the store, which creates it where it is
// absent. With a nil store there is none: nothing is found or kept, and equal asks at
// one time still share a flight.
func (x *Exchange) Open(ctx context.Context, store driver.Store, d Declaration) (*Table, error) {
	if err := checkName(d.Name); err != nil {
		return nil, err
	}
	own := newLayer(withAbsences(d.Policy, d.ExpireAbsent))
	if own.err != nil {
		return nil, own.err
	}
	hosts, err := redirect.ParseHosts(d.RedirectHosts)
	if err != nil {
		return nil, err
	}
	redactor, err := redact.New(x.opts.Redact, d.Redact)
	if err != nil {
		return nil, err
	}
	if d.Scope == settings.Undeclared {
		d.Scope = x.opts.Scope
	}
	if d.Origin == "" {
		d.Origin = x.opts.Origin
	}
	fixed := fixedRules(own, x.general)
	d.declare(x.Now(), fixed.Controls())
	t := x.newTable(d, fixed, hosts, redactor)
	if store != nil {
		x.Use(store)
		if err := t.open(ctx, store); err != nil {
			return nil, err
		}
	}
	t.origins = newOrigins(t)
	return t, t.bind(ctx)
}

// newTable makes a table that keeps nothing.
func (x *Exchange) newTable(d Declaration, fixed *Rules, hosts redirect.Hosts, redactor *redact.Redactor) *Table {
	t := &Table{Declaration: d, x: x, fixed: fixed, hosts: hosts, redactor: redactor, flying: x.flights.ofTable(d.Name)}
	t.saver.init()
	return t
}

// take makes the table one of the store's.
func (t *Table) take(ctx context.Context, store driver.Store, table driver.Table) (err error) {
	spec := t.Spec()
	for _, column := range spec.Key {
		t.probeKey = append(t.probeKey, map[driver.Kind]driver.Value{driver.String: "", driver.Int: int64(0), driver.Bool: false}[column.Kind])
	}
	t.base = table
	if t.table, err = t.x.keep(store, table, spec, t.upkeep()); err != nil {
		return err
	}
	t.table = t.x.through(t.table, t.Name, t.Compression)
	t.keeper, _ = t.table.(driver.KeepingTable)
	t.near, _ = t.table.(driver.NearTable)
	if err := t.mark(ctx); err != nil {
		return err
	}
	t.traits = store.Traits()
	_, t.isPrompt = t.table.(driver.PromptTable)
	return nil
}

// upkeep is what the table's declaration says of it; nil where there is none.
func (t *Table) upkeep() *bounds.Declared {
	if t.raw {
		return nil
	}
	return &bounds.Declared{Limit: t.Limit, KeepExpired: t.fixed.standsIn()}
}

// Use lets the exchange keep in the store what belongs to no table.
func (x *Exchange) Use(store driver.Store) {
	x.vary.use(store)
	x.records.use(store)
	x.dictionaries.use(store)
	x.leases.use(store)
}

// withAbsences adds the expiry of 404 and 410 to a policy that does not have them.
func withAbsences(p policy.Policy, expire time.Duration) policy.Policy {
	if expire == 0 {
		return p
	}
	e := policy.After(expire)
	if expire < 0 {
		e = policy.Never()
	}
	statuses := map[int]policy.Expiry{http.StatusNotFound: e, http.StatusGone: e}
	for status, own := range p.ExpireStatus {
		statuses[status] = own
	}
	p.ExpireStatus = statuses
	return p
}

// Exchange is the one that the table belongs to.
func (t *Table) Exchange() *Exchange { return t.x }

// SharesPayload reports whether payloads are the stored bytes themselves.
func (t *Table) SharesPayload() bool { return t.traits.SharesPayload }

// Keeps reports whether the table keeps anything.
func (t *Table) Keeps() bool { return t.table != nil }

func (t *Table) flightKey(key driver.Key) flightKey { return flightKey{t.Name, encodeKey(key)} }

// unhurried limits the operations of callers that set no deadline: one that waits for
// another program's lock would wait for ever.
const unhurried = time.Minute

var errNoDeadline = errors.New("the store did not answer within a minute, and the context has no deadline")

func limitless(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx == nil {
		return nil, func() {} // the store refuses it
	}
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, unhurried, errNoDeadline)
}

// Put stores entries, see [driver.Table].
func (t *Table) Put(ctx context.Context, entries []driver.Entry) error {
	ctx, cancel := limitless(ctx)
	defer cancel()
	if t.flying.Load() > 0 {
		keys := make([]driver.Key, len(entries))
		for i := range entries {
			keys[i] = entries[i].Key
		}
		t.outdate(ctx, keys)
	}
	return explained(ctx, t.table.Put(ctx, entries))
}

// PutNewer stores those of the entries that are newer than what is stored, and reports
// which these were. No two have the same key.
func (t *Table) PutNewer(ctx context.Context, entries []driver.Entry) ([]bool, error) {
	ctx, cancel := limitless(ctx)
	defer cancel()
	stored, err := t.table.PutIf(ctx, entries, driver.Condition{If: driver.IfNewer})
	return stored, explained(ctx, err)
}

// Try runs an operation on n keys of the table's store as calls do for which the store is
// no more than a help: one that fails or is slow is logged and counted. After an error it
// may go on.
func (t *Table) Try(ctx context.Context, op string, n int, run func(context.Context) error) error {
	return t.x.guard.do(ctx, t, op, n, run)
}

// Delete removes entries, see [driver.Table].
func (t *Table) Delete(ctx context.Context, keys []driver.Key) (int, error) {
	ctx, cancel := limitless(ctx)
	defer cancel()
	t.outdate(ctx, keys)
	n, err := t.table.Delete(ctx, keys)
	return n, explained(ctx, err)
}

// Pop removes an entry and returns it, see [driver.Table].
func (t *Table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (driver.Entry, bool, error) {
	ctx, cancel := limitless(ctx)
	defer cancel()
	t.outdate(ctx, []driver.Key{key})
	e, ok, err := t.table.Pop(ctx, key, f)
	return e, ok, explained(ctx, err)
}

// Clear removes the entries that the filter selects. Expired ones tell nothing of what
// is under way.
func (t *Table) Clear(ctx context.Context, f driver.Filter) (int, error) {
	if f.State != driver.Expired {
		t.outdateAll(ctx)
	}
	return t.table.Clear(ctx, f)
}

// Cookies reports whether calls with ctx keep and replay cookies.
func (t *Table) Cookies(ctx context.Context) bool {
	for _, p := range policy.Of(ctx) {
		if p.Cookies != 0 {
			return p.Cookies == policy.On
		}
	}
	return t.fixed.Cookies()
}

// Header is an encoded header as calls with ctx may save and see it.
func (t *Table) Header(ctx context.Context, encoded string) string {
	if t.Cookies(ctx) {
		return encoded
	}
	return head.StripCookies(encoded)
}

// IsForeign reports whether an answer is that of a host which may not answer for the
// table: a redirect has led there. The way of redirects begins after the response until,
// which is nil for all of it.
func (t *Table) IsForeign(resp *http.Response, until *http.Response) bool {
	return !t.hosts.Stay(resp.Request, until)
}

// RefuseForeign counts an answer that is not kept as it is another host's.
func (t *Table) RefuseForeign() {
	t.x.counts.foreign.Add(1)
	t.home().foreign.Do(func() {
		t.x.log.Warn("endpointcache: redirects lead to another host, whose answers are not kept; see RedirectHosts of the repository's settings",
			"repository", t.Name)
	})
}

// Get reads entries, see [driver.Table].
func (t *Table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	if t.getNear(ctx, keys, sel, visit) {
		return nil
	}
	return t.table.Get(ctx, keys, sel, visit)
}

// Count counts entries, see [driver.Table].
func (t *Table) Count(ctx context.Context, f driver.Filter) (int, error) {
	return t.table.Count(ctx, f)
}

// Entries yields entries, see [driver.Table].
func (t *Table) Entries(ctx context.Context, sel driver.Selection) iter.Seq2[driver.Entry, error] {
	return t.table.Entries(ctx, sel)
}

func explained(ctx context.Context, err error) error {
	if err != nil && ctx != nil && errors.Is(context.Cause(ctx), errNoDeadline) {
		return fmt.Errorf("%w: %w", errNoDeadline, err)
	}
	return err
}

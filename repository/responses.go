package repository

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Responses is a repository without its types: the part that a collection of
// repositories works with. Each [ResponseRepository] has one.
type Responses struct {
	Routed // to this repository alone
	table  *exchange.Table

	// view is the table that typed calls are about, those of all origins being table's.
	view func(context.Context) (*exchange.Table, error)
}

func init() {
	exchange.EntryOf = func(ctx context.Context, t *exchange.Table, e driver.Entry) any { return newEntry(ctx, t, e) }
	exchange.HeadOf = func(entry any) string { return entry.(Entry).head }
	exchange.OfRepository = func(responses any) *exchange.Table { return responses.(*Responses).table }
	exchange.Bind = func(responses any, view func(context.Context) (*exchange.Table, error)) any {
		bound := *responses.(*Responses)
		bound.view = view
		return &bound
	}
}

func newResponses(t *exchange.Table) *Responses {
	r := &Responses{table: t}
	r.view = func(context.Context) (*exchange.Table, error) { return t.View(), nil }
	r.Routed = Routed{func(ctx context.Context, req *http.Request) (*exchange.Table, driver.Key, bool, error) {
		key, ok, err := t.Match(req)
		if !ok {
			return nil, nil, false, err
		}
		return t.Place(ctx, req, key, nil)
	}}
	return r
}

// Name is the repository's name, and its table's.
func (r *Responses) Name() string { return r.table.Name }

// Expire is how long a response lives where neither its save nor a policy says
// otherwise; settings.NeverExpire is for ever.
func (r *Responses) Expire() time.Duration { return r.table.Expire }

// Count returns how many entries are in that state, whatever their status: those that
// remember an absence count, too. Those of all identities count, and of all
// origins. It reads no payloads.
func (r *Responses) Count(ctx context.Context, state State) (int, error) {
	return r.sum(ctx, func(t *exchange.Table) (int, error) { return t.Count(ctx, filterOf(t, state)) })
}

// Clear removes the entries that [Responses.Count] counts and returns how many there were.
// It touches no other repository.
func (r *Responses) Clear(ctx context.Context, state State) (int, error) {
	return r.sum(ctx, func(t *exchange.Table) (int, error) { return t.Clear(ctx, filterOf(t, state)) })
}

func (r *Responses) sum(ctx context.Context, of func(*exchange.Table) (int, error)) (sum int, err error) {
	family, err := r.table.Family(ctx)
	if err != nil {
		return 0, err
	}
	for _, t := range family {
		n, err := of(t)
		sum += n
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

func (r *Responses) filter(state State) driver.Filter { return filterOf(r.table, state) }

func filterOf(t *exchange.Table, state State) driver.Filter {
	return driver.Filter{State: state, Now: exchange.Instant(t.Exchange().Now())}
}

func (r *Responses) selection(parts driver.Parts, opts []ReadOption) driver.Selection {
	return selectionOf(r.table, parts, opts)
}

func selectionOf(t *exchange.Table, parts driver.Parts, opts []ReadOption) driver.Selection {
	read := reading{state: Live}
	for _, opt := range opts {
		if opt != nil {
			opt(&read)
		}
	}
	return driver.Selection{Filter: filterOf(t, read.state), Parts: parts}
}

func newSaving(t *exchange.Table, opts []SaveOption) (saving, error) {
	s := saving{now: t.Exchange().Stamp()}
	s.expiry = expiryIn(t.Expire)
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if s.err != nil {
		return s, fmt.Errorf("repository %q: save: %w", t.Name, s.err)
	}
	s.expires = s.expiry(s.now)
	return s, nil
}

// put stores entries, of two with the same key the later.
func (s *saving) put(ctx context.Context, t *exchange.Table, rows []driver.Entry) error {
	if !s.asOf {
		return t.Put(ctx, rows)
	}
	_, err := t.PutNewer(ctx, exchange.LastOfEach(rows, false))
	return err
}

// newEntry is a stored entry as calls with ctx see it.
func newEntry(ctx context.Context, t *exchange.Table, e driver.Entry) Entry {
	return Entry{
		Name: e.Name, Status: e.Status, Payload: e.Payload,
		CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt, head: t.Header(ctx, e.Header),
	}
}

// own makes a payload that the store returned the caller's own.
func (r *Responses) own(payload []byte) []byte {
	if r.table.SharesPayload() {
		return append([]byte{}, payload...)
	}
	return payload
}

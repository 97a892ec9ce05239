package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Verdict is what a request would bring about now.
type Verdict uint8

// The verdicts.
const (
	Serve         = Verdict(exchange.Serve)         // what is stored is the answer
	ServeAndRenew = Verdict(exchange.ServeAndRenew) // it is the answer, and the origin is asked in the background
	Revalidate    = Verdict(exchange.Revalidate)    // the origin is asked whether what is stored still holds
	Fetch         = Verdict(exchange.Fetch)         // the origin is asked for the response
	Unanswered    = Verdict(exchange.Unanswered)    // there is no answer, as the origin is not to be asked
)

func (v Verdict) String() string {
	switch v {
	case Serve:
		return "serve"
	case ServeAndRenew:
		return "serve and renew"
	case Revalidate:
		return "revalidate"
	case Fetch:
		return "fetch"
	case Unanswered:
		return "unanswered"
	default:
		return fmt.Sprintf("Verdict(%d)", uint8(v))
	}
}

// Explanation tells what a request for a stored response would bring about, and why.
type Explanation struct {
	Verdict Verdict

	// Reasons are sentences, the deciding one first: "It is fresh for another 3h20m." They have
	// no headers' values and no bodies in them. They are for people, and may change.
	Reasons []string

	// Declared is true if the cache has the repository, so that its policy was asked. Otherwise the
	// explanation stands on the times and headers that are stored, as if the response's own
	// headers decided.
	Declared bool

	Age time.Duration // RFC 9111, section 4.2.3

	// The instants of the response's life. A zero ExpiresAt: never. The others are zero where they do
	// not apply: until when it may be served while it is renewed, and until when it may stand in
	// where the origin cannot be reached.
	CachedAt, ExpiresAt, RenewableUntil, StandsInUntil time.Time

	Validator bool // the origin can be asked whether it still holds: it has an ETag or Last-Modified
	Outdated  bool // an invalidation has made it old, whatever its expiry is
}

func explanation(e exchange.Explanation) Explanation {
	return Explanation{
		Verdict: Verdict(e.Verdict), Reasons: e.Reasons, Declared: e.Declared, Age: e.Age,
		CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt, RenewableUntil: e.RenewableUntil, StandsInUntil: e.StandsInUntil,
		Validator: e.Validator, Outdated: e.Outdated,
	}
}

// Explain tells what a plain request for e would bring about now: a GET without conditions, with
// those headers by which e varies, under the policies of the cache, of the repository, and of
// ctx. For a repository without an endpoint, it is a typed call. e is one of these contents; its
// body is not needed. Explain asks neither the origin nor for leases, and changes nothing.
//
// The error wraps [ErrNotFound] where there is no such table.
func (s *Contents) Explain(ctx context.Context, e Stored) (Explanation, error) {
	listed, t, err := s.find(ctx, e.Table)
	if err != nil {
		return Explanation{}, err
	}
	entry, err := e.entry(t)
	if err != nil {
		return Explanation{}, fmt.Errorf("cache: explain: %w", err)
	}
	asked := exchange.Asked{Typed: !t.Undeclared() && t.Endpoint == nil}
	if req, err := s.request(ctx, listed, t, entry.Key, e.Origin); err == nil {
		asked.Request = req
	}
	told, err := t.Explain(ctx, entry, asked)
	return explanation(told), err
}

// entry is a stored response as the exchange knows it.
func (e Stored) entry(t *exchange.Table) (driver.Entry, error) {
	values := make([]any, len(e.Key))
	for i, column := range e.Key {
		values[i] = column.Value
	}
	key, err := keyOf(t.Spec(), values)
	if err != nil {
		return driver.Entry{}, err
	}
	return driver.Entry{
		Key: key, Name: e.Name, Status: e.Status, Header: exchange.HeadOf(e.Entry), Payload: e.Payload,
		CachedAt: e.CachedAt, ExpiresAt: e.ExpiresAt, UsedAt: e.UsedAt, Size: e.Size,
	}, nil
}

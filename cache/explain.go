package cache

import (
	"context"
	"errors"
	"time"
)

// Verdict is what a request would bring about now.
type Verdict uint8

// The verdicts.
const (
	Serve         Verdict = iota + 1 // what is stored is the answer
	ServeAndRenew                    // it is the answer, and the origin is asked in the background
	Revalidate                       // the origin is asked whether what is stored still holds
	Fetch                            // the origin is asked for the response
	Unanswered                       // there is no answer, as the origin is not to be asked
)

// Explanation tells what a request for a stored response would bring about, and why.
type Explanation struct {
	Verdict Verdict

	// Reasons are sentences, the deciding one first, without secrets: "It is fresh for another
	// 3h20m." They are for people, and may change.
	Reasons []string

	// Declared is true if the cache has the repository, so that its policy was asked. Otherwise the
	// explanation stands on the times and headers that are stored alone.
	Declared bool

	Age time.Duration // RFC 9111, section 4.2.3

	// The instants of the response's life. A zero ExpiresAt: never. The others are zero where they do
	// not apply: until when it may be served while it is renewed, and until when it may stand in
	// where the origin fails.
	CachedAt, ExpiresAt, RenewableUntil, StandsInUntil time.Time

	Validator bool // the origin can be asked whether it still holds: it has an ETag or Last-Modified
	Outdated  bool // an invalidation has made it old, whatever its expiry is
}

// Explain tells what a plain request for e would bring about now. e is one of these contents; its body is
// not needed.
func (s *Contents) Explain(ctx context.Context, e Stored) (Explanation, error) {
	return Explanation{}, errors.ErrUnsupported
}

// Package hooks tells a program what its caches do while they do it: for metrics, traces and
// logs of the program's own. Package observe stands on it, and makes the metrics and traces of
// OpenTelemetry.
//
// Set the functions that you want to be called:
//
//	c, err := cache.New(store, &cache.Options{Hooks: hooks.Hooks{
//		Answered: func(ctx context.Context, a hooks.Answer) {
//			answers.Add(a.Result.String(), int64(a.Keys)) // an expvar.Map
//		},
//	}})
//
// The work that a function is told of waits for it: it should be quick. Many goroutines may call them at once, never with a lock held, so they may use the
// cache. One that panics is logged and counted among the cache's Stats, and does no other harm.
// A function that is not set costs a comparison with nil.
//
// No event contains a key, a URL, a header, a body or the text of an error, so they can go where
// everyone may look. An ErrorType is the kind of an error, one of
//
//	cancelled, timeout, dns, tls, connection, closed, too_large, schema, panic, other
//
// or, where the origin's last response is the failure, its status of 400 or more in digits. It is
// empty where there is no error.
package hooks

import (
	"context"
	"time"
)

// Hooks are the functions that a cache calls. The zero value calls none. Versions to come may
// add functions.
type Hooks struct {
	// Answered is called for each answer that a transport, a fetcher, a prefetch or a walk
	// through pages has got for its caller. A call for many keys is told once for each kind of
	// result. What is read from repositories themselves is not told here; [Store] tells of it.
	Answered func(context.Context, Answer)

	// Requesting is called before a request to the origin, with a context that has the values
	// of the one who wants it: with several, those of the first. It returns the context that
	// the request is made with, made of the given one, and a function that is called when the
	// request has ended, both of which may be nil.
	Requesting func(context.Context, Request) (context.Context, func(RequestEnd))

	// Renewing is called when a renewal in the background begins, and when it ends. Its
	// context has the values of the caller's whose answer has brought it about.
	Renewing func(context.Context, Renewal)

	// Evicted is called when entries have left in the background: the cache's or a repository's
	// limit was reached, or they had expired. What a store removes by itself is not told.
	Evicted func(context.Context, Eviction)

	// Damaged is called when entries were found that are not as they had been saved. They are
	// not used.
	Damaged func(context.Context, Damage)

	// StoreFailed is called for each operation on the store that an answer had to do without: it
	// has failed or taken too long, or was not tried as the store is left alone. Failures of
	// calls on repositories themselves are the caller's to see.
	StoreFailed func(context.Context, StoreFailure)

	// StoreState is called when the cache begins to leave the store alone, as it fails, and
	// when it uses it again.
	StoreState func(context.Context, StoreState)

	// Lease is called for what becomes of leases, by which one process of several asks the
	// origin for a key.
	Lease func(context.Context, LeaseEvent)

	// Prefetching is called when a run of package prefetch begins. It returns a function that
	// is told of the progress, about ten times a second and at the end, by one goroutine at a
	// time; it may be nil.
	Prefetching func(context.Context, Prefetch) func(Progress)
}

// Answer tells how a caller was answered.
type Answer struct {
	Repository string // empty where the request belongs to none
	Store      string // the kind of the cache's store, such as "sqlite"
	Result     Result
	Keys       int // 1 or more, of one call

	// Duration is the time from the call to the answer; that to a RoundTrip comes before its
	// body. 0: it was not measured, as for the keys of a prefetch.
	Duration time.Duration
}

// Result is the kind of an answer.
type Result uint8

// The kinds of answers. Each answer is of one.
const (
	Fresh       Result = iota + 1 // from the store, not expired
	Stale                         // from the store, expired: the policy lets it be used meanwhile, or the origin failed or was slow
	Revalidated                   // from the store, as the origin has confirmed by a 304
	Absent                        // the store remembers that the origin has nothing, a 404 or 410
	Coalesced                     // by a request that another caller had begun
	Fetched                       // by a request that this call has begun, also where the origin has nothing
	Failed                        // no answer, or one with a status of 400 and more, except 404 and 410
	Unanswered                    // neither stored nor to be asked for
	Bypassed                      // not for the cache: no repository, a method that is not cached, nobody knows whose
	Cancelled                     // the caller's context ended, or the cache or client was closed, before there was an answer

	// Results is the number of kinds and 1: they are less.
	Results
)

// String is the kind in lower case.
func (r Result) String() string {
	return name(int(r), "fresh", "stale", "revalidated", "absent", "coalesced", "fetched", "failed", "unanswered", "bypassed", "cancelled")
}

// Request is a request to the origin.
type Request struct {
	Repository  string
	Store       string // the kind of the cache's store
	Method      string
	Keys        int  // how many it is for: with a request.Batch, more than 1
	Conditional bool // it asks whether what is stored still holds
	Background  bool // it renews what has been an answer already
}

// RequestEnd is how a request to the origin has ended: when the body was read or closed, or
// there is an error.
type RequestEnd struct {
	Status    int    // of the last response; 0: there was none
	Attempts  int    // how often it was sent; 0: not at all
	Bytes     int64  // of the body as far as it was read, after Content-Encoding where the client decodes it
	ErrorType string // its kind, see above
	Duration  time.Duration
}

// Renewal is a renewal of a stored answer in the background: ahead of its expiry, or after it
// (stale-while-revalidate).
type Renewal struct {
	Repository string
	Store      string // the kind of the cache's store
	Outcome    Outcome
	Duration   time.Duration // since it began
}

// Outcome is what becomes of a renewal.
type Outcome uint8

// The outcomes of renewals. Each that has begun has another one at the end.
const (
	RenewalBegun     Outcome = iota + 1
	RenewalFetched           // by a new answer, which another process may have asked for
	RenewalConfirmed         // by a 304
	RenewalFailed            // what is stored stays as it is
)

// String is the outcome in lower case.
func (o Outcome) String() string { return name(int(o), "begun", "fetched", "confirmed", "failed") }

// Eviction is a number of entries that have left.
type Eviction struct {
	Repository string
	Store      string // the kind of the cache's store
	Reason     Reason
	Entries    int
	Bytes      int64 // as far as they are known: 0 for what had expired
}

// Reason is why entries leave.
type Reason uint8

// The reasons.
const (
	OverLimit Reason = iota + 1 // to keep a limit, see settings.Limit
	Expired                     // they had expired long enough ago, or leave first where a limit is reached
)

// String is the reason in lower case.
func (r Reason) String() string { return name(int(r), "limit", "expired") }

// Damage is a number of damaged entries.
type Damage struct {
	Repository string
	Store      string // the kind of the cache's store
	Entries    int
}

// StoreFailure is an operation on the store that was of no use.
type StoreFailure struct {
	Repository string
	Store      string // the kind of the cache's store
	Operation  string // "get" or "save"
	Skipped    bool   // it was not tried
	ErrorType  string // its kind, see above
}

// StoreState is whether the store is used.
type StoreState struct {
	Store    string // its kind
	LeftOut  bool   // the cache does without it, except for a try now and then
	Failures int64  // operations that have failed since it worked last
	Skipped  int64  // operations that were not tried since then
}

// LeaseEvent is what has become of leases.
type LeaseEvent struct {
	Repository string
	Store      string // the kind of the cache's store
	Keys       int
	Outcome    LeaseOutcome
	Waited     time.Duration // for another process, the longest of them; 0: not at all, or unknown
}

// LeaseOutcome is what becomes of a lease.
type LeaseOutcome uint8

// The outcomes of leases.
const (
	LeaseAcquired  LeaseOutcome = iota + 1 // this process asks the origin
	LeaseAwaited                           // another process has asked, and its answer is stored: the caller's is Fresh
	LeaseTakenOver                         // another process has ended without an answer, and this one asks
	LeaseFailed                            // this process asks without a lease: the store has failed, or the other's answer cannot be shared
)

// String is the outcome in lower case.
func (o LeaseOutcome) String() string {
	return name(int(o), "acquired", "awaited", "taken_over", "failed")
}

// Prefetch is a run of package prefetch.
type Prefetch struct {
	Repository string
	Store      string // the kind of the cache's store
}

// name is the i-th of the names, from 1.
func name(i int, names ...string) string {
	if i < 1 || i > len(names) {
		return "unknown"
	}
	return names[i-1]
}

package prefetch

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/human"
)

// Status tells what became of a key, as it does for a fetch.Fetcher.
type Status = fetch.Status

// What becomes of keys.
const (
	Cached    = fetch.Cached    // it was there
	Fetched   = fetch.Fetched   // it was fetched and has been saved
	Confirmed = fetch.Confirmed // the origin has said, by a 304, that what is stored still holds
	Stale     = fetch.Stale     // the origin failed, and a policy lets what is stored be used
	Absent    = fetch.Absent    // the origin has nothing for it, or is remembered to have nothing
	Failed    = fetch.Failed    // it is not there, see [Item.Err]
	Cancelled = fetch.Cancelled // the run ended before it was decided
)

// Item is a key and what became of it.
type Item[K comparable] struct {
	Key    K
	Status Status
	Err    error // why it has failed, or is stale
}

// Result says what a run has done.
type Result[K comparable] struct {
	// Items are the keys in the order of the input, each once. Keys that an
	// interrupted run did not take from the sequence are left out. It is nil
	// after [Each].
	Items []Item[K]

	Cached    int
	Fetched   int
	Confirmed int // by a 304, see [Options.Refresh]
	Stale     int // the origin failed, and a policy lets what is stored be used
	Absent    int
	Failed    int
	Cancelled int

	// Causes are the reasons for which keys have failed, the most frequent first.
	Causes []Cause[K]

	// NoRetriesLeft reports that a request was not retried because the budget was used up,
	// see [Options.RetryBudget].
	NoRetriesLeft bool

	Requests int   // requests that were sent, retries included
	Bytes    int64 // the size of the bodies that were fetched and saved
	Elapsed  time.Duration
}

// Failures yields the keys that failed, and why. After [Each] there are none.
func (r *Result[K]) Failures() iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		for _, item := range r.Items {
			if item.Status == Failed && !yield(item.Key, item.Err) {
				return
			}
		}
	}
}

// Report is a text about the result for people to read: a line with the counts, and
// one for each cause of failures.
func (r *Result[K]) Report() string {
	var b strings.Builder
	keys := r.Cached + r.Fetched + r.Confirmed + r.Stale + r.Absent + r.Failed + r.Cancelled
	fmt.Fprintf(&b, "%s in %s: %s cached, %s fetched, %s absent, %s failed", human.Things(keys, "key", "keys"), human.Precise(r.Elapsed),
		human.Count(r.Cached), human.Count(r.Fetched), human.Count(r.Absent), human.Count(r.Failed))
	for _, more := range []struct {
		count int
		name  string
	}{{r.Confirmed, "confirmed"}, {r.Stale, "stale"}, {r.Cancelled, "cancelled"}} {
		if more.count > 0 {
			fmt.Fprintf(&b, ", %s %s", human.Count(more.count), more.name)
		}
	}
	fmt.Fprintf(&b, "; %s, %s saved\n", human.Things(r.Requests, "request", "requests"), human.Size(r.Bytes))
	for _, cause := range r.Causes {
		fmt.Fprintf(&b, "%s failed: %v\n", human.Count(cause.Count), cause)
	}
	if r.NoRetriesLeft {
		b.WriteString("the budget of retries is used up\n")
	}
	return b.String()
}

// ErrMaxFailures means that as many keys in a row have failed as
// [Options.MaxFailures] says.
var ErrMaxFailures = errors.New("prefetch: too many failures in a row")

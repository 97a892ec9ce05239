package prefetch

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"
)

// Status tells what became of a key.
type Status uint8

// What becomes of keys.
const (
	Cached  Status = iota + 1 // it was there
	Fetched                   // it was fetched and has been saved
	Failed                    // it is not there, see [Item.Err]
)

func (s Status) String() string {
	switch s {
	case Cached:
		return "cached"
	case Fetched:
		return "fetched"
	case Failed:
		return "failed"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// Item is a key and what became of it.
type Item[K comparable] struct {
	Key    K
	Status Status
	Err    error // why it has failed
}

// Result is what a run has done.
type Result[K comparable] struct {
	// Items are the keys in the order of the input, each once. Keys that an
	// interrupted run did not come to are left out.
	Items []Item[K]

	Cached  int
	Fetched int
	Failed  int

	Bytes   int64 // the size of the bodies that were fetched and saved
	Elapsed time.Duration
}

// Failures yields the keys that failed, and why.
func (r *Result[K]) Failures() iter.Seq2[K, error] {
	return func(yield func(K, error) bool) {
		for _, item := range r.Items {
			if item.Status == Failed && !yield(item.Key, item.Err) {
				return
			}
		}
	}
}

// Progress is how far a run has come.
type Progress struct {
	Done    int // Cached + Fetched + Failed
	Total   int // Options.Total until the number of keys is known
	Cached  int
	Fetched int // saved, too
	Failed  int

	InFlight int   // requests that are not answered yet
	Bytes    int64 // the size of the bodies that were fetched and saved
	Elapsed  time.Duration
}

// ErrMaxFailures means that as many keys in a row have failed as
// [Options.MaxFailures] says.
var ErrMaxFailures = errors.New("prefetch: too many failures in a row")

// StatusError tells that a server did not answer with status 200, which is the
// only one that is saved, on any attempt.
type StatusError struct {
	Code   int
	Method string
	URL    string // without user, query and fragment, which may be secret
	Err    error  // what the client's middleware or redirect policy said of it, if anything
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("prefetch: %s %s: status %d %s", e.Method, e.URL, e.Code, http.StatusText(e.Code))
	text = strings.TrimSuffix(text, " ")
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

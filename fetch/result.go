package fetch

import "fmt"

// Status tells what became of a key.
type Status uint8

// What becomes of keys.
const (
	Cached    Status = iota + 1 // there was a live entry
	Fetched                     // the origin answered
	Stale                       // the origin failed, and what was stored is returned, see [StaleIfError]
	Absent                      // the origin has nothing for it, or is remembered to have nothing
	Failed                      // there is no value, see [Result.Err]
	Cancelled                   // the call ended before there was an answer
)

func (s Status) String() string {
	switch s {
	case Cached:
		return "cached"
	case Fetched:
		return "fetched"
	case Stale:
		return "stale"
	case Absent:
		return "absent"
	case Failed:
		return "failed"
	case Cancelled:
		return "cancelled"
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// Result is a key and what became of it.
type Result[K comparable, V any] struct {
	Key    K
	Value  V // of a key that is Cached, Fetched or Stale
	Status Status
	Err    error // of any other; for a key that is Stale, why the origin was of no use
}

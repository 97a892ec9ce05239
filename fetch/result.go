package fetch

import (
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Status tells what became of a key.
type Status uint8

// What becomes of keys.
const (
	Cached    Status = iota + 1 // what was stored is returned
	Fetched                     // the origin answered
	Confirmed                   // the origin has said, by a 304, that what was stored still holds
	Stale                       // the origin failed or was slow, and what was stored is returned
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
	case Confirmed:
		return "confirmed"
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
	Value  V // of a key that is Cached, Fetched, Confirmed or Stale
	Status Status
	Err    error // of any other; for a key that is Stale, why the origin was of no use
}

// statusOf is the status of a result of that kind, with the error that it has.
func statusOf(kind exchange.Kind, err error) Status {
	switch {
	case kind == exchange.Ended, errors.Is(err, ErrClosed), errors.Is(err, exchange.ErrClosed):
		return Cancelled
	case errors.Is(err, ErrAbsent):
		return Absent
	case err != nil:
		return Failed
	}
	switch kind {
	case exchange.Hit:
		return Cached
	case exchange.Confirmed:
		return Confirmed
	case exchange.Stale:
		return Stale
	default:
		return Fetched
	}
}

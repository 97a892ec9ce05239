package repository

import (
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/expire"
	"github.com/endpointcache/endpointcache/settings"
)

// State is what [Responses.Count] and [Responses.Clear] ask of entries.
type State = driver.State

// The states of an entry: an entry is live before the instant at which it
// expires, and expired from then on.
const (
	All     = driver.All // live and expired
	Live    = driver.Live
	Expired = driver.Expired
)

// ReadOption changes what a read returns.
type ReadOption func(*reading)

// reading is one read: which entries it returns.
type reading struct{ state State }

// AllowExpired makes a read return expired entries, too, as long as the store
// has them.
func AllowExpired() ReadOption {
	return func(r *reading) { r.state = All }
}

// SaveOption changes how entries are saved.
type SaveOption func(*saving)

// saving is one save: what all of its entries have in common.
type saving struct {
	now     time.Time
	expires time.Time
	err     error
}

// ExpireIn lets what is saved live for d, which is positive or
// [settings.NeverExpire], instead of the repository's own expiry.
func ExpireIn(d time.Duration) SaveOption {
	return func(s *saving) {
		if s.err = expire.Validate(d); s.err == nil && d == 0 {
			s.err = fmt.Errorf("expiry is zero")
		}
		s.expires = expiry(s.now, d)
	}
}

// ExpireAt lets what is saved live until t, to the microsecond, and until the end
// of the year 9999 at the latest. In the past, it is saved as expired.
func ExpireAt(t time.Time) SaveOption {
	return func(s *saving) {
		if t.IsZero() {
			s.err = fmt.Errorf("expiry is the zero time")
		}
		s.expires = exchange.Instant(t)
	}
}

func expiry(now time.Time, d time.Duration) time.Time {
	if d == settings.NeverExpire {
		return time.Time{}
	}
	return exchange.Instant(now.Add(d))
}

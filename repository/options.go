package repository

import (
	"cmp"
	"errors"
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
	asOf    bool // it is about an instant of the past

	expiry expiryFunc
	err    error
}

// expiryFunc is the instant at which what is saved at another expires.
type expiryFunc func(now time.Time) time.Time

// ExpireIn lets what is saved live for d, which is positive or
// [settings.NeverExpire], instead of the repository's own expiry.
func ExpireIn(d time.Duration) SaveOption {
	return func(s *saving) {
		err := expire.Validate(d)
		if err == nil && d == 0 {
			err = errors.New("expiry is zero")
		}
		s.err = cmp.Or(s.err, err)
		s.expiry = expiryIn(d)
	}
}

// ExpireAt lets what is saved live until t, to the microsecond, and until the end
// of the year 9999 at the latest. In the past, it is saved as expired.
func ExpireAt(t time.Time) SaveOption {
	return func(s *saving) {
		if t.IsZero() {
			s.err = cmp.Or(s.err, errors.New("expiry is the zero time"))
		}
		s.expiry = func(time.Time) time.Time { return exchange.Instant(t) }
	}
}

// AsOf tells that what is saved is what was known at t, such as the items of a page that
// was cached then: t is its CachedAt, an expiry that is a duration counts from t, and it
// replaces nothing that is newer. An instant that is still to come counts as now.
func AsOf(t time.Time) SaveOption {
	return func(s *saving) {
		if t.IsZero() {
			s.err = cmp.Or(s.err, errors.New("the instant that it is known of is the zero time"))
		}
		if t = exchange.Instant(t); t.Before(s.now) {
			s.now = t
		}
		s.asOf = true
	}
}

func expiryIn(d time.Duration) expiryFunc {
	return func(now time.Time) time.Time {
		if d == settings.NeverExpire {
			return time.Time{}
		}
		return exchange.Instant(now.Add(d))
	}
}

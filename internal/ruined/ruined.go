// Package ruined puts entries out of the way that a layer cannot hand out, as they are
// damaged or were tampered with: any other entry may take their place then, and whatever clears
// expired entries removes them.
package ruined

import (
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// At is the CachedAt and the ExpiresAt of such an entry: any entry is newer, and it has
// expired. No clock has it.
var At = time.Date(1, 1, 1, 0, 0, 0, 2000, time.UTC)

// Is reports whether an entry, of which the times are known, is one.
func Is(e *driver.Entry) bool { return e.CachedAt.Equal(At) && e.ExpiresAt.Equal(At) }

// Renewal makes an entry one.
func Renewal(key driver.Key, e *driver.Entry) driver.Renewal {
	return driver.Renewal{Key: key, Seen: e.CachedAt, CachedAt: At, ExpiresAt: At, Name: e.Name, Status: e.Status}
}

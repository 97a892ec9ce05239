package driver

import (
	"fmt"
	"time"
)

// Precondition is what PutIf of a [Table] asks of the entry that is there.
type Precondition uint8

// The preconditions of a put.
const (
	IfAbsent    Precondition = iota + 1 // there is no entry of that key, live or expired
	IfNotLive                           // there is none that is live at Now
	IfNewer                             // there is none, or one whose CachedAt is not after that of the new entry
	IfUnchanged                         // there is one, whose CachedAt is that of the new entry
)

// Condition is a precondition and the instant that it is about.
type Condition struct {
	If  Precondition
	Now time.Time // for IfNotLive: UTC, whole microseconds
}

// Validate reports an unknown precondition.
func (c Condition) Validate() error {
	if c.If < IfAbsent || c.If > IfUnchanged {
		return fmt.Errorf("unknown precondition %d", c.If)
	}
	return nil
}

// Allows reports whether e may take the place of old, an entry of the same key. Where there
// is no such entry, every condition but IfUnchanged holds.
func (c Condition) Allows(old, e Entry) bool {
	switch c.If {
	case IfNotLive:
		return !old.Live(c.Now)
	case IfNewer:
		return !old.CachedAt.After(e.CachedAt)
	case IfUnchanged:
		return old.CachedAt.Equal(e.CachedAt)
	default:
		return false
	}
}

// Renewal is what Renew of a [Table] changes of an entry. Its name, status and
// payload stay as they are.
type Renewal struct {
	Key  Key
	Seen time.Time // CachedAt of the entry that is meant: one with another is left as it is

	Header    string    // as in [Entry]
	CachedAt  time.Time // as in [Entry]
	ExpiresAt time.Time // as in [Entry]
	MetaSum   uint32    // as in [Entry]

	// Name and Status are those of the entry that is meant, for whoever adds the checksum.
	// A store needs neither.
	Name   string
	Status int
}

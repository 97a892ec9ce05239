package settings

import "errors"

// Limit bounds how much is stored. When it is exceeded, entries are evicted in the
// background: first those that have expired, then others in the order of Evict. Under a
// load of saves, what is stored may exceed the limit by a tenth for a short time. If
// several processes save to one store, each looks at the whole now and then, so the
// limit holds for all of them together, if they have the same.
type Limit struct {
	// Entries is how many responses are kept. Zero: any number.
	Entries int

	// Bytes is how many bytes they have together: bodies as they are stored, names, and
	// keys; what the store needs besides, such as for its indexes, comes on top of that.
	// Zero: any number.
	Bytes int64

	// Evict is which entries leave first. The default is those that were not used for the
	// longest time.
	Evict Eviction
}

// Eviction is the order in which entries leave because of a [Limit].
type Eviction uint8

// The orders of eviction.
const (
	// LeastRecentlyUsed evicts the entries first that were not read for the longest time.
	// When an entry was read is recorded in the store every now and then, which costs a
	// small write for each entry that was read since.
	LeastRecentlyUsed Eviction = iota

	// OldestFirst evicts those first that were saved or confirmed the longest time ago.
	OldestFirst
)

// IsZero reports whether l bounds nothing.
func (l Limit) IsZero() bool { return l.Entries == 0 && l.Bytes == 0 }

// Validate reports a negative bound and an unknown order.
func (l Limit) Validate() error {
	switch {
	case l.Entries < 0:
		return errors.New("Limit: Entries is negative")
	case l.Bytes < 0:
		return errors.New("Limit: Bytes is negative")
	case l.Evict > OldestFirst:
		return errors.New("Limit: Evict is neither LeastRecentlyUsed nor OldestFirst")
	}
	return nil
}

package driver

import "time"

// State is what a [Filter] asks of an entry's expiry.
type State uint8

// The states of an entry.
const (
	All     State = iota // live and expired entries
	Live                 // entries that have not expired
	Expired              // entries that have expired
)

// Filter selects entries by their expiry and by the first values of their keys.
type Filter struct {
	State State
	Now   time.Time // the instant that State is about: UTC, whole microseconds

	// Leading, if it is not empty, selects only entries whose key begins with these
	// values, each equal to the byte: "a" is not "ab". The caller guarantees that there
	// are at most as many as the table has key columns, and of their kinds.
	Leading Key
}

// Match reports whether the filter selects e. If e.Key is not set, as in what Get of a
// [Table] visits, Match leaves Leading out of account.
func (f Filter) Match(e Entry) bool {
	return (e.Key == nil || e.Key.HasPrefix(f.Leading)) && (f.State == All || (f.State == Live) == e.Live(f.Now))
}

// Selection is a filter and the parts of the selected entries that are wanted.
type Selection struct {
	Filter
	Parts Parts
}

// Parts is a set of the parts of an entry. Parts that were not asked for may
// be left unset, so that they need not be read. The Status is set in any case.
type Parts uint8

// The parts of an entry.
const (
	Payload Parts = 1 << iota // Payload
	Meta                      // Name, Header, CachedAt and ExpiresAt
)

// Narrow is for the Get of a store: it leaves out the keys that Leading rules out, so
// that the store need not look at it. The visit that it returns calls the one that is
// given with the index in all keys.
func (f Filter) Narrow(keys []Key, visit func(i int, e Entry)) ([]Key, func(i int, e Entry)) {
	if len(f.Leading) == 0 {
		return keys, visit
	}
	var selected []Key
	var indices []int
	for i, k := range keys {
		if k.HasPrefix(f.Leading) {
			selected, indices = append(selected, k), append(indices, i)
		}
	}
	return selected, func(i int, e Entry) { visit(indices[i], e) }
}

package driver

import (
	"strings"
	"time"
)

// State is what a [Filter] asks of an entry's expiry.
type State uint8

// The states of an entry.
const (
	All     State = iota // live and expired entries
	Live                 // entries that have not expired
	Expired              // entries that have expired
)

// Filter selects entries by their expiry, by the first values of their keys, and by what
// Where says.
type Filter struct {
	State State
	Now   time.Time // the instant that State is about: UTC, whole microseconds

	// Leading, if it is not empty, selects only entries whose key begins with these
	// values, each equal to the byte: "a" is not "ab". The caller guarantees that there
	// are at most as many as the table has key columns, and of their kinds.
	Leading Key

	// Where selects by more than that. Get and Pop do not take it.
	Where Where
}

// Where selects entries by further properties. An entry has to have all that are set; the
// zero value selects every entry.
type Where struct {
	// Prefix is what the string in the key column after those of Leading begins with, to
	// the byte. The caller guarantees that there is such a column.
	Prefix string

	// CachedFrom and CachedBefore are the first instant of CachedAt that is selected and
	// the first that is no longer; UsedBefore is the latter of UsedAt. All are UTC and
	// whole microseconds.
	CachedFrom, CachedBefore, UsedBefore time.Time

	// Name is the whole name, and NamePrefix what it begins with, to the byte.
	Name, NamePrefix string

	// MinStatus and MaxStatus are the least and the greatest status that are selected.
	MinStatus, MaxStatus int
}

// IsZero reports whether w selects every entry.
func (w Where) IsZero() bool { return w == Where{} }

// Parts are those of an entry that Match looks at besides its key and status.
func (w Where) Parts() (parts Parts) {
	if !w.CachedFrom.IsZero() || !w.CachedBefore.IsZero() || w.Name != "" || w.NamePrefix != "" {
		parts |= Meta
	}
	if !w.UsedBefore.IsZero() {
		parts |= Usage
	}
	return parts
}

// match reports whether w selects e, the first values of whose key are so many.
func (w Where) match(e Entry, leading int) bool {
	if w.Prefix != "" && e.Key != nil {
		value, _ := e.Key[leading].(string)
		if !strings.HasPrefix(value, w.Prefix) {
			return false
		}
	}
	return !e.CachedAt.Before(w.CachedFrom) && before(e.CachedAt, w.CachedBefore) && before(e.UsedAt, w.UsedBefore) &&
		(w.Name == "" || e.Name == w.Name) && strings.HasPrefix(e.Name, w.NamePrefix) &&
		e.Status >= w.MinStatus && (w.MaxStatus == 0 || e.Status <= w.MaxStatus)
}

// before reports whether t is before an end, which is zero for none.
func before(t, end time.Time) bool { return end.IsZero() || t.Before(end) }

// Match reports whether the filter selects e, of which the parts are set that Where needs.
// If e.Key is not set, as in what Get of a [Table] visits, Match leaves out of account
// what is about keys.
func (f Filter) Match(e Entry) bool {
	return (e.Key == nil || e.Key.HasPrefix(f.Leading)) && (f.State == All || (f.State == Live) == e.Live(f.Now)) &&
		(f.Where.IsZero() || f.Where.match(e, len(f.Leading)))
}

// All reports whether the filter selects every entry.
func (f Filter) All() bool { return f.State == All && len(f.Leading) == 0 && f.Where.IsZero() }

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
	Payload Parts = 1 << iota // Payload, Encoding and PayloadSum
	Meta                      // Name, Header, CachedAt, ExpiresAt and MetaSum
	Usage                     // UsedAt and Size
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

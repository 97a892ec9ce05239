package driver

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Order is what a [Listing] is sorted by. Entries that are equal in it are sorted by key,
// as [CompareKeys] has it.
type Order uint8

// The orders of a listing.
const (
	ByKey    Order = iota
	ByName         // in byte order
	ByCached       // by CachedAt
	ByUsed         // by UsedAt
	ByExpiry       // by ExpiresAt; entries that never expire come behind all others
	BySize
)

// Parts are those that hold what entries are sorted by.
func (o Order) Parts() Parts {
	switch o {
	case ByName, ByCached, ByExpiry:
		return Meta
	case ByUsed, BySize:
		return Usage
	default:
		return 0
	}
}

// Listing is a page of the entries that are selected, in an order.
//
// The caller guarantees that Limit is positive. The entries have the parts that were asked
// for, and those of the order. An entry that does not change is on one page of a listing,
// whatever is saved and deleted meanwhile.
type Listing struct {
	Selection
	Order      Order
	Descending bool // the other way round, keys included

	// After is the last entry of the page before, of which the key and what it is sorted by
	// are set. There need not be such an entry any more. Nil: from the beginning.
	After *Entry

	Limit int // the most entries
}

// Validate reports an unknown order, and a limit that is none.
func (l Listing) Validate() error {
	switch {
	case l.Order > BySize:
		return fmt.Errorf("unknown order %d", l.Order)
	case l.Limit <= 0:
		return fmt.Errorf("the limit is %d: it has to be positive", l.Limit)
	}
	return nil
}

// Compare orders two entries, whose keys and parts of the order are set.
func (l Listing) Compare(a, b Entry) int {
	order := 0
	switch l.Order {
	case ByKey:
	case ByName:
		order = strings.Compare(a.Name, b.Name)
	case ByCached:
		order = a.CachedAt.Compare(b.CachedAt)
	case ByUsed:
		order = a.UsedAt.Compare(b.UsedAt)
	case ByExpiry:
		order = compareExpiry(a, b)
	case BySize:
		order = cmp.Compare(a.Size, b.Size)
	}
	if order == 0 {
		order = CompareKeys(a.Key, b.Key)
	}
	if l.Descending {
		return -order
	}
	return order
}

func compareExpiry(a, b Entry) int {
	switch {
	case a.ExpiresAt.IsZero() && b.ExpiresAt.IsZero():
		return 0
	case a.ExpiresAt.IsZero():
		return 1
	case b.ExpiresAt.IsZero():
		return -1
	default:
		return a.ExpiresAt.Compare(b.ExpiresAt)
	}
}

// Page is the List of a store that has no index for it: it takes the page from the entries
// of an iteration over all that are selected, with their parts. It holds no more than a
// page in memory.
func (l Listing) Page(entries iter.Seq2[Entry, error]) ([]Entry, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	page := &pageHeap{listing: l}
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		switch {
		case l.After != nil && l.Compare(e, *l.After) <= 0:
		case len(page.entries) < l.Limit:
			heap.Push(page, e)
		case l.Compare(e, page.entries[0]) < 0:
			page.entries[0] = e
			heap.Fix(page, 0)
		}
	}
	slices.SortFunc(page.entries, l.Compare)
	return page.entries, nil
}

// Sift is the List of a table that leaves out some entries of another one, whose List is
// given. Others come in their place, as a page that is not full is taken for the last one. It
// keeps the entries that keep, which may change them, says are to be kept.
func (l Listing) Sift(list func(Listing) ([]Entry, error), keep func(*Entry) (bool, error)) ([]Entry, error) {
	var page []Entry
	for limit := l.Limit; ; {
		listed, err := list(l)
		if err != nil {
			return nil, err
		}
		before := len(page)
		for i := range listed {
			e := listed[i]
			ok, err := keep(&e)
			if err != nil {
				return nil, err
			}
			if ok {
				page = append(page, e)
			}
			if len(page) == limit {
				return page, nil
			}
		}
		if len(listed) < l.Limit {
			return page, nil
		}
		l = l.Behind(listed, len(page)-before)
	}
}

// maxStep is how many entries a page may be widened to.
const maxStep = 10_000

// Behind is the listing that goes on behind a page of it, of which so many entries were used.
// Where that is less than half, it asks for twice as many, as a store without an index goes
// through all entries for each page; but not for more payloads.
func (l Listing) Behind(page []Entry, used int) Listing {
	last := page[len(page)-1]
	l.After = &last
	if 2*used < len(page) && l.Parts&Payload == 0 {
		l.Limit = max(l.Limit, min(2*l.Limit, maxStep))
	}
	return l
}

// Selected is what an iteration has to yield for [Listing.Page]: the parts that were asked
// for, with those of the order.
func (l Listing) Selected() Selection {
	sel := l.Selection
	sel.Parts |= l.Order.Parts()
	return sel
}

// pageHeap has the last of its entries in front.
type pageHeap struct {
	listing Listing
	entries []Entry
}

func (h *pageHeap) Len() int           { return len(h.entries) }
func (h *pageHeap) Less(i, j int) bool { return h.listing.Compare(h.entries[i], h.entries[j]) > 0 }
func (h *pageHeap) Swap(i, j int)      { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }
func (h *pageHeap) Push(e any)         { h.entries = append(h.entries, e.(Entry)) }
func (h *pageHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries = h.entries[:last]
	return e
}

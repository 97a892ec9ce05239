package cache

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Order is what a listing is sorted by. Responses that are equal in it are sorted by table
// and key.
type Order = driver.Order

// The orders of a listing. All but ByKey need an index where the store has a server or is a
// SQLite file: it is made when a table is first listed in that order, which may take a
// while, and is kept up from then on.
const (
	ByKey    = driver.ByKey    // by table and key
	ByName   = driver.ByName   // by the readable name, byte by byte
	ByCached = driver.ByCached // by when it was requested, or saved without a request
	ByUsed   = driver.ByUsed   // by when it was used last
	ByExpiry = driver.ByExpiry // by when it expires; what never does comes last
	BySize   = driver.BySize   // by how many bytes it takes
)

// Listing asks for a page of stored responses.
type Listing struct {
	Query
	Order      Order
	Descending bool

	// After is the Next of the page before; empty for the first page. It belongs to the same
	// listing: another query or order with it is [ErrPosition], or a page of something else.
	After string

	// Limit is how many responses the page has at most. The default is 100, the maximum
	// 10,000.
	Limit int
}

// Page is a page of a listing.
type Page struct {
	Entries []Stored

	// Next is for After of the next page; empty where this is the last. It has keys in it,
	// and names if these are what is sorted by.
	Next string
}

const (
	defaultPage = 100
	maxPage     = 10_000
)

// List returns a page of what the listing selects. A response that does not change is on
// one page, whatever is saved and deleted between the pages.
func (s *Contents) List(ctx context.Context, l Listing) (Page, error) {
	switch {
	case l.Limit < 0 || l.Limit > maxPage:
		return Page{}, fmt.Errorf("cache: list: Limit is %d: it is at most %d", l.Limit, maxPage)
	case l.Order > BySize:
		return Page{}, fmt.Errorf("cache: list: unknown order %d", l.Order)
	}
	limit := cmp.Or(l.Limit, defaultPage)
	from, err := l.decode()
	if err != nil {
		return Page{}, fmt.Errorf("cache: list: %w", err)
	}
	var sources []*source
	err = s.selected(ctx, l.Query, func(sel selection) error {
		src := &source{selection: sel, listing: driver.Listing{
			Selection: sel.Selection, Order: l.Order, Descending: l.Descending, Limit: limit + 1,
		}}
		src.listing.Parts |= driver.Meta | driver.Usage
		if after, ok := from[sel.table.Name]; ok {
			if src.listing.After, err = after.entry(sel.table.Spec()); err != nil {
				return fmt.Errorf("cache: list: %w", err)
			}
		}
		sources = append(sources, src)
		return src.fill(ctx)
	})
	if err != nil {
		return Page{}, err
	}
	var page Page
	for len(page.Entries) < limit {
		next := first(sources, l)
		if next == nil {
			return page, nil
		}
		page.Entries = append(page.Entries, next.stored(next.entries[0]))
		next.last = &next.entries[0]
		if err := next.advance(ctx); err != nil {
			return Page{}, err
		}
	}
	if first(sources, l) != nil {
		for _, s := range sources {
			if s.last != nil {
				from[s.table.Name] = positionOf(*s.last, l.Order)
			}
		}
		if page.Next, err = l.encode(from); err != nil {
			return Page{}, fmt.Errorf("cache: list: %w", err)
		}
	}
	return page, nil
}

// source is what comes next of a table.
type source struct {
	selection
	listing driver.Listing
	entries []driver.Entry // those that the query wants
	last    *driver.Entry  // the last one of them that is on the page
	ended   bool
}

// fill reads on until there is an entry, if there is one.
func (s *source) fill(ctx context.Context) error {
	for len(s.entries) == 0 && !s.ended {
		page, err := s.table.List(ctx, s.listing)
		if err != nil {
			return err
		}
		s.ended = len(page) < s.listing.Limit
		for _, e := range page {
			if s.wanted == nil || s.wanted(e) {
				s.entries = append(s.entries, e)
			}
		}
		if len(page) > 0 {
			s.listing = s.listing.Behind(page, len(s.entries))
		}
	}
	return nil
}

func (s *source) advance(ctx context.Context) error {
	s.entries = s.entries[1:]
	return s.fill(ctx)
}

// first is the source of the next entry, nil where there is none.
func first(sources []*source, l Listing) *source {
	var least *source
	compare := driver.Listing{Order: l.Order, Descending: l.Descending}
	for _, s := range sources {
		if len(s.entries) == 0 {
			continue
		}
		if least == nil {
			least = s
			continue
		}
		order := 0
		if l.Order != ByKey {
			// Keys of several tables are not compared: their order is that of the tables.
			a, b := s.entries[0], least.entries[0]
			a.Key, b.Key = nil, nil
			order = compare.Compare(a, b)
		}
		if order == 0 {
			order = strings.Compare(s.table.Name, least.table.Name)
			if l.Descending {
				order = -order
			}
		}
		if order < 0 {
			least = s
		}
	}
	return least
}

// position is where the listing of a table goes on: behind an entry, of which it has no more
// than the key and what is sorted by.
type position struct {
	Key     []any     `json:"k"` // strings as bytes: they need not be UTF-8
	Name    []byte    `json:"n,omitempty"`
	Cached  time.Time `json:"c,omitzero"`
	Used    time.Time `json:"u,omitzero"`
	Expires time.Time `json:"e,omitzero"`
	Size    int64     `json:"s,omitempty"`
}

func positionOf(e driver.Entry, o Order) (p position) {
	switch o {
	case ByKey:
	case ByName:
		p.Name = []byte(e.Name)
	case ByCached:
		p.Cached = e.CachedAt
	case ByUsed:
		p.Used = e.UsedAt
	case ByExpiry:
		p.Expires = e.ExpiresAt
	case BySize:
		p.Size = e.Size
	}
	for _, v := range e.Key {
		if s, ok := v.(string); ok {
			v = []byte(s)
		}
		p.Key = append(p.Key, v)
	}
	return p
}

// ErrPosition is the error of a [Listing] whose After it cannot go on behind. It comes wrapped.
var ErrPosition = errors.New("After is not the Next of a page of this listing")

// entry is the one that the position is behind.
func (p position) entry(spec driver.TableSpec) (*driver.Entry, error) {
	if len(p.Key) != len(spec.Key) {
		return nil, ErrPosition
	}
	e := &driver.Entry{Name: string(p.Name), CachedAt: p.Cached, UsedAt: p.Used, ExpiresAt: p.Expires, Size: p.Size}
	for i, v := range p.Key {
		switch v := v.(type) {
		case string:
			b, err := base64.StdEncoding.DecodeString(v)
			if err != nil || spec.Key[i].Kind != driver.String {
				return nil, ErrPosition
			}
			e.Key = append(e.Key, string(b))
		case json.Number:
			n, err := v.Int64()
			if err != nil || spec.Key[i].Kind != driver.Int {
				return nil, ErrPosition
			}
			e.Key = append(e.Key, n)
		case bool:
			if spec.Key[i].Kind != driver.Bool {
				return nil, ErrPosition
			}
			e.Key = append(e.Key, v)
		default:
			return nil, ErrPosition
		}
	}
	return e, nil
}

// bookmark is what Next holds.
type bookmark struct {
	Order      Order               `json:"o"`
	Descending bool                `json:"d,omitempty"`
	Tables     map[string]position `json:"t"`
}

func (l Listing) encode(at map[string]position) (string, error) {
	text, err := json.Marshal(bookmark{l.Order, l.Descending, at})
	if err != nil {
		return "", err // a time after the year 9999, which other programs may have stored
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

// decode returns where the listing goes on, by table.
func (l Listing) decode() (map[string]position, error) {
	if l.After == "" {
		return make(map[string]position), nil
	}
	text, err := base64.RawURLEncoding.DecodeString(l.After)
	if err != nil {
		return nil, ErrPosition
	}
	var b bookmark
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&b); err != nil || b.Order != l.Order || b.Descending != l.Descending || b.Tables == nil {
		return nil, ErrPosition
	}
	return b.Tables, nil
}

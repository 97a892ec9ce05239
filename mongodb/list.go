package mongodb

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

// List reads along an index of the field that the listing is sorted by, which it makes
// where it is absent, from the entry After on until it has a page and all that are equal
// to the last one: those it sorts by their keys itself. Where the filter says what keys
// begin with, it reads all entries whose keys do.
func (t *table) List(ctx context.Context, l driver.Listing) (page []driver.Entry, err error) {
	err = t.store.run(ctx, "list", t.spec.Name, func() error {
		if err := l.Validate(); err != nil {
			return err
		}
		sel := l.Selected()
		if isByKey(l.Filter) {
			page, err = l.Page(t.iterate(ctx, sel, at))
			return err
		}
		if !decides(l.Filter) {
			sel.Parts |= l.Where.Parts()
		}
		s := &sorting{table: t, listing: l, sel: sel}
		s.field, s.text = t.orderField(l.Order)
		if s.hint, err = t.prepareIndex(ctx, bson.D{{Key: s.field, Value: 1}}); err != nil {
			return err
		}
		if l.After == nil && l.Order.Parts()&driver.Usage != 0 {
			if _, err := t.upgrade(ctx); err != nil {
				return err
			}
		}
		return repeat(ctx, func() (err error) {
			page, err = l.Page(s.entries(ctx))
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// orderField is the field that a listing is sorted by first, and whether it is one of
// texts, or of binary data in their place.
func (t *table) orderField(order driver.Order) (field string, text bool) {
	switch order {
	case driver.ByName:
		return fieldTitle, true
	case driver.ByCached:
		return fieldCachedUS, false
	case driver.ByUsed:
		return fieldUsedUS, false
	case driver.ByExpiry:
		return fieldExpiresUS, false
	case driver.BySize:
		return fieldSize, false
	default:
		return t.fields[0], t.spec.Key[0].Kind == driver.String
	}
}

// sorting is a listing in the order of a field.
type sorting struct {
	table   *table
	listing driver.Listing
	sel     driver.Selection
	field   string
	text    bool
	hint    bson.D
}

// entries yields the entries that a page may have: first those in the order of the field,
// and then those that the server sorts apart, because the field is binary data.
func (s *sorting) entries(ctx context.Context) iter.Seq2[driver.Entry, error] {
	return func(yield func(driver.Entry, error) bool) {
		l, n := s.listing, 0
		var last driver.Entry // of the page
		for e, err := range s.found(ctx, s.inOrder()) {
			if err == nil && n == l.Limit && !tied(l, e, last) {
				break
			}
			if err == nil && n < l.Limit && (l.After == nil || l.Compare(e, *l.After) > 0) {
				n, last = n+1, e
			}
			if !yield(e, err) {
				return
			}
		}
		if !s.text {
			return
		}
		for e, err := range s.found(ctx, s.binary()) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// found yields the selected entries that a query finds.
func (s *sorting) found(ctx context.Context, query bson.Raw) iter.Seq2[driver.Entry, error] {
	direction := 1
	if s.listing.Descending {
		direction = -1
	}
	o := s.table.find(s.sel.Parts, true, min(max(s.listing.Limit, firstPage), maxPage)).SetSort(bson.D{{Key: s.field, Value: direction}})
	if s.hint != nil {
		o.SetHint(s.hint)
	}
	decided := decides(s.sel.Filter)
	return func(yield func(driver.Entry, error) bool) {
		cursor, err := s.table.search(ctx, query, o)
		if err != nil {
			yield(driver.Entry{}, err)
			return
		}
		defer cursor.close(ctx)
		for cursor.Next(ctx) {
			e, err := s.table.read(cursor.Current, true)
			if err == nil && (e.Key == nil || !s.sorts(cursor.Current) || !decided && !s.sel.Match(e)) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(driver.Entry{}, err)
		}
	}
}

// sorts reports whether a document has something in the field that a listing is sorted by which the store may have
// written: of one that has not, none could tell where the next page begins.
func (s *sorting) sorts(doc bson.Raw) bool {
	if s.listing.Order == driver.ByKey {
		return true // it has a key
	}
	v, err := doc.LookupErr(s.field)
	if err != nil {
		return true // an earlier version did not write it
	}
	if s.text {
		_, err = text(v)
	} else {
		_, err = readInt(v)
	}
	return err == nil
}

// tied reports whether two entries are equal in the field that a listing is sorted by.
func tied(l driver.Listing, a, b driver.Entry) bool {
	if l.Order == driver.ByKey {
		return a.Key[0] == b.Key[0]
	}
	a.Key = b.Key
	return l.Compare(a, b) == 0
}

// inOrder is the query for the selected documents from the entry After on. Of a field of
// texts it finds no binary data: a comparison is with values of its own type alone.
func (s *sorting) inOrder() bson.Raw {
	l := s.listing
	if l.After == nil {
		if !s.text {
			return s.table.selected(s.sel.Filter)
		}
		return s.query(func(b []byte) []byte { return appendString(b, "$gte", "") })
	}
	comparison := "$gte"
	if l.Descending {
		comparison = "$lte"
	}
	return s.query(func(b []byte) []byte {
		switch v := s.value(*l.After).(type) {
		case int64:
			b = appendInt64(b, comparison, v)
		case bool:
			b = appendBool(b, comparison, v)
		case string:
			b = appendFrom(b, v, l.Descending)
		}
		return b
	})
}

// appendFrom appends the condition that a text is not before a string, which itself may be
// none, or not after it.
func appendFrom(b []byte, s string, descending bool) []byte {
	from := textOf(s)
	if !descending {
		return appendString(b, "$gte", from)
	}
	b = appendString(b, "$gte", "")
	if from == s {
		return appendString(b, "$lte", from)
	}
	if below := successor(from); below != "" {
		b = appendString(b, "$lt", below)
	}
	return b
}

// value is what the field has of an entry.
func (s *sorting) value(e driver.Entry) driver.Value {
	switch s.field {
	case fieldTitle:
		return e.Name
	case fieldCachedUS:
		return e.CachedAt.UnixMicro()
	case fieldUsedUS:
		return e.UsedAt.UnixMicro()
	case fieldExpiresUS:
		return expiry(e.ExpiresAt)
	case fieldSize:
		return e.Size
	default:
		return e.Key[0]
	}
}

// binary is the query for the selected documents whose field is binary data.
func (s *sorting) binary() bson.Raw {
	return s.query(func(b []byte) []byte { return appendInt32(b, "$type", int32(bson.TypeBinary)) })
}

// query is the one for what the filter selects with one more condition of the field.
func (s *sorting) query(appendCondition func([]byte) []byte) bson.Raw {
	start, b := begin(nil)
	b = s.table.appendSelected(b, s.sel.Filter, "", "", false)
	all, b := beginArray(b, "$and")
	first, b := beginDocument(b, "0")
	field, b := beginDocument(b, s.field)
	b = end(appendCondition(b), field)
	return end(end(end(b, first), all), start)
}

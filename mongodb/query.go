package mongodb

import (
	"time"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
)

// indexOfIDs is the name of the index that every collection has.
const indexOfIDs = "_id_"

// isByKey reports whether f selects by what keys begin with, for which the index of ids
// is best.
func isByKey(f driver.Filter) bool { return len(f.Leading) > 0 || f.Where.Prefix != "" }

// decides reports whether the server can tell alone what f selects. It does not compare
// the bytes of binary data with what they are to begin with, as which names stand that
// are no text, and it knows the begin of a long key only. Otherwise it finds what f
// selects and some more, each of which is to be looked at.
func decides(f driver.Filter) bool {
	return f.Where.NamePrefix == "" && (f.Where.Prefix == "" || idsOf(f.Leading, f.Where.Prefix).exact)
}

// selected is the query for what a filter selects.
func (t *table) selected(f driver.Filter) bson.Raw {
	start, b := begin(nil)
	return end(t.appendSelected(b, f, "", "", false), start)
}

// selectedAfter is selected for the documents behind an _id up to a last one, unless that
// is empty.
func (t *table) selectedAfter(f driver.Filter, after, last string) bson.Raw {
	start, b := begin(nil)
	return end(t.appendSelected(b, f, after, last, true), start)
}

// appendSelected appends what a filter asks of documents behind an _id up to a last one. Where they are walked
// through in the order of ids, they are those whose _id is a text: other programs make others.
func (t *table) appendSelected(b []byte, f driver.Filter, after, last string, walked bool) []byte {
	if n := len(f.Leading); n > 0 && n == len(t.fields) {
		return appendConditions(appendString(b, fieldID, documentID(f.Leading)), f)
	}
	ids := idsOf(f.Leading, f.Where.Prefix)
	if ids.from != "" || last != "" || walked {
		condition, d := beginDocument(b, fieldID)
		switch {
		case last != "":
			d = appendString(appendString(d, "$gt", after), "$lte", last)
		case ids.below != "":
			d = appendString(appendString(d, "$gte", ids.from), "$lt", ids.below)
		default:
			d = appendString(d, "$gte", ids.from)
		}
		b = end(d, condition)
	}
	if !ids.exact {
		b = t.appendValues(b, f.Leading)
	}
	return appendConditions(b, f)
}

// withIDs is the query for those of some documents whose state and other properties, but
// for their keys, a filter selects.
func (s *Store) withIDs(ids []string, f driver.Filter) bson.Raw {
	if len(ids) == 1 {
		return withID(ids[0], f)
	}
	start, b := begin(nil)
	return end(appendConditions(s.appendIDs(b, ids), f), start)
}

func withID(id string, f driver.Filter) bson.Raw {
	start, b := begin(nil)
	return end(appendConditions(appendString(b, fieldID, id), f), start)
}

// withNames is withIDs for documents that have one of these names.
func (s *Store) withNames(ids, names []string, f driver.Filter) bson.Raw {
	start, b := begin(nil)
	b = appendConditions(s.appendIDs(b, ids), f)
	all, b := beginArray(b, "$and")
	condition, b := beginDocument(b, "0")
	field, b := beginDocument(b, fieldTitle)
	b = appendTexts(b, "$in", names)
	return end(end(end(end(b, field), condition), all), start)
}

// appendConditions appends what a filter asks of anything but the key.
func appendConditions(b []byte, f driver.Filter) []byte {
	b = appendState(b, f)
	if f.Where.IsZero() {
		return b
	}
	w := f.Where
	b = appendTimes(b, fieldCachedUS, w.CachedFrom, w.CachedBefore)
	if w.MinStatus != 0 || w.MaxStatus != 0 {
		condition, d := beginDocument(b, fieldStatus)
		d = appendInt64(d, "$gte", int64(w.MinStatus))
		if w.MaxStatus != 0 {
			d = appendInt64(d, "$lte", int64(w.MaxStatus))
		}
		b = end(d, condition)
	}
	if !w.UsedBefore.IsZero() {
		b = appendUsedBefore(b, w.UsedBefore)
	}
	if w.Name != "" {
		b = appendText(b, fieldTitle, w.Name, isText(w.Name))
	}
	if w.NamePrefix != "" {
		b = appendNamePrefix(b, w.NamePrefix)
	}
	return b
}

func appendState(b []byte, f driver.Filter) []byte {
	if f.State == driver.All {
		return b
	}
	comparison := "$gt"
	if f.State == driver.Expired {
		comparison = "$lte"
	}
	condition, b := beginDocument(b, fieldExpiresUS)
	return end(appendInt64(b, comparison, f.Now.UnixMicro()), condition)
}

// appendTimes appends that a field is not before an instant, and before another, each of
// which may be zero for none.
func appendTimes(b []byte, field string, from, before time.Time) []byte {
	if from.IsZero() && before.IsZero() {
		return b
	}
	condition, b := beginDocument(b, field)
	if !from.IsZero() {
		b = appendInt64(b, "$gte", from.UnixMicro())
	}
	if !before.IsZero() {
		b = appendInt64(b, "$lt", before.UnixMicro())
	}
	return end(b, condition)
}

// appendUsedBefore appends a condition that documents fulfil, too, that do not tell yet
// when they were used: they were when they were saved.
func appendUsedBefore(b []byte, before time.Time) []byte {
	either, b := beginArray(b, "$or")
	told, b := beginDocument(b, "0")
	b = end(appendTimes(b, fieldUsedUS, time.Time{}, before), told)
	untold, b := beginDocument(b, "1")
	b = appendTimes(appendAbsent(b, fieldUsedUS), fieldCachedUS, time.Time{}, before)
	return end(end(b, untold), either)
}

func appendAbsent(b []byte, field string) []byte {
	condition, b := beginDocument(b, field)
	return end(appendBool(b, "$exists", false), condition)
}

// appendNamePrefix appends a condition that excludes the texts that begin otherwise. It
// has no effect on binary data, which is no less than a text and no greater.
func appendNamePrefix(b []byte, prefix string) []byte {
	from := textOf(prefix)
	if from == "" {
		return b
	}
	neither, b := beginArray(b, "$nor")
	less, b := beginDocument(b, "0")
	field, b := beginDocument(b, fieldTitle)
	b = end(end(appendString(b, "$lt", from), field), less)
	if below := successor(from); below != "" {
		greater, d := beginDocument(b, "1")
		field, d := beginDocument(d, fieldTitle)
		b = end(end(appendString(d, "$gte", below), field), greater)
	}
	return end(b, neither)
}

// textOf returns what of s is text, up to the first byte that is none.
func textOf(s string) string {
	for i, r := range s {
		if _, size := utf8.DecodeRuneInString(s[i:]); r == 0 || r == utf8.RuneError && size == 1 {
			return s[:i]
		}
	}
	return s
}

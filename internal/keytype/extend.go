package keytype

import (
	"reflect"
	"slices"

	"github.com/endpointcache/endpointcache/driver"
)

// Extend returns what makes keys of the type out of the values of keys that have only some of
// its columns, in their order. ok is false where the columns are others, or all of the type's,
// or where a field that they do not have has no value for requests without it.
func (kt *Type) Extend(columns []driver.Column) (extend func([]driver.Value) []driver.Value, ok bool) {
	if kt.scalar || len(columns) >= len(kt.Fields) {
		return nil, false
	}
	added := make([]driver.Value, len(kt.Fields)) // nil where the columns have the field
	next := 0
	for i := range kt.Fields {
		f := &kt.Fields[i]
		if next < len(columns) && columns[next] == (driver.Column{Name: f.Column, Kind: f.Kind}) {
			next++
			continue
		}
		if added[i], ok = f.absent(reflect.New(kt.goType).Elem()); !ok {
			return nil, false
		}
	}
	return func(values []driver.Value) []driver.Value {
		extended := slices.Clone(added)
		for i := range extended {
			if extended[i] == nil {
				extended[i], values = values[0], values[1:]
			}
		}
		return extended
	}, next == len(columns)
}

// absent is the value that the field has where a request lacks it: that of its default tag, or
// else the zero value. A field that is in each request has none, nor has one without a default
// tag that is in no request. scratch is a key.
func (f *Field) absent(scratch reflect.Value) (value driver.Value, ok bool) {
	text, hasDefault := f.Tag.Lookup("default")
	if hasDefault && f.SetText(scratch, text) != nil {
		return nil, false
	}
	optional := hasDefault
	for _, source := range []string{"query", "header", "body"} {
		if tag, found := f.Tag.Lookup(source); found {
			_, options := SplitTag(source, tag)
			optional = !slices.Contains(options, "required")
		}
	}
	if !optional {
		return nil, false
	}
	value, err := f.value(scratch)
	return value, err == nil
}

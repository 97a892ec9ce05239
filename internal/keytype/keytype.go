// Package keytype works out, once for each key type, how its fields map to
// key columns and to text: a struct of strings, integers, bools and types that
// have a text of their own, or a single one of these.
package keytype

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/endpointcache/endpointcache/driver"
)

// Type is a key type's fields in the order in which it declares them. Fields
// of embedded structs stand in the place of the struct.
type Type struct {
	Fields []Field
	goType reflect.Type
	scalar bool
}

// Field is one field of a key type, or the whole of a scalar one.
type Field struct {
	Name   string            // the field's name in Go; empty for a scalar key
	Column string            // its key column's name
	Tag    reflect.StructTag // its tag; empty for a scalar key
	Kind   driver.Kind       // its key column's kind
	goType reflect.Type
	index  []int
	form   form
}

// form is how a field's text is made.
type form uint8

const (
	plain   form = iota
	marshal      // by its MarshalText
	list         // it is one of JoinList
	set          // it is one of JoinList, of sorted values
	nothing      // a struct without fields, whose text is empty
)

// Plain tells whether the field holds the text itself, and any text.
func (f *Field) Plain() bool {
	return f.Kind == driver.String && f.form != marshal && f.form != nothing
}

// Empty tells whether the field is the whole of a key without fields: all requests have one.
func (f *Field) Empty() bool { return f.form == nothing }

// Domain is what texts the field can have: fields of one domain can have the same.
func (f *Field) Domain() string {
	switch {
	case f.form == marshal:
		return f.goType.PkgPath() + "." + f.goType.Name()
	case f.Kind == driver.String:
		return "string"
	case f.Kind == driver.Bool:
		return "bool"
	default:
		return fmt.Sprintf("%t%d", f.goType.Kind() >= reflect.Uint, f.goType.Bits())
	}
}

// Of works out the fields of K. Its error names the field that cannot be part
// of a key.
func Of[K comparable]() (*Type, error) { return of(reflect.TypeFor[K]()) }

func of(t reflect.Type) (*Type, error) {
	kt := &Type{goType: t}
	if kind, form, ok := columnOf(t); ok {
		kt.scalar = true
		kt.Fields = []Field{{Column: ScalarColumn, Kind: kind, goType: t, form: form}}
		return kt, nil
	}
	if t.Kind() == reflect.Struct && t.NumField() == 0 {
		kt.scalar = true
		kt.Fields = []Field{{Column: "key", Kind: driver.String, goType: t, form: nothing}}
		return kt, nil
	}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("key type %v: a key is a struct, a string, an integer, a bool or a type with MarshalText and UnmarshalText", t)
	}
	if err := kt.addFields(t, nil); err != nil {
		return nil, err
	}
	if len(kt.Fields) == 0 {
		return nil, fmt.Errorf("key type %v has no fields but embedded ones without any", t)
	}
	seen := make(map[string]string, len(kt.Fields))
	for _, f := range kt.Fields {
		folded := strings.ToLower(f.Column)
		if other, dup := seen[folded]; dup {
			return nil, fmt.Errorf("key type %v: fields %s and %s have the same column %q", t, other, f.Name, f.Column)
		}
		seen[folded] = f.Name
	}
	return kt, nil
}

func (kt *Type) addFields(t reflect.Type, index []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		path := append(index[:len(index):len(index)], i)
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && !hasText(sf.Type) {
			if err := kt.addFields(sf.Type, path); err != nil {
				return err
			}
			continue
		}
		if !sf.IsExported() {
			return fmt.Errorf("key type %v: field %s is not exported", kt.goType, sf.Name)
		}
		kind, form, ok := columnOf(sf.Type)
		if !ok {
			return fmt.Errorf("key type %v: field %s is a %v: a key's fields are strings, integers, bools and types with MarshalText and UnmarshalText",
				kt.goType, sf.Name, sf.Type)
		}
		if kind == driver.String && form == plain {
			form = formOf(sf.Tag)
		}
		kt.Fields = append(kt.Fields, Field{
			Name: sf.Name, Column: columnName(sf), Tag: sf.Tag, Kind: kind, goType: sf.Type, index: path, form: form,
		})
	}
	return nil
}

// columnOf is false for a type that no column holds.
func columnOf(t reflect.Type) (driver.Kind, form, bool) {
	if hasText(t) {
		return driver.String, marshal, true
	}
	switch t.Kind() {
	case reflect.String:
		return driver.String, plain, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return driver.Int, plain, true
	case reflect.Bool:
		return driver.Bool, plain, true
	default:
		return 0, plain, false
	}
}

// columnName is the name in the field's column tag, else the one that the
// request has for it, else the field's name in snake case. A name that the
// stores use themselves is prefixed with "key_".
func columnName(sf reflect.StructField) string {
	if name := sf.Tag.Get("column"); name != "" {
		return name
	}
	name := ""
	for _, source := range []string{"path", "query", "header", "body"} {
		if value, ok := sf.Tag.Lookup(source); ok {
			name, _ = SplitTag(source, value)
			name = strings.ReplaceAll(name, `\`, "")
			break
		}
	}
	if name == "" {
		name = sf.Name
	}
	return Column(name)
}

// Column is the name of the column for what a request calls name.
func Column(name string) string {
	name = snakeCase(name)
	if driver.Reserved(name) {
		name = "key_" + strings.TrimLeft(name, "_")
	}
	return name
}

// snakeCase turns TrackID, trackId, Track-Id and "track id" into track_id.
func snakeCase(s string) string {
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		switch {
		case unicode.IsUpper(r):
			if i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]) ||
				unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		case unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// Columns are the key columns of the type.
func (kt *Type) Columns() []driver.Column {
	columns := make([]driver.Column, len(kt.Fields))
	for i, f := range kt.Fields {
		columns[i] = driver.Column{Name: f.Column, Kind: f.Kind}
	}
	return columns
}

// AppendValues appends the values of key, which is of the key type, to values. The
// error is that of a field which has no text.
func (kt *Type) AppendValues(values []driver.Value, key reflect.Value) ([]driver.Value, error) {
	for i := range kt.Fields {
		value, err := kt.Fields[i].value(key)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	return values, nil
}

// Comparable tells whether == tells the keys of the type apart, so that
// [Type.Same] is not needed.
func (kt *Type) Comparable() bool {
	return !slices.ContainsFunc(kt.Fields, func(f Field) bool { return f.form == marshal || f.form == set })
}

// Same tells whether two keys have the same values. Where a field has a text of its
// own, as a time has, or is a set, keys that differ in Go can be the same.
func (kt *Type) Same(a, b reflect.Value) bool {
	for i := range kt.Fields {
		x, errX := kt.Fields[i].value(a)
		y, errY := kt.Fields[i].value(b)
		if errX != nil || errY != nil || x != y {
			return false
		}
	}
	return true
}

// Set sets key, which is addressable and of the key type, from values that a
// store returned.
func (kt *Type) Set(key reflect.Value, values []driver.Value) error {
	if len(values) != len(kt.Fields) {
		return fmt.Errorf("key has %d values, want %d", len(values), len(kt.Fields))
	}
	for i, value := range values {
		f := &kt.Fields[i]
		if err := f.setValue(key, value); err != nil {
			return fmt.Errorf("key column %q: %w", f.Column, err)
		}
	}
	return nil
}

// Of returns the field's part of key.
func (f *Field) Of(key reflect.Value) reflect.Value {
	switch len(f.index) {
	case 0:
		return key
	case 1:
		return key.Field(f.index[0])
	default:
		return key.FieldByIndex(f.index)
	}
}

func (f *Field) value(key reflect.Value) (driver.Value, error) {
	if f.form != plain {
		return f.Text(key)
	}
	v := f.Of(key)
	switch {
	case f.Kind == driver.String:
		return v.String(), nil
	case f.Kind == driver.Bool:
		return v.Bool(), nil
	case v.CanInt():
		return v.Int(), nil
	default:
		// Unsigned values above the largest int64 become negative ones: the
		// mapping stays one to one.
		return int64(v.Uint()), nil
	}
}

var errKind = errors.New("value is of another kind")

func (f *Field) setValue(key reflect.Value, value driver.Value) error {
	v := f.Of(key)
	switch f.Kind {
	case driver.String:
		s, ok := value.(string)
		if !ok {
			return errKind
		}
		if f.form == marshal || f.form == nothing {
			return f.SetText(key, s)
		}
		v.SetString(s)
	case driver.Bool:
		b, ok := value.(bool)
		if !ok {
			return errKind
		}
		v.SetBool(b)
	default:
		n, ok := value.(int64)
		if !ok {
			return errKind
		}
		if v.CanInt() {
			if v.OverflowInt(n) {
				return fmt.Errorf("%d does not fit %v", n, f.goType)
			}
			v.SetInt(n)
			return nil
		}
		if v.OverflowUint(uint64(n)) {
			return fmt.Errorf("%d does not fit %v", uint64(n), f.goType)
		}
		v.SetUint(uint64(n))
	}
	return nil
}

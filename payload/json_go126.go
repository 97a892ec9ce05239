//go:build !goexperiment.jsonv2

package payload

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// unmarshalerOf returns the function that decodes values of a type: the decoder of Go
// 1.27 for types of which it makes the same as the encoding/json of this Go version.
func unmarshalerOf(t reflect.Type) func([]byte, any) error {
	if alike(t, map[reflect.Type]bool{}) {
		return unmarshalV1
	}
	return json.Unmarshal
}

// unmarshalV1 leaves it to encoding/json to refuse a body, so that callers find its errors.
func unmarshalV1(data []byte, v any) error {
	if jsonv1.Unmarshal(data, v) == nil {
		return nil
	}
	reflect.ValueOf(v).Elem().SetZero()
	return json.Unmarshal(data, v)
}

// alike tells whether both decoders make the same of all bodies for a type. Types in
// which a difference is known, or would not surprise, are not alike; TestJSONTypes has
// examples. Neither are interfaces, which the new decoder is slower at.
func alike(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch {
	case seen[t]:
		return true
	case t == reflect.TypeFor[json.Number](), reflect.PointerTo(t).Implements(reflect.TypeFor[jsonv2.UnmarshalerFrom]()):
		return false
	case decodesItself(t):
		return t.Name() != "" // encoding/json does not always call methods of types without one
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return alike(t.Elem(), seen)
	case reflect.Map:
		return t.Key().Kind() == reflect.String && alike(t.Key(), seen) && alike(t.Elem(), seen)
	case reflect.Struct:
		return alikeFields(t, map[string]bool{}, seen)
	default:
		return false
	}
}

// alikeFields looks at the fields of a struct, and at those that embedded structs add to
// it. Names that differ in nothing but case are not alike.
func alikeFields(t reflect.Type, names map[string]bool, seen map[reflect.Type]bool) bool {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("json")
		if tag == "-" || !field.IsExported() && !field.Anonymous {
			continue
		}
		if field.Anonymous {
			if tagged || field.Type.Kind() != reflect.Struct || decodesItself(field.Type) || !alikeFields(field.Type, names, seen) {
				return false
			}
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if options != "" && options != "omitempty" && options != "omitzero" {
			return false
		}
		if name == "" {
			name = field.Name
		}
		folded := strings.ToLower(name)
		if strings.Trim(folded, plain) != "" || names[folded] || !alike(field.Type, seen) {
			return false
		}
		names[folded] = true
	}
	return true
}

// plain are the characters of names that are alike.
const plain = "abcdefghijklmnopqrstuvwxyz0123456789_-.:/@$"

func decodesItself(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

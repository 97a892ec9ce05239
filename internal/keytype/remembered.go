package keytype

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/endpointcache/endpointcache/driver"
)

// ScalarColumn is the column of a key that is a single value.
const ScalarColumn = "key"

// textWord is the word for types that have a text of their own.
const textWord = "text"

// nothingWord is the word for a key without fields.
const nothingWord = "nothing"

// words are the types of fields, by the words that a store remembers them by. Of a type with
// a text of its own, no more is known than that it has one.
var words = map[string]reflect.Type{
	"string": reflect.TypeFor[string](), textWord: reflect.TypeFor[text](), nothingWord: reflect.TypeFor[struct{}](), "bool": reflect.TypeFor[bool](),
	"int": reflect.TypeFor[int64](), "int8": reflect.TypeFor[int8](), "int16": reflect.TypeFor[int16](),
	"int32": reflect.TypeFor[int32](), "int64": reflect.TypeFor[int64](),
	"uint": reflect.TypeFor[uint64](), "uint8": reflect.TypeFor[uint8](), "uint16": reflect.TypeFor[uint16](),
	"uint32": reflect.TypeFor[uint32](), "uint64": reflect.TypeFor[uint64](),
}

// text is any text: that of a type which is not there.
type text string

// MarshalText implements [encoding.TextMarshaler].
func (t text) MarshalText() ([]byte, error) { return []byte(t), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *text) UnmarshalText(b []byte) error {
	*t = text(b)
	return nil
}

// Word is what a store remembers the type of a field by.
func (f *Field) Word() string {
	switch f.form {
	case marshal:
		return textWord
	case nothing:
		return nothingWord
	default:
	}
	if f.Kind == driver.String {
		return "string"
	}
	return f.goType.Kind().String()
}

// WordOf is the word for the values of a kind.
func WordOf(k driver.Kind) string {
	switch k {
	case driver.Int:
		return "int64"
	case driver.Bool:
		return "bool"
	default:
		return "string"
	}
}

// Remembered is a field as a store remembers it. One without a tag is a key that is a single
// value.
type Remembered struct {
	Column, Word string
	Tag          reflect.StructTag
}

// OfRemembered is the type of keys with these fields.
func OfRemembered(fields []Remembered) (*Type, error) {
	structFields := make([]reflect.StructField, len(fields))
	for i, f := range fields {
		t, ok := words[f.Word]
		if !ok {
			return nil, fmt.Errorf("no type of key fields is called %q", f.Word)
		}
		if f.Tag == "" && len(fields) == 1 {
			return of(t)
		}
		tag := reflect.StructTag("column:"+strconv.Quote(f.Column)) + " " + f.Tag
		structFields[i] = reflect.StructField{Name: "F" + strconv.Itoa(i), Type: t, Tag: tag}
	}
	return of(reflect.StructOf(structFields))
}

// New returns a key of the type, which can be set.
func (kt *Type) New() reflect.Value { return reflect.New(kt.goType).Elem() }

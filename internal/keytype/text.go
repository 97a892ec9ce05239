package keytype

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/secret"
)

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// hasText tells whether values of a type have a text of their own, which they can be
// made of again. A struct that embeds such a type has its methods, but they tell only
// of a part of it: it has to be taken field by field.
func hasText(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if sf := t.Field(i); sf.Anonymous && (reflect.PointerTo(sf.Type).Implements(marshaler) || sf.Type.Implements(marshaler)) {
				return false
			}
		}
	}
	p := reflect.PointerTo(t)
	return p.Implements(marshaler) && p.Implements(unmarshaler)
}

// SplitTag takes apart a tag into the name and its options. In a path to a member of
// the body, a comma may have a backslash before it.
func SplitTag(source, text string) (name string, options []string) {
	from := 0
	var parts []string
	for i := 0; i < len(text); i++ {
		switch {
		case source == "body" && text[i] == '\\':
			i++
		case text[i] == ',':
			parts = append(parts, text[from:i])
			from = i + 1
		}
	}
	parts = append(parts, text[from:])
	return parts[0], parts[1:]
}

// formOf is the form of a string by its tag.
func formOf(tag reflect.StructTag) form {
	for _, source := range []string{"path", "query", "body"} {
		_, options := SplitTag(source, tag.Get(source))
		switch {
		case slices.Contains(options, "set"):
			return set
		case slices.Contains(options, "list"):
			return list
		}
	}
	return plain
}

// Text is the field's part of key as it stands in a request and, if its kind is
// String, in a column: one text for all that are the same.
func (f *Field) Text(key reflect.Value) (string, error) {
	v := f.Of(key)
	switch {
	case f.form == marshal:
		return f.marshaled(v)
	case f.form == nothing:
		return "", nil
	case f.form == list || f.form == set:
		return f.normal(v.String())
	case f.Kind == driver.String:
		return v.String(), nil
	case f.Kind == driver.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	default:
		return strconv.FormatUint(v.Uint(), 10), nil
	}
}

func (f *Field) marshaled(v reflect.Value) (string, error) {
	p := reflect.New(f.goType)
	p.Elem().Set(v)
	text, err := p.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return "", fmt.Errorf("%s has no text: %w", f, err)
	}
	return string(text), nil
}

// normal is the text of a list or set.
func (f *Field) normal(text string) (string, error) {
	values, err := SplitList(text)
	if err != nil {
		return "", fmt.Errorf("%s: %s is not of the form that request.JoinList makes", f, f.Quote(text))
	}
	if f.form == set && len(values) > 1 {
		slices.Sort(values)
		return JoinList(slices.Compact(values)...), nil
	}
	return text, nil
}

// String names the field in an error.
func (f *Field) String() string {
	if f.Name == "" {
		return "key"
	}
	return "field " + f.Name
}

// SetText sets the field's part of key, which is addressable, from a request's
// text. Only the text that [Field.Text] would give is taken: were both 7 and
// 007 the number 7, two requests would share a key.
func (f *Field) SetText(key reflect.Value, text string) error {
	v := f.Of(key)
	switch {
	case f.form == marshal:
		return f.unmarshal(v, text)
	case f.form == nothing:
		if text != "" {
			return errKind
		}
		return nil
	case f.Kind == driver.String:
		v.SetString(text)
		return nil
	case f.Kind == driver.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%s is not true or false", f.Quote(text))
		}
		v.SetBool(text == "true")
		return nil
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, f.goType.Bits())
		if err != nil || strconv.FormatInt(n, 10) != text {
			return fmt.Errorf("%s is not a plain %v", f.Quote(text), f.goType)
		}
		v.SetInt(n)
		return nil
	default:
		n, err := strconv.ParseUint(text, 10, f.goType.Bits())
		if err != nil || strconv.FormatUint(n, 10) != text {
			return fmt.Errorf("%s is not a plain %v", f.Quote(text), f.goType)
		}
		v.SetUint(n)
		return nil
	}
}

// unmarshal makes a new value, as methods may leave alone what a text does not say.
func (f *Field) unmarshal(v reflect.Value, text string) error {
	p := reflect.New(f.goType)
	if err := p.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%s is no %v: %w", f.Quote(text), f.goType, secret.Error(err))
	}
	if again, err := f.marshaled(p.Elem()); err != nil || again != text {
		return fmt.Errorf("%s is not the text that a %v has", f.Quote(text), f.goType)
	}
	v.Set(p.Elem())
	return nil
}

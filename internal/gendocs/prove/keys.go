package prove

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/request"
)

// field is a field of a key.
type field struct {
	index    int
	in       string // path, query, header, body
	name     string // of the parameter
	options  []string
	fallback string // its default
	hasText  bool
}

func (f field) has(option string) bool {
	for _, o := range f.options {
		if o == option {
			return true
		}
	}
	return false
}

// separator stands between the values of a list that is one text, empty for another field.
func (f field) separator() string {
	for option, separator := range map[string]string{"comma": ",", "space": " ", "pipe": "|"} {
		if f.has(option) {
			return separator
		}
	}
	return ""
}

func (f field) required() bool { return f.in == "path" || f.has("required") }

func fieldsOf(t reflect.Type) []field {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var fields []field
	for i := range t.NumField() {
		for _, in := range []string{"path", "query", "header", "body"} {
			tag, ok := t.Field(i).Tag.Lookup(in)
			if !ok {
				continue
			}
			parts := strings.Split(tag, ",")
			fallback := t.Field(i).Tag.Get("default")
			_, hasText := reflect.New(t.Field(i).Type).Interface().(encoding.TextUnmarshaler)
			fields = append(fields, field{i, in, parts[0], parts[1:], fallback, hasText})
		}
	}
	return fields
}

// keysOf makes different keys of a type: with what is required alone, with each of the other
// fields, with all, and with texts that have to be escaped.
func keysOf(t reflect.Type) ([]reflect.Value, error) {
	fields := fieldsOf(t)
	if fields == nil { // a single value, or nothing
		var keys []reflect.Value
		for n, text := range []string{"v1x", "a b&c=d+e"} {
			v := reflect.New(t).Elem()
			if t.Kind() != reflect.Struct {
				if err := set(v, field{}, text, n+1); err != nil {
					return nil, err
				}
			}
			keys = append(keys, v)
		}
		return unique(keys), nil
	}
	base := reflect.New(t).Elem()
	for n, f := range fields {
		var err error
		switch {
		case f.required():
			err = set(base.Field(f.index), f, fmt.Sprintf("v%d.x", n), n+1)
		case f.fallback != "":
			err = setText(base.Field(f.index), f.fallback)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	keys := []reflect.Value{base}
	full, odd := copyOf(base), copyOf(base)
	for n, f := range fields {
		text := fmt.Sprintf("w%d.x", n)
		if err := set(full.Field(f.index), f, text, 100+n); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		single := copyOf(base)
		single.Field(f.index).Set(full.Field(f.index))
		keys = append(keys, single)
		if separator := f.separator(); separator != "" {
			for _, values := range [][]string{{text, "y"}, {text + separator + "y"}} { // no two of which are the same
				joined := copyOf(base)
				joined.Field(f.index).SetString(request.JoinList(values...))
				keys = append(keys, joined)
			}
		}
		if f.in != "header" {
			text = "é b&c=d+%2F;,\"" + text
		}
		if err := set(odd.Field(f.index), f, text, 1000+n); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return unique(append(keys, full, odd)), nil
}

func copyOf(v reflect.Value) reflect.Value {
	other := reflect.New(v.Type()).Elem()
	other.Set(v)
	return other
}

func unique(keys []reflect.Value) []reflect.Value {
	seen := make(map[any]bool)
	var some []reflect.Value
	for _, k := range keys {
		if !seen[k.Interface()] {
			some = append(some, k)
		}
		seen[k.Interface()] = true
	}
	return some
}

// set gives a field a value that is made from a text or a number.
func set(v reflect.Value, f field, text string, number int) error {
	if f.hasText {
		for _, try := range []string{text, strconv.Itoa(number), "2020-01-02T03:04:05Z", "true"} {
			if setText(v, try) == nil {
				return nil
			}
		}
		return fmt.Errorf("%s takes no text that is known here", v.Type())
	}
	switch v.Kind() {
	case reflect.String:
		switch {
		case f.has("number"):
			text = strconv.Itoa(number)
			fallthrough
		case f.has("list"), f.has("set"):
			v.SetString(request.JoinList(text))
			if f.has("list") || f.has("set") {
				other := "z" + text
				if f.has("number") {
					other = "9" + text
				}
				v.SetString(request.JoinList(text, other))
			}
		default:
			v.SetString(text)
		}
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(number % 127))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(number % 127)) // #nosec G115 -- it is not negative
	default:
		return fmt.Errorf("a %s", v.Type())
	}
	return nil
}

// setText gives a value what its text says.
func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		v.SetInt(n)
		return err
	default:
		n, err := strconv.ParseUint(text, 10, 64)
		v.SetUint(n)
		return err
	}
	return nil
}

package request

import (
	"reflect"
	"strconv"
)

// Optional is the type of a key's field for a parameter or header whose absence means
// something else than its zero value, as where no "archived" lists all projects and
// "archived=false" those that are not. The zero value is absent; see [Some]. Requests with an
// empty "archived=" do not match. Its column is the text that a request has.
type Optional[T OptionalValue] struct {
	value   T
	present bool
}

// OptionalValue is what can be optional besides strings, whose absence is the empty string.
type OptionalValue interface {
	~bool | ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Some is a value that is present.
func Some[T OptionalValue](value T) Optional[T] { return Optional[T]{value, true} }

// Get returns the value. ok is false where it is absent.
func (o Optional[T]) Get() (value T, ok bool) { return o.value, o.present }

// String is the text that a request has, empty where the value is absent.
func (o Optional[T]) String() string {
	if !o.present {
		return ""
	}
	switch v := reflect.ValueOf(o.value); { // whose type may have another text of its own
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	default:
		return strconv.FormatUint(v.Uint(), 10)
	}
}

// MarshalText implements [encoding.TextMarshaler].
func (o Optional[T]) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. Empty text is absence.
func (o *Optional[T]) UnmarshalText(text []byte) error {
	*o = Optional[T]{}
	if len(text) == 0 {
		return nil
	}
	v := reflect.ValueOf(&o.value).Elem()
	switch s := string(text); {
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case v.CanInt():
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		if err != nil {
			return err
		}
		v.SetInt(n)
	default:
		n, err := strconv.ParseUint(s, 10, v.Type().Bits())
		if err != nil {
			return err
		}
		v.SetUint(n)
	}
	o.present = true
	return nil
}

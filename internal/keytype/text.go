package keytype

import (
	"fmt"
	"reflect"
	"strconv"

	"github.com/endpointcache/endpointcache/driver"
)

// Text is the field's part of key as it stands in a request.
func (f *Field) Text(key reflect.Value) string {
	v := f.Of(key)
	switch {
	case f.Kind == driver.String:
		return v.String()
	case f.Kind == driver.Bool:
		return strconv.FormatBool(v.Bool())
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	default:
		return strconv.FormatUint(v.Uint(), 10)
	}
}

// SetText sets the field's part of key, which is addressable, from a request's
// text. Only the text that [Field.Text] would give is taken: were both 7 and
// 007 the number 7, two requests would share a key.
func (f *Field) SetText(key reflect.Value, text string) error {
	v := f.Of(key)
	switch {
	case f.Kind == driver.String:
		v.SetString(text)
		return nil
	case f.Kind == driver.Bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(text == "true")
		return nil
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, f.goType.Bits())
		if err != nil || strconv.FormatInt(n, 10) != text {
			return fmt.Errorf("%q is not a plain %v", text, f.goType)
		}
		v.SetInt(n)
		return nil
	default:
		n, err := strconv.ParseUint(text, 10, f.goType.Bits())
		if err != nil || strconv.FormatUint(n, 10) != text {
			return fmt.Errorf("%q is not a plain %v", text, f.goType)
		}
		v.SetUint(n)
		return nil
	}
}

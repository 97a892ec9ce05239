//go:build goexperiment.jsonv2

package payload

import (
	"encoding/json"
	"reflect"
)

// unmarshalerOf returns the function that decodes values of a type. Since Go 1.27,
// encoding/json is the new decoder itself.
func unmarshalerOf(reflect.Type) func([]byte, any) error { return json.Unmarshal }

package payload

import (
	"encoding/json"
	"reflect"
)

// JSON handles bodies that are JSON with the meaning and the errors of encoding/json,
// in half of its time on Go 1.26 (see docs/dependencies.md). Package payload/gojson has
// a handler that takes less than half of that again, by unsafe code. For another
// library, see [Codec].
func JSON[V any]() Handler[V] {
	return Codec[V]("application/json", unmarshalerOf(reflect.TypeFor[V]()), json.Marshal)
}

package payload

import "github.com/goccy/go-json"

// JSON handles bodies that are JSON, as [encoding/json] would, in a third of
// the time. docs/dependencies.md says how the library behind it was chosen. For
// another, encoding/json among them, see [Codec].
func JSON[V any]() Handler[V] {
	return Codec[V]("application/json", unmarshalJSON, json.Marshal)
}

func unmarshalJSON(data []byte, v any) error { return json.Unmarshal(data, v) }

// Package gojson handles bodies that are JSON with github.com/goccy/go-json, the fastest
// decoder that makes the same of them as encoding/json. It takes less than half of the
// time of payload.JSON, and is used in its place:
//
//	Payload: gojson.JSON[Track](),
//
// The price is unsafe code: a mistake in the library can corrupt the memory of the
// program, which one in payload.JSON cannot. docs/dependencies.md has what is known of
// it, and the types for which the results differ.
package gojson

import (
	"github.com/goccy/go-json"

	"github.com/endpointcache/endpointcache/payload"
)

// JSON handles bodies that are JSON.
func JSON[V any]() payload.Handler[V] {
	return payload.Codec[V]("application/json", unmarshal, json.Marshal)
}

func unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

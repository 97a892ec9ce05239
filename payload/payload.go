// Package payload turns response bodies into values and back. What is stored
// is always the body as it came; a [Handler] decodes it on a typed read.
package payload

import "slices"

// Handler converts between the body of a response and a V. It is used by many
// goroutines at once.
type Handler[V any] interface {
	// Decode returns the value that data holds. It neither changes data nor
	// keeps a reference to it.
	Decode(data []byte) (V, error)

	// Encode returns the body that holds v, in a slice that is the caller's.
	Encode(v V) ([]byte, error)

	// ContentType is the media type of bodies that Encode makes. It is the
	// Content-Type header of a value that was saved without a response.
	ContentType() string
}

// Total is implemented by handlers that can decode any body, so that nobody
// decodes one only to learn whether it can be decoded.
type Total interface {
	// DecodesAll marks the handler and does nothing.
	DecodesAll()
}

// Keeper is implemented by handlers whose values can be the body itself.
type Keeper[V any] interface {
	// Keep is Decode without a copy: data belongs to the value from then on.
	Keep(data []byte) V
}

// String handles bodies as text. It decodes any body, and changes none: what is
// not UTF-8 stays as it is.
func String() Handler[string] { return stringHandler{} }

type stringHandler struct{}

func (stringHandler) Decode(data []byte) (string, error) { return string(data), nil }
func (stringHandler) Encode(s string) ([]byte, error)    { return []byte(s), nil }
func (stringHandler) ContentType() string                { return "text/plain; charset=utf-8" }
func (stringHandler) DecodesAll()                        {}

// Bytes handles bodies as they are. A decoded body belongs to its receiver.
func Bytes() Handler[[]byte] { return bytesHandler{} }

type bytesHandler struct{}

func (bytesHandler) Decode(data []byte) ([]byte, error) { return append([]byte{}, data...), nil }
func (bytesHandler) Keep(data []byte) []byte            { return data }
func (bytesHandler) Encode(b []byte) ([]byte, error)    { return slices.Clone(b), nil }
func (bytesHandler) ContentType() string                { return "application/octet-stream" }
func (bytesHandler) DecodesAll()                        {}

// Codec is a handler made of a pair of functions with the signatures of
// [encoding/json.Unmarshal] and [encoding/json.Marshal], which most encoding
// libraries have: XML, YAML, MessagePack or another JSON library, say.
func Codec[V any](contentType string, unmarshal func([]byte, any) error, marshal func(any) ([]byte, error)) Handler[V] {
	return codec[V]{contentType, unmarshal, marshal}
}

type codec[V any] struct {
	contentType string
	unmarshal   func([]byte, any) error
	marshal     func(any) ([]byte, error)
}

func (c codec[V]) Decode(data []byte) (V, error) {
	var v V
	if err := c.unmarshal(data, &v); err != nil {
		var zero V
		return zero, err
	}
	return v, nil
}

func (c codec[V]) Encode(v V) ([]byte, error) { return c.marshal(v) }
func (c codec[V]) ContentType() string        { return c.contentType }

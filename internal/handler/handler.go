// Package handler tells what the library knows of a payload's handler beyond the
// interface payload.Handler. Handlers tell it by methods that they may have or not.
package handler

// DecodesAll tells whether a handler can decode any body, so that none has to be
// decoded only to learn whether it can be.
func DecodesAll(handler any) bool {
	_, ok := handler.(interface{ DecodesAll() })
	return ok
}

// Keeper is a handler whose values can be the body itself.
type Keeper[V any] interface {
	// Keep is Decode without a copy: data belongs to the value from then on.
	Keep(data []byte) V
}

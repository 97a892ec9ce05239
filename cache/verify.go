package cache

import (
	"context"
	"errors"
	"iter"
)

// Fault is what is wrong with a stored response.
type Fault struct {
	Stored       // as far as it can be read, without its body
	Err    error // what is wrong, without contents: the checksum of a part, the encoding, the headers, the form of the body
	Damage bool  // it is not as it was saved: reads treat it as a miss
}

// Verify reads the responses that the query selects, whole, and yields those with which something is wrong: a
// checksum that does not fit, a body that cannot be decompressed, headers that cannot be decoded, a body that is
// not of the media type that its headers or its declaration tell, such as broken JSON. It changes nothing.
// read, if it is not nil, is called for each response that was read, by the same goroutine. An error that ends the
// iteration is its last element.
func (s *Contents) Verify(ctx context.Context, q Query, read func(Stored)) iter.Seq2[Fault, error] {
	return func(yield func(Fault, error) bool) { yield(Fault{}, errors.ErrUnsupported) }
}

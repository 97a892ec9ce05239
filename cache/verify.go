package cache

import (
	"context"
	"errors"
	"iter"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// Fault is what is wrong with a stored response.
type Fault struct {
	Stored       // as far as it can be read, without its body; without Key where not even that can be
	Err    error // what is wrong, without contents: the checksum of a part, the encoding, the headers, the form of the body
	Damage bool  // it is not as it was saved: reads treat it as a miss
}

// Verify reads the responses that the query selects, whole, and yields those with which something is
// wrong: a checksum that does not fit, a body that cannot be decompressed, headers that cannot
// be decoded, a body that is not of the media type that its headers or its declaration tell,
// such as broken JSON, or that the cache's repository cannot decode. What was found damaged before,
// and waits to be replaced, is yielded, too, and so is what is sealed by a layer that the cache does not have.
//
// It changes nothing: it neither puts out of the way what is damaged, nor counts it in Stats. A
// damaged response of which not enough can be read to tell whether the query selects it is
// yielded. What an invalidation has made old counts by its own expiry here. Variants besides the
// latest are not read.
//
// read, if it is not nil, is called for each response that was read, by the same goroutine. An
// error that ends the iteration is its last element.
func (s *Contents) Verify(ctx context.Context, q Query, read func(Stored)) iter.Seq2[Fault, error] {
	return func(yield func(Fault, error) bool) {
		err := s.selected(ctx, q, func(sel selection) error {
			for found, err := range sel.table.Examine(ctx, sel.Selection) {
				if err != nil {
					return err
				}
				if len(found.Key) > 0 && sel.wanted != nil && !sel.wanted(found.Entry) {
					continue
				}
				fault := sel.fault(found)
				if read != nil {
					read(fault.Stored)
				}
				if fault.Err != nil && !yield(fault, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(Fault{}, err)
		}
	}
}

// fault is what is wrong with a response, without an Err where that is nothing.
func (s selection) fault(found driver.Examined) Fault {
	fault := Fault{Err: found.Fault, Damage: found.Fault != nil && !errors.Is(found.Fault, exchange.ErrSealed)}
	if fault.Err == nil {
		fault.Err = s.table.Malformed(found.Entry)
	}
	s.Parts &^= driver.Payload
	fault.Stored = s.stored(found.Entry)
	return fault
}

// ErrRuined is the Err of a [Fault] that was found before.
var ErrRuined = exchange.ErrRuined

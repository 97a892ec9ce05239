package dynamodb

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/endpointcache/endpointcache/driver"
)

const encodingZstd = "zstd"

var encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
})

var decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxPayload))
})

// compress returns payload as it is to be stored, and how: as it is where compression
// does not make it smaller.
func compress(payload []byte) (stored []byte, encoding string, err error) {
	e, err := encoder()
	if err != nil {
		return nil, "", err
	}
	compressed := e.EncodeAll(payload, make([]byte, 0, len(payload)/2))
	if len(compressed) >= len(payload) {
		return payload, "", nil
	}
	return compressed, encodingZstd, nil
}

// whole is the record's entry, all of whose payload has been read.
func (r *record) whole() (driver.Entry, error) {
	e := r.entry
	switch r.encoding {
	case "":
		return e, nil
	case encodingZstd:
		d, err := decoder()
		if err == nil {
			e.Payload, err = d.DecodeAll(e.Payload, nil)
		}
		if err != nil {
			return e, fmt.Errorf("%w: %s: %w", errItem, attrEncoding, err)
		}
		return e, nil
	default:
		return e, fmt.Errorf("%w: %s is %q", errItem, attrEncoding, r.encoding)
	}
}

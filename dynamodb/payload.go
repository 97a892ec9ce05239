package dynamodb

import (
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

// whole is the record's entry, all of whose payload has been read. One that cannot be decompressed has a wrong sum.
func (r *record) whole() driver.Entry {
	e := r.entry
	if r.encoding == "" {
		return e
	}
	d, err := decoder()
	if err == nil && r.encoding == encodingZstd {
		if payload, err := d.DecodeAll(e.Payload, nil); err == nil {
			e.Payload = payload
			return e
		}
	}
	e.Payload, e.PayloadSum = nil, driver.WrongSum
	return e
}

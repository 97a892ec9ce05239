package compress

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encoding is what entries have in Encoding whose payload is a frame of zstd, RFC 8878.
const encoding = "zstd"

// The sizes of bodies that are compressed. Smaller ones have no room for a frame; nobody
// who reads a frame needs more memory than the greatest.
const (
	minSize = 64
	maxSize = 64 << 20
)

// What a frame may become when it is read: maxRatio times its own size, or freeSize where that
// is more. So a few bytes of a store cannot take much memory, and what a cache has saved stays
// readable with any limit of bodies, as it was saved by the same rule.
const (
	freeSize = 1 << 20
	maxRatio = 100
)

// mostOf is the size of the greatest body that a frame may have.
func mostOf(frame []byte) int {
	return int(min(max(freeSize, maxRatio*int64(len(frame))), maxSize))
}

// level is between zstd's own 3 and 7.
const level = zstd.SpeedBetterCompression

// codec makes and reads frames with one dictionary, or without one. Many goroutines may use
// it at once.
type codec struct {
	id         uint32 // of the dictionary; 0: without
	dictionary []byte
	encoder    func() (*zstd.Encoder, error)
	decoder    func() (*zstd.Decoder, error)
}

// newCodec returns the codec with a dictionary, which nil stands for none of. What takes
// memory is made when it is needed.
func newCodec(dictionary []byte) *codec {
	write := []zstd.EOption{
		zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(false), // entries have checksums
		zstd.WithEncoderConcurrency(min(runtime.GOMAXPROCS(0), 4)), zstd.WithLowerEncoderMem(true),
		zstd.WithSingleSegment(true), // so that the frames of small bodies tell their sizes, too
	}
	read := []zstd.DOption{
		zstd.WithDecoderConcurrency(0), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxSize), zstd.WithDecodeAllCapLimit(true),
	}
	c := &codec{dictionary: dictionary}
	if dictionary != nil {
		c.id = idOf(dictionary)
		write, read = append(write, zstd.WithEncoderDict(dictionary)), append(read, zstd.WithDecoderDicts(dictionary))
	}
	c.encoder = sync.OnceValues(func() (*zstd.Encoder, error) { return zstd.NewWriter(nil, write...) })
	c.decoder = sync.OnceValues(func() (*zstd.Decoder, error) { return zstd.NewReader(nil, read...) })
	return c
}

// plain is the codec without a dictionary.
var plain = newCodec(nil)

// idAt is where a dictionary has its ID, RFC 8878, section 5.
const idAt = 4

func idOf(dictionary []byte) uint32 { return binary.LittleEndian.Uint32(dictionary[idAt:]) }

// setID gives a dictionary the ID that belongs to its contents, so that no frame is read with
// another one. It takes four bytes, and is one of those that anyone may use, RFC 8878, section 5.
func setID(dictionary []byte) {
	const first, last = 1 << 16, 1<<31 - 1
	clear(dictionary[idAt : idAt+4])
	id := first + crc32.ChecksumIEEE(dictionary)%(last-first+1)
	binary.LittleEndian.PutUint32(dictionary[idAt:], id)
}

// encode returns the frame of a body, or nil if that is no smaller, or too small to be read.
func (c *codec) encode(body []byte) []byte {
	if len(body) < minSize || len(body) > maxSize {
		return nil
	}
	encoder, err := c.encoder()
	if err != nil {
		return nil // of a dictionary that another version has made
	}
	frame := encoder.EncodeAll(body, make([]byte, 0, len(body)/2))
	if len(frame) >= len(body) || len(body) > mostOf(frame) {
		return nil
	}
	return frame
}

// errFrame means that a frame is none that a cache has written.
var errFrame = errors.New("no frame of a size that is told and can be held")

// dictionaryOf returns the ID of the dictionary that a frame was made with, and the size of
// its body.
func dictionaryOf(frame []byte) (id uint32, size int, err error) {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return 0, 0, err
	}
	if !h.HasFCS || h.Skippable || h.FrameContentSize > uint64(mostOf(frame)) { //nolint:gosec // it is positive
		return 0, 0, errFrame
	}
	return h.DictionaryID, int(h.FrameContentSize), nil
}

// decode returns the body of a frame, whose size is known.
func (c *codec) decode(frame []byte, size int) ([]byte, error) {
	decoder, err := c.decoder()
	if err != nil {
		return nil, err
	}
	body, err := decoder.DecodeAll(frame, make([]byte, 0, size))
	if err == nil && len(body) != size {
		err = errFrame
	}
	return body, err
}

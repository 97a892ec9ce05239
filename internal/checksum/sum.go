package checksum

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
)

// castagnoli is computed by the processor on all that matter.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// What a sum is about begins what it is made of, so that the two cannot be confused.
const (
	ofPayload = 'p'
	ofMeta    = 'm'
)

// scratch is the memory in which what is summed up is put together.
type scratch struct{ text []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 1024)} }}

// begin puts together what both sums have in them: an entry is the one of its key, and its
// status says what the payload is.
func (s *scratch) begin(about byte, key driver.Key, status int) {
	s.text = driver.AppendKey(append(s.text[:0], about), key)
	s.text = binary.BigEndian.AppendUint64(s.text, uint64(status)) //nolint:gosec // any number has its own bytes
}

// string adds a string behind its length.
func (s *scratch) string(v string) {
	s.text = append(binary.AppendUvarint(s.text, uint64(len(v))), v...)
}

func (s *scratch) time(t time.Time) {
	s.text = binary.BigEndian.AppendUint64(s.text, uint64(t.UnixMicro())) //nolint:gosec // as above
}

func (s *scratch) payload(key driver.Key, e *driver.Entry) uint32 {
	s.begin(ofPayload, key, e.Status)
	s.string(e.Encoding)
	return some(crc32.Update(crc32.Checksum(s.text, castagnoli), castagnoli, e.Payload))
}

func (s *scratch) meta(key driver.Key, e *driver.Entry) uint32 {
	s.begin(ofMeta, key, e.Status)
	s.string(e.Name)
	s.string(e.Header)
	s.time(e.CachedAt)
	s.time(e.ExpiresAt) // the zero time is before all instants that stores know
	return some(crc32.Checksum(s.text, castagnoli))
}

// some is a sum that is not 0, which stands for none, nor one that fits nothing.
func some(sum uint32) uint32 { return min(max(sum, 1), driver.WrongSum-1) }

// add sets the sums of an entry.
func (s *scratch) add(e *driver.Entry) {
	e.PayloadSum = s.payload(e.Key, e)
	e.MetaSum = s.metaToKeep(e.Key, e)
}

// metaToKeep is meta of an entry that is to be stored: of the usual form of its header, if
// it comes from a store that has given it another one.
func (s *scratch) metaToKeep(key driver.Key, e *driver.Entry) uint32 {
	if strings.Contains(e.Header, `": [`) {
		if header, ok := usual(e.Header); ok {
			usual := *e
			usual.Header = header
			e = &usual
		}
	}
	return s.meta(key, e)
}

// payloadIsRight and metaIsRight report whether the parts are what they were when their sums
// were made.
func (s *scratch) payloadIsRight(key driver.Key, e *driver.Entry) bool {
	return e.PayloadSum == 0 || e.PayloadSum == s.payload(key, e)
}

func (s *scratch) metaIsRight(key driver.Key, e *driver.Entry) bool {
	if e.MetaSum == 0 || e.MetaSum == s.meta(key, e) {
		return true
	}
	header, ok := usual(e.Header)
	if !ok || header == e.Header {
		return false
	}
	usual := *e
	usual.Header = header
	return e.MetaSum == s.meta(key, &usual)
}

// Settle looks at both parts of an entry, with all that is in them, once for all reads to come: if
// they are what they were when their sums were made, it takes these away. It is for who holds
// entries in memory; others find damage as they do without it.
func Settle(key driver.Key, e *driver.Entry) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if s.payloadIsRight(key, e) && s.metaIsRight(key, e) {
		e.PayloadSum, e.MetaSum = 0, 0
	}
}

// Right reports whether an entry, which was read with all its parts past the layer of its store, is
// what it was when its sums were made.
func Right(e *driver.Entry) bool {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	return s.payloadIsRight(e.Key, e) && s.metaIsRight(e.Key, e)
}

// Complete gives an entry the sums that it lacks, as a store does that finds damage by itself. What is
// sealed gets none: it may be bound to what it has.
func Complete(e *driver.Entry) {
	if e.PayloadSum != 0 && e.MetaSum != 0 {
		return
	}
	if _, plain := usual(e.Header); !plain {
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if e.PayloadSum == 0 {
		e.PayloadSum = s.payload(e.Key, e)
	}
	if e.MetaSum == 0 {
		e.MetaSum = s.metaToKeep(e.Key, e)
	}
}

// usual is the form in which package head writes a header: a store that has a type for JSON
// gives it back with other white space, and in another order.
func usual(header string) (string, bool) {
	h, err := head.Decode(header)
	if err != nil {
		return "", false
	}
	header, err = head.Encode(h)
	return header, err == nil
}

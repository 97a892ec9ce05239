package filesystem

import (
	"bytes"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// buffers are the memory that one goroutine reads with.
type buffers struct {
	data  [16 << 10]byte
	lines []byte // of a key
	head  head   // of the file that was read last
}

var pool = sync.Pool{New: func() any { return new(buffers) }}

func takeBuffers() *buffers { return pool.Get().(*buffers) }

// maxKept is the size up to which lines of keys are kept for others.
const maxKept = 4 << 10

func (b *buffers) free() {
	if b.lines = b.lines[:0]; cap(b.lines) > maxKept {
		b.lines = nil
	}
	b.head = head{}
	pool.Put(b)
}

// headFirst is how much is read where the payload is not wanted.
const headFirst = 1 << 10

// read reads the file at path and returns the parts of its entry that are selected,
// unless it is not selected itself. The key is left to the caller, in b.head. An
// error may be a damage.
func (f *folder) read(b *buffers, path string, sel selection, columns int) (e driver.Entry, ok bool, err error) {
	file, err := f.reader.open(path)
	if err != nil {
		return e, false, err
	}
	defer file.close()
	data := b.data[:]
	if sel.Parts&driver.Payload == 0 {
		data = data[:headFirst]
	}
	n, err := fill(file, data, 0, leastHead)
	if err != nil {
		return e, false, err
	}
	if n == 0 && !file.regular() {
		return e, false, errIrregular // a pipe without another end
	}
	data = data[:n]
	size, err := headSize(data)
	if err != nil {
		return e, false, err
	}
	if size > n {
		if data, err = readLongHead(file, data, size); err != nil {
			return e, false, err
		}
	}
	h := &b.head
	if err := h.parse(data[:size], columns); err != nil {
		return e, false, err
	}
	if ok, err = h.match(sel); err != nil || !ok {
		return e, false, err
	}
	e.Status = h.status
	parts := sel.Parts | sel.Where.Parts()
	if parts&driver.Meta != 0 {
		if err := h.meta(&e); err != nil {
			return e, false, err
		}
	}
	if parts&driver.Usage != 0 {
		if err := h.usage(&e, file); err != nil {
			return e, false, err
		}
	}
	if !sel.Where.IsZero() {
		where := driver.Filter{Leading: sel.Leading, Where: sel.Where} // the state is that of the head
		if e.Key, err = sel.identity.parse(h.key); err != nil || !where.Match(e) {
			return e, false, err
		}
	}
	if parts&driver.Payload != 0 {
		if e.PayloadSum, err = h.sum(0); err != nil {
			return e, false, err
		}
		if e.Encoding, err = parseText(h.encoding); err != nil {
			return e, false, errHead
		}
		e.Payload, err = h.readPayload(file, data[size:])
	} else {
		err = h.checkSize(file)
	}
	return e, err == nil, err
}

// readLongHead reads a head that is longer than what was read at first.
func readLongHead(f file, first []byte, size int) ([]byte, error) {
	if have, err := f.size(); err != nil {
		return nil, err
	} else if have < int64(size) {
		return nil, errTruncated
	}
	data := make([]byte, size)
	n, err := fill(f, data, copy(data, first), size)
	if err == nil && n < size {
		err = errTruncated
	}
	return data, err
}

// readPayload returns the payload, which begins with what was read already, in
// memory of its own.
func (h *head) readPayload(f file, first []byte) ([]byte, error) {
	if len(first) > h.payload {
		return nil, errTrailing
	}
	if len(first) < h.payload {
		if err := h.checkSize(f); err != nil {
			return nil, err
		}
	}
	payload := bytes.Clone(first)
	if len(first) < h.payload {
		payload = make([]byte, h.payload)
		n, err := fill(f, payload, copy(payload, first), h.payload)
		if err != nil {
			return nil, err
		}
		if n < h.payload {
			return nil, errTruncated
		}
	}
	if !h.intact(payload) {
		return nil, errPayload
	}
	return payload, nil
}

// usage sets when the entry was used last, and its size. The former is when the file was
// changed: it is set back when an entry is saved, and forward when it is used. Wherever a
// file comes from, it is not used before it is cached.
func (h *head) usage(e *driver.Entry, f file) (err error) {
	if e.UsedAt, err = parseTime(h.cached); err != nil {
		return err
	}
	modified, err := f.modified()
	if modified = modified.UTC().Truncate(time.Microsecond); modified.After(e.UsedAt) && modified.After(unused) {
		e.UsedAt = modified
	}
	e.Size = int64(h.size) + int64(h.payload)
	return err
}

// checkSize compares the size of the file with what the head tells.
func (h *head) checkSize(f file) error {
	have, err := f.size()
	if err != nil {
		return err
	}
	switch want := int64(h.size) + int64(h.payload); {
	case have < want:
		return errTruncated
	case have > want:
		return errTrailing
	}
	return nil
}

// fill reads into b, of which it has so much already, until there is what is
// needed or nothing more.
func fill(f file, b []byte, have, need int) (int, error) {
	for have < need {
		n, err := f.read(b[have:])
		if err != nil {
			return have, err
		}
		if n == 0 {
			break
		}
		have += n
	}
	return have, nil
}

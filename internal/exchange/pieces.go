package exchange

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

// pieces are the bytes of a body that comes in, in parts. In the end they are one piece.
// On the way there a body of unknown length must not take twice its memory at any time:
// before half of the largest body has come, the rest is given room for the largest.
type pieces struct {
	announced int64 // the length, -1 for none
	limit     int64 // the largest length that is kept
	share     *Share

	// One goroutine changes what follows, with the lock; others look at it with the lock.
	mu      sync.Mutex
	parts   [][]byte  // what has come and was not dropped; all but the last are full
	size    int64     // of all that has come
	dropped int64     // bytes before parts
	held    int64     // capacity of the parts
	counted int64     // of these, by the share
	first   [1][]byte // where parts begins, as most bodies have one
	spare   [][]byte  // parts of a stream that were dropped, to be used again
}

// The sizes of parts.
const (
	endPart      = 16 // where no more is expected than the end
	smallestPart = 4 << 10
	largestPart  = 1 << 20
	streamWindow = 64 << 10 // how far a stream may be ahead of its slowest reader
	believed     = 1 << 20  // an announced length that is believed before anything has come
	uncounted    = 16 << 10 // a body up to that waits for no memory
)

var errMiscounted = errors.New("the response body miscounts what it reads")

// room returns where the next bytes go. It waits for the memory, unless the body is a
// stream.
func (p *pieces) room(ctx context.Context, stream bool) ([]byte, error) {
	if last := len(p.parts) - 1; last >= 0 && len(p.parts[last]) < cap(p.parts[last]) {
		return free(p.parts[last]), nil
	}
	if stream {
		return p.window(), nil
	}
	size, forAll := p.next()
	if err := p.reserve(ctx, size); err != nil {
		return nil, err
	}
	part := make([]byte, 0, size)
	if forAll && len(p.parts) > 0 {
		part = p.moveTo(part)
	} else {
		p.add(part)
	}
	return free(part), nil
}

// window is the room for more of a stream.
func (p *pieces) window() []byte {
	var part []byte
	if last := len(p.spare) - 1; last >= 0 {
		part, p.spare = p.spare[last], p.spare[:last]
	} else {
		part = make([]byte, 0, streamWindow)
	}
	p.add(part)
	return free(part)
}

func free(part []byte) []byte { return part[len(part):cap(part)] }

// next is the size of the next part, and whether it takes all that has come before.
func (p *pieces) next() (size int64, forAll bool) {
	switch {
	case p.size == p.announced, p.size == p.limit:
		return endPart, false
	case p.size < p.announced && (p.announced <= believed || p.size >= p.announced/64):
		return p.announced, true
	case p.size < p.announced:
		return min(p.announced/8, largestPart), false
	}
	size = min(max(p.size/4, smallestPart), largestPart)
	if p.held+size > p.limit/32*15 {
		return max(p.limit, smallestPart), true
	}
	return size, false
}

func (p *pieces) add(part []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parts == nil {
		p.parts = p.first[:0]
	}
	p.parts = append(p.parts, part)
	p.held += int64(cap(part))
}

// moveTo makes whole, to which what has come is copied, the only part.
func (p *pieces) moveTo(whole []byte) []byte {
	for _, part := range p.parts { // readers may read them meanwhile
		whole = append(whole, part...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts = [][]byte{whole}
	p.held = int64(cap(whole))
	p.giveBack()
	return whole
}

// reserve waits for memory for another part.
func (p *pieces) reserve(ctx context.Context, size int64) error {
	if p.held+size <= uncounted {
		return nil
	}
	if err := p.share.Grow(ctx, p.held+size-p.counted); err != nil {
		return err
	}
	p.counted = p.held + size
	return nil
}

// giveBack counts no more than is held. The lock is held.
func (p *pieces) giveBack() {
	if p.counted > p.held {
		p.share.Shrink(p.counted - p.held)
		p.counted = p.held
	}
}

// filled tells that n bytes have come where room has told. The lock is held.
func (p *pieces) filled(n int) {
	last := len(p.parts) - 1
	p.parts[last] = p.parts[last][:len(p.parts[last])+n]
	p.size += int64(n)
}

// whole returns all that has come in one piece, to be read only. Nothing more comes.
func (p *pieces) whole(ctx context.Context) ([]byte, error) {
	if last := len(p.parts) - 1; last >= 0 && len(p.parts[last]) == 0 {
		p.mu.Lock()
		p.held -= int64(cap(p.parts[last]))
		p.parts = slices.Delete(p.parts, last, last+1)
		p.mu.Unlock()
	}
	switch len(p.parts) {
	case 0:
		return []byte{}, nil
	case 1:
		return slices.Clip(p.parts[0]), nil
	}
	if err := p.reserve(ctx, p.size); err != nil {
		return nil, err
	}
	return p.moveTo(make([]byte, 0, p.size)), nil
}

// fits reports whether what has come is in one piece that is hardly larger.
func (p *pieces) fits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.parts) == 1 && cap(p.parts[0])-len(p.parts[0]) <= max(endPart, len(p.parts[0])/8)
}

// drop forgets what a stream has before an offset. The lock is held.
func (p *pieces) drop(offset int64) {
	for len(p.parts) > 0 {
		part := p.parts[0]
		end := p.dropped + int64(len(part))
		if end > offset || len(part) == 0 {
			break
		}
		p.dropped = end
		p.held -= int64(cap(part))
		if cap(part) == streamWindow {
			p.spare = append(p.spare, part[:0])
		}
		p.parts = slices.Delete(p.parts, 0, 1) // which forgets it, other than p.parts[1:]
	}
	p.giveBack()
}

// copyAt copies what has come from offset on, as far as one part has it. The lock is
// held.
func (p *pieces) copyAt(to []byte, offset int64) int {
	at := offset - p.dropped
	for _, part := range p.parts {
		if at < int64(len(part)) {
			return copy(to, part[at:])
		}
		at -= int64(len(part))
	}
	return 0
}

// ReadBody reads a body to its end, of which announced is the length, -1 for none. It
// takes its memory from the share of ctx. The error is [ErrTooLarge] where the body is
// larger than limit.
func ReadBody(ctx context.Context, r io.Reader, announced, limit int64) ([]byte, error) {
	p := &pieces{announced: announced, limit: limit, share: ShareOf(ctx)}
	p.share.Release() // of an attempt before
	if announced > limit {
		return nil, ErrTooLarge
	}
	for {
		free, err := p.room(ctx, false)
		if err != nil {
			return nil, err
		}
		n, err := r.Read(free)
		if n < 0 || n > len(free) {
			return nil, errMiscounted
		}
		p.filled(n)
		switch {
		case p.size > limit:
			return nil, ErrTooLarge
		case err == io.EOF: //nolint:errorlint // the end of a reader is io.EOF itself; one that is wrapped tells of a failure
			return p.whole(ctx)
		case err != nil:
			return nil, err
		}
	}
}

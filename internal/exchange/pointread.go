package exchange

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// pointRead is the memory of one get of one key and the mark of its URL, which is what most
// hits are. It is used again: a hit from memory takes little longer than a few allocations.
type pointRead struct {
	mac  hash.Hash
	text []byte
	sum  [sha256.Size]byte
	name [digestLength]byte

	key   [2]driver.Value // of the mark
	keys  [1]driver.Key
	since time.Time

	found driver.Entry
	ok    bool

	onEntry, onMark func(int, driver.Entry) // its methods
}

func newPointRead(digestKey []byte) *pointRead {
	r := &pointRead{mac: hmac.New(sha256.New, digestKey)}
	r.key[0] = markRecord
	r.keys[0] = r.key[:]
	r.onEntry = func(_ int, e driver.Entry) { r.found, r.ok = e, true }
	r.onMark = func(_ int, e driver.Entry) { r.since = e.CachedAt }
	return r
}

// nameOf is the name of the mark that text is about, as [Digest] makes it.
func (r *pointRead) nameOf(text []byte) string {
	r.mac.Reset()
	r.mac.Write(text)
	base64.RawURLEncoding.Encode(r.name[:], r.mac.Sum(r.sum[:0])[:digestBytes])
	return string(r.name[:])
}

// getOne is get for one key where reads are prompt and entries have no tags.
func (m *marked) getOne(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	r := m.marks.reads.Get().(*pointRead)
	defer func() {
		r.found, r.ok, r.since, r.key[1] = driver.Entry{}, false, time.Time{}, nil
		m.marks.reads.Put(r)
	}()
	if err := m.Table.Get(ctx, keys, withMarks(sel), r.onEntry); err != nil {
		return err
	}
	r.text = m.appendURL(r.text[:0], keys[0])
	r.key[1] = r.nameOf(r.text)
	if err := m.marks.table.table.Get(ctx, r.keys[:], driver.Selection{Parts: driver.Meta}, r.onMark); err != nil {
		return err
	}
	if r.since = m.marks.latest(r.key[1].(string), r.since); !r.since.IsZero() {
		m.marks.x.order.noteMark(r.since)
	}
	if r.ok {
		(&hit{0, r.found}).judge(r.since, sel, visit)
	}
	return nil
}

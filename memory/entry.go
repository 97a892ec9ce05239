package memory

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// overhead is what an entry takes besides its bytes: the entry itself, its places
// in the table and in the bounds, and rounding. Measured: 280 to 300.
const overhead = 320

// entry is a stored entry. It never changes once it is stored.
type entry struct {
	id           id
	driver.Entry // Key unset: id has it
}

// id names an entry within its store.
type id struct {
	table *table
	key   string // as driver.AppendKey encodes it
}

// newEntry copies e into a new entry of t, so that nothing of the caller's memory is kept,
// but for the payload that own makes of its. It uses buf, and returns it for the next call.
func newEntry(t *table, e driver.Entry, buf []byte, own func([]byte) []byte) (*entry, []byte) {
	buf = driver.AppendKey(buf[:0], e.Key)
	key := len(buf)
	buf = append(buf, e.Name...)
	name := len(buf)
	buf = append(buf, e.Header...)
	text := string(buf) // key, name and header in one allocation

	stored := &entry{id: id{table: t, key: text[:key]}, Entry: e}
	stored.Key = nil
	stored.Name = text[key:name]
	stored.Header = text[name:]
	stored.Payload = own(e.Payload)
	stored.UsedAt = e.CachedAt
	stored.Size = stored.size()
	return stored, buf
}

// renewed is e with the times and headers of r, and with the payload of e itself.
func (e *entry) renewed(r *driver.Renewal) *entry {
	key, name := len(e.id.key), len(e.id.key)+len(e.Name)
	text := e.id.key + e.Name + r.Header // as newEntry has them
	n := &entry{id: id{table: e.id.table, key: text[:key]}, Entry: e.Entry}
	n.Name = text[key:name]
	n.Header = text[name:]
	n.CachedAt, n.ExpiresAt, n.MetaSum = r.CachedAt, r.ExpiresAt, r.MetaSum
	n.UsedAt = r.CachedAt
	n.Size = n.size()
	return n
}

// used is e with another UsedAt.
func (e *entry) used(at time.Time) *entry {
	n := *e
	n.UsedAt = at
	return &n
}

// filter is a [driver.Filter] in the form of the entries.
type filter struct {
	driver.Filter
	leading string // what the encoded keys begin with
}

func newFilter(f driver.Filter) filter {
	return filter{f, string(driver.AppendKey(nil, f.Leading))}
}

func (f filter) match(e *entry) bool {
	if !strings.HasPrefix(e.id.key, f.leading) {
		return false
	}
	if f.Where.Prefix == "" {
		return f.Match(e.Entry)
	}
	keyed := e.Entry
	keyed.Key = decodeKey(e.id.table.spec.Key, e.id.key)
	return f.Match(keyed)
}

// size is the memory that e takes, about.
func (e *entry) size() int64 {
	return overhead + int64(len(e.id.key)+len(e.Name)+len(e.Header)+len(e.Payload)+len(e.Encoding))
}

// decodeKey is the inverse of driver.AppendKey for a key of these columns.
func decodeKey(columns []driver.Column, encoded string) driver.Key {
	key := make(driver.Key, len(columns))
	for i, c := range columns {
		switch c.Kind {
		case driver.String:
			n, width := uvarint(encoded)
			key[i] = encoded[width : width+n]
			encoded = encoded[width+n:]
		case driver.Int:
			key[i] = int64(binary.BigEndian.Uint64([]byte(encoded[:8])))
			encoded = encoded[8:]
		case driver.Bool:
			key[i] = encoded[0] == 1
			encoded = encoded[1:]
		}
	}
	return key
}

// uvarint decodes the number that s begins with and tells how wide it is.
func uvarint(s string) (n, width int) {
	head := s[:min(len(s), binary.MaxVarintLen64)]
	u, width := binary.Uvarint([]byte(head))
	return int(u), width
}

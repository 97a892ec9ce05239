package seal

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"

	"github.com/endpointcache/endpointcache/driver"
)

// digester makes the digests of a store. Nil where nothing is a digest.
type digester struct {
	mac hmacs
	id  string // which DigestKey it is
}

func newDigester(key []byte) *digester {
	if len(key) == 0 {
		return nil
	}
	d := &digester{mac: newHMAC(key)}
	id, _ := d.mac.sign(nil, []byte("endpointcache seal 1 id"))
	d.id = hex.EncodeToString(id[:4])
	return d
}

// digestSize is of how many bytes a digest is. Two values have the same by chance once there
// are about 2^64 of them.
const digestSize = 16

// of returns a digest. What about begins with keeps those of one column or of names apart
// from all others.
func (d *digester) of(about, text []byte) string {
	var room [512]byte
	sum, _ := d.mac.sign(room[:0], append(append(room[64:64], about...), text...))
	return base64.RawURLEncoding.EncodeToString(sum[:digestSize])
}

// About what a digest is.
const (
	aboutColumn = 'c'
	aboutNames  = 'n'
)

// about is what the digests of a column, or of names, are about.
func about(kind byte, table, column string) []byte {
	b := append([]byte{kind}, binary.AppendUvarint(nil, uint64(len(table)))...)
	b = append(b, table...)
	b = binary.AppendUvarint(b, uint64(len(column)))
	return append(b, column...)
}

// appendString appends text behind its length.
func appendString(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// cutString is the other way round.
func cutString(b []byte) (text, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	return b[size : size+int(n)], b[size+int(n):], true //nolint:gosec // n is no longer than b
}

// cutValue takes a value off what driver.AppendKey has made.
func cutValue(b []byte, kind driver.Kind) (v driver.Value, rest []byte, ok bool) {
	switch {
	case kind == driver.String:
		text, rest, ok := cutString(b)
		return string(text), rest, ok
	case kind == driver.Int && len(b) >= 8:
		return int64(binary.BigEndian.Uint64(b)), b[8:], true //nolint:gosec // as it was
	case kind == driver.Bool && len(b) >= 1:
		return b[0] == 1, b[1:], true
	}
	return nil, nil, false
}

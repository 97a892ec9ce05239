package driver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// Key is the key of one entry: a value for each key column, in their order.
type Key []Value

// Value is the value of a key column: a string, an int64 or a bool, as the
// column's [Kind] says.
type Value any

// HasPrefix reports whether the first values of k are those of prefix.
func (k Key) HasPrefix(prefix Key) bool {
	return len(k) >= len(prefix) && slices.Equal(k[:len(prefix)], prefix)
}

// AppendKey appends an encoding of key to b and returns the result. Keys of
// one table have the same encoding only if they are equal: strings are
// preceded by their length, and the other kinds have a fixed size. For the same
// reason the encoding of a key begins with that of other values only if the key
// itself begins with them.
func AppendKey(b []byte, key Key) []byte {
	for _, v := range key {
		switch v := v.(type) {
		case string:
			b = binary.AppendUvarint(b, uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		case bool:
			if v {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		default:
			// The caller guarantees the kinds; a mistake must not make two
			// keys equal.
			b = fmt.Appendf(b, "%T(%[1]v)", v)
		}
	}
	return b
}

// CompareKeys orders the keys of one table as an index over its columns does, by
// bytes and with false before true. Keys in this order go through such an index
// from one end to the other, and take locks in one order.
func CompareKeys(a, b Key) int {
	for i := range min(len(a), len(b)) {
		order := 0
		switch v := a[i].(type) {
		case string:
			w, _ := b[i].(string)
			order = cmp.Compare(v, w)
		case int64:
			w, _ := b[i].(int64)
			order = cmp.Compare(v, w)
		case bool:
			if w, _ := b[i].(bool); v != w {
				order = 1
				if w {
					order = -1
				}
			}
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

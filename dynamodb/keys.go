package dynamodb

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// place is where an item stands.
type place struct{ partition, key string }

const (
	maxSortKey   = 1024 // bytes
	keyMark      = "|"  // begins the sort key of an entry, and each value in it
	digestPrefix = `|\sha256:`
)

// place is where the entry of a key stands.
func (t *table) place(k driver.Key) place {
	text := keyText(k)
	digest := sha256.Sum256([]byte(text))
	if len(text) > maxSortKey {
		text = digestPrefix + hex.EncodeToString(digest[:])
		digest = sha256.Sum256([]byte(text))
	}
	return place{t.partitions.entries[digest[0]>>4], text}
}

// keyText is a text of a key. Keys of one table have the same text only if they are
// equal: no value has a bar, and none is preceded by a backslash that is no escape's.
func keyText(k driver.Key) string {
	b := make([]byte, 0, 64)
	for _, v := range k {
		b = append(b, keyMark...)
		switch v := v.(type) {
		case string:
			b = appendEscaped(b, v)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case bool:
			b = strconv.AppendBool(b, v)
		}
	}
	return string(b)
}

// appendEscaped appends s with \x and two digits for each byte of what cannot stand as
// it is.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		size := 1
		escape := c < ' ' || c == '|' || c == '\\' || c == 0x7f
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			escape = r == utf8.RuneError && size == 1
		}
		if escape {
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}

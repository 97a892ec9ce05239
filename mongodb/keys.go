package mongodb

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/textprefix"
)

// An _id is the values of a key, one after the other. One that would be longer than
// maxID is cut off and ends with a digest of the key; it is longer than any other,
// so that no key has the _id of another.
const (
	separator = '|'
	escape    = '\\'
	maxID     = 1_000 // bytes
	keptID    = 960   // bytes of what is longer, about
)

// documentID returns the _id of the entry with this key.
func documentID(k driver.Key) string {
	if len(k) == 1 {
		if s, ok := k[0].(string); ok && len(s) <= maxID && isPlain(s) {
			return s
		}
	}
	var buffer [128]byte
	b := appendKey(buffer[:0], k)
	if len(b) <= maxID {
		return string(b)
	}
	digest := sha256.Sum256(driver.AppendKey(nil, k))
	return cut(string(b), keptID) + `\sha256:` + hex.EncodeToString(digest[:])
}

func appendKey(b []byte, k driver.Key) []byte {
	for i, v := range k {
		if i > 0 {
			b = append(b, separator)
		}
		switch v := v.(type) {
		case string:
			b = appendEscaped(b, v)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case bool:
			b = strconv.AppendBool(b, v)
		}
	}
	return b
}

// span is a range of _ids.
type span struct {
	from, below string // below is empty if there is no end
	exact       bool   // otherwise it may have the _ids of other keys, too
}

// idsOf is where the _ids are of the keys that begin with these values and have more, of
// which the first begins with a prefix.
func idsOf(leading driver.Key, prefix string) span {
	text := appendKey(nil, leading)
	if len(leading) > 0 {
		text = append(text, separator)
	}
	known := textprefix.Whole(prefix)
	text = appendEscaped(text, known)
	from := cut(string(text), keptID)
	return span{from, successor(from), len(text) <= keptID && known == prefix}
}

// successor is the least text above all that begin with this one, or empty.
func successor(text string) string {
	for text != "" {
		r, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
		switch {
		case r == firstSurrogate-1:
			return text + string(lastSurrogate+1)
		case r < utf8.MaxRune:
			return text + string(r+1)
		}
	}
	return ""
}

// Between these numbers there are no characters.
const firstSurrogate, lastSurrogate rune = 0xd800, 0xdfff

// appendEscaped appends s, a separator or an escape in it behind an escape, and a
// control character or a byte that is no UTF-8 as \x and two digits.
func appendEscaped(b []byte, s string) []byte {
	if isPlain(s) {
		return append(b, s...)
	}
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == separator || r == escape:
			b = append(b, escape, s[0])
		case isSpecial(r) || r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		default:
			b = append(b, s[:size]...)
		}
		s = s[size:]
	}
	return b
}

func isPlain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, isSpecial) }

func isSpecial(r rune) bool { return r < ' ' || r == 0x7f || r == separator || r == escape }

// cut returns at most the first n bytes of text, and no half of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// What begins a text that stands for another.
const (
	escapeHex    = `\x`
	escapeDigest = `\sha256:`
)

const digestText = len(escapeDigest) + 2*sha256.Size

// escape returns the text that stands for s. It is s itself where TEXT can hold
// that and it does not begin like an escaped one.
func escape(s string) string {
	if plain(s) {
		return s
	}
	return escapeHex + hex.EncodeToString([]byte(s))
}

// plain reports whether s stands for itself.
func plain(s string) bool {
	return s == "" || s[0] != '\\' && isText(s)
}

// isText reports whether TEXT can hold s.
func isText(s string) bool {
	return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s)
}

// unescape is the reverse of escape.
func unescape(text []byte) (string, error) {
	if len(text) == 0 || text[0] != '\\' {
		return string(text), nil
	}
	s, ok := strings.CutPrefix(string(text), escapeHex)
	if !ok {
		return "", errText
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return "", errText
	}
	return string(b), nil
}

var (
	errText = errors.New("a text begins with a backslash, but is no escaped one")
	errKey  = errors.New("the column _key does not hold a key of this table")
)

// keyTexts makes the texts of a table's keys, at most so long.
type keyTexts struct{ limit int }

// An index entry has at most 2704 bytes, of which some are for padding.
const maxIndexed = 2500

// maxColumns is the most columns of an index.
const maxColumns = 32

func newKeyTexts(spec driver.TableSpec) keyTexts {
	texts := 0
	for _, c := range spec.Key {
		if c.Kind == driver.String {
			texts++
		}
	}
	fixed := 16 * (len(spec.Key) - texts)
	return keyTexts{max(digestText, (maxIndexed-fixed)/max(1, texts))}
}

// stored returns the key as it stands in the table, and whether a value of it is
// shortened. It is k itself where all stands as it is.
func (t keyTexts) stored(k driver.Key) (_ driver.Key, short bool) {
	copied := false
	for i, v := range k {
		s, ok := v.(string)
		if !ok || len(s) <= t.limit && plain(s) {
			continue
		}
		if !copied {
			k, copied = append(driver.Key(nil), k...), true
		}
		text := escape(s)
		if len(text) > t.limit {
			digest := sha256.Sum256([]byte(s))
			text, short = escapeDigest+hex.EncodeToString(digest[:]), true
		}
		k[i] = text
	}
	return k, short
}

// parseKey is the reverse of [driver.AppendKey].
func parseKey(spec driver.TableSpec, b []byte) (driver.Key, error) {
	key := make(driver.Key, len(spec.Key))
	for i, c := range spec.Key {
		switch c.Kind {
		case driver.String:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return nil, errKey
			}
			key[i] = string(b[n : n+int(length)])
			b = b[n+int(length):]
		case driver.Int:
			if len(b) < 8 {
				return nil, errKey
			}
			key[i] = int64(binary.BigEndian.Uint64(b))
			b = b[8:]
		case driver.Bool:
			if len(b) < 1 {
				return nil, errKey
			}
			key[i] = b[0] != 0
			b = b[1:]
		}
	}
	if len(b) != 0 {
		return nil, errKey
	}
	return key, nil
}

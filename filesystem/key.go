package filesystem

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/driver"
)

// identity is the form in which a table writes the keys of its entries into their
// files: a line for the table and one for each column. Two entries have the same
// lines only if they are one.
type identity struct {
	spec    driver.TableSpec
	table   string   // the line of the table
	columns []string // how the line of each column begins
}

func newIdentity(spec driver.TableSpec) identity {
	id := identity{spec: spec, table: "Table: " + string(appendText(nil, spec.Name)) + "\n"}
	for _, c := range spec.Key {
		id.columns = append(id.columns, "Key "+c.Name+": ")
	}
	return id
}

// append appends the lines of a key.
func (id *identity) append(b []byte, key driver.Key) []byte {
	b = append(b, id.table...)
	for i, v := range key {
		b = append(b, id.columns[i]...)
		switch v := v.(type) {
		case string:
			b = appendText(b, v)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case bool:
			b = strconv.AppendBool(b, v)
		default:
			// The caller guarantees the kinds; a mistake must not make two
			// keys equal.
			b = fmt.Appendf(b, "%T(%[1]v)", v)
		}
		b = append(b, '\n')
	}
	return b
}

var errKey = damage("its key is none of this table")

// parse is the reverse of append.
func (id *identity) parse(lines []byte) (driver.Key, error) {
	rest, ok := bytes.CutPrefix(lines, []byte(id.table))
	if !ok {
		return nil, errKey
	}
	key := make(driver.Key, len(id.columns))
	for i, prefix := range id.columns {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		text, is := bytes.CutPrefix(line, []byte(prefix))
		if !ok || !is {
			return nil, errKey
		}
		rest = after
		var err error
		switch id.spec.Key[i].Kind {
		case driver.String:
			key[i], err = parseText(text)
		case driver.Int:
			key[i], err = strconv.ParseInt(string(text), 10, 64)
		case driver.Bool:
			key[i], err = strconv.ParseBool(string(text))
		}
		if err != nil {
			return nil, errKey
		}
	}
	return key, nil
}

// place tells where the entry of a key is, whose lines are given.
func (id *identity) place(lines []byte, key driver.Key) place {
	p := place{digest: sha256.Sum256(lines)}
	var space [shardDigits + 1 + maxReadable + 2 + entryDigits]byte
	n := shardDigits + 1 + len(id.appendReadableKey(space[shardDigits+1:shardDigits+1], key))
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], p.digest[:])
	copy(space[:], digits[:shardDigits])
	space[shardDigits] = '/'
	space[n] = '~'
	n += 1 + copy(space[n+1:], digits[shardDigits:shardDigits+entryDigits])
	p.path = string(space[:n])
	return p
}

// appendReadableKey appends to b, which is empty, what the name of an entry begins with
// whose key begins with these values.
func (id *identity) appendReadableKey(b []byte, key driver.Key) []byte {
	for i, v := range key {
		switch v := v.(type) {
		case string:
			b = appendReadable(b, v)
		case int64:
			b = appendReadable(b, strconv.FormatInt(v, 10))
		case bool:
			b = appendReadable(b, strconv.FormatBool(v))
		}
		if i < len(id.columns)-1 && len(b) < maxReadable {
			b = append(b, ',')
		}
	}
	return finish(b)
}

// belongs reports whether an entry with these lines is in the right place.
func belongs(path string, lines []byte) bool {
	digest := sha256.Sum256(lines)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], digest[:])
	return len(path) > shardDigits+entryDigits && path[:shardDigits] == string(digits[:shardDigits]) &&
		path[len(path)-entryDigits:] == string(digits[shardDigits:shardDigits+entryDigits])
}

// appendText appends s as it is, or quoted as Go does where it would not be one
// line of text or begins with a quote.
func appendText(b []byte, s string) []byte {
	if plainText(s) {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

func plainText(s string) bool {
	if strings.HasPrefix(s, `"`) {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// parseText is the reverse of appendText.
func parseText(b []byte) (string, error) {
	if len(b) > 0 && b[0] == '"' {
		return strconv.Unquote(string(b))
	}
	return string(b), nil
}

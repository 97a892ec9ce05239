package redis

import (
	"cmp"
	"errors"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

const hexDigits = "0123456789ABCDEF"

// appendEscaped appends s with %XX for control characters, percent signs, colons and
// the bytes of also.
func appendEscaped(b []byte, s, also string) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '%' && c != ':' && c != 0x7f && (also == "" || strings.IndexByte(also, c) < 0) {
			continue
		}
		b = append(b, s[from:i]...)
		b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		from = i + 1
	}
	return append(b, s[from:]...)
}

var errKeyText = errors.New("the index has a key that is none of this table")

// unescape is the reverse of appendEscaped.
func unescape(text string) (string, error) {
	if strings.IndexByte(text, '%') < 0 {
		return text, nil
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b = append(b, text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", errKeyText
		}
		c, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return "", errKeyText
		}
		b = append(b, byte(c))
		i += 2
	}
	return string(b), nil
}

// appendKey appends the text of a key. Keys of one table that differ have texts that
// do.
func appendKey(b []byte, key driver.Key) []byte {
	for i, v := range key {
		if i > 0 {
			b = append(b, ':')
		}
		switch v := v.(type) {
		case string:
			b = appendEscaped(b, v, "")
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case bool:
			b = strconv.AppendBool(b, v)
		}
	}
	return b
}

// parseKey is the reverse of appendKey for keys of these columns.
func parseKey(columns []driver.Column, text string) (driver.Key, error) {
	if strings.Count(text, ":") != len(columns)-1 {
		return nil, errKeyText
	}
	key := make(driver.Key, len(columns))
	for i, c := range columns {
		part, rest, _ := strings.Cut(text, ":")
		text = rest
		var err error
		switch c.Kind {
		case driver.String:
			key[i], err = unescape(part)
		case driver.Int:
			key[i], err = strconv.ParseInt(part, 10, 64)
		case driver.Bool:
			key[i], err = strconv.ParseBool(part)
		}
		if err != nil {
			return nil, errKeyText
		}
	}
	return key, nil
}

// place is where an entry is.
type place struct {
	i      int // its number in what the caller has given
	bucket int
	name   string // of its string
	text   string // of its key: the end of its name
}

// names are those of a table.
type names struct {
	meta    string
	indexes []string // by bucket
}

func tableName(prefix, table string) string {
	b := append([]byte(prefix), ":{"...)
	return string(appendEscaped(b, table, "{}"))
}

func newNames(prefix, table string, buckets int) names {
	base := tableName(prefix, table)
	n := names{meta: base + "}", indexes: make([]string, buckets)}
	for i := range n.indexes {
		n.indexes[i] = base + ":" + strconv.Itoa(i) + "}"
	}
	return n
}

// usualKey is about how many bytes the text of a key has.
const usualKey = 48

// places returns where the entries with these keys are, by bucket, and in a bucket in
// the order of the keys.
func (n *names) places(count int, key func(i int) driver.Key) []place {
	places := make([]place, count)
	ends := make([]int, count)
	var all strings.Builder
	all.Grow(count * (len(n.indexes[0]) + usualKey))
	var text []byte
	for i := range places {
		text = appendKey(text[:0], key(i))
		bucket := n.bucket(text)
		all.WriteString(n.indexes[bucket])
		all.WriteByte(':')
		all.Write(text)
		places[i] = place{i: i, bucket: bucket}
		ends[i] = all.Len()
	}
	from := 0
	for i := range places {
		p := &places[i]
		p.name = all.String()[from:ends[i]]
		p.text = p.name[len(n.indexes[p.bucket])+1:]
		from = ends[i]
	}
	if len(n.indexes) > 1 {
		slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.bucket, b.bucket) })
	}
	return places
}

func (n *names) bucket(text []byte) int {
	if len(n.indexes) == 1 {
		return 0
	}
	return int(crc32.ChecksumIEEE(text) % uint32(len(n.indexes)))
}

// byBucket splits places into those of each bucket.
func byBucket(places []place) [][]place {
	var groups [][]place
	for len(places) > 0 {
		n := 1
		for n < len(places) && places[n].bucket == places[0].bucket {
			n++
		}
		groups = append(groups, places[:n])
		places = places[n:]
	}
	return groups
}

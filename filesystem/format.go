package filesystem

import (
	"bytes"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// A file is a head of lines, each of which begins with its name, an empty line,
// and the payload:
//
//	endpointcache/1 5d41402a                     CRC-32C of the head's other lines
//	Length: 00000287 2048 9f3b11c0               of the head and the payload, whose CRC-32C follows
//	Status: 200
//	Cached: 2026-11-21T16:45:05.123456Z
//	Expires: 2026-11-28T16:45:05.123456Z         or never
//	Encoding: zstd                               of the payload, if it has one
//	Sums: 2f0c1a77 9b3e5d10                      that came with the entry, if any did
//	Table: tracks
//	Key id: 6rqhFg                               for each column, in their order
//	Name: Harder, Better, Faster, Stronger
//	Headers: {"Content-Type":["application/json"]}
const (
	magic      = "endpointcache/1 "
	crcDigits  = 8
	firstLine  = len(magic) + crcDigits + 1
	leastHead  = firstLine + len(lengthName) + sizeDigits // tells the size of the whole
	lengthName = "Length: "
	sizeDigits = 8

	encodingName = "Encoding: "
	sumsName     = "Sums: "

	maxHead    = 99_999_999
	never      = "never"
	timeLayout = "2006-01-02T15:04:05.000000Z"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// damage is what is wrong with a file that is no entry, or not the one that was
// looked for.
type damage string

func (d damage) Error() string { return string(d) }

const (
	errMagic     = damage("it does not begin like an entry")
	errZeros     = damage("it was not written to the end")
	errTruncated = damage("its end is missing")
	errTrailing  = damage("something follows its end")
	errHead      = damage("its head is damaged")
	errPayload   = damage("its payload is damaged")
	errPlace     = damage("it is another key's entry")
	errIrregular = damage("it is no regular file")
)

// wreck reports whether the file was an entry of ours once, or was to be one.
func (d damage) wreck() bool {
	return d == errZeros || d == errTruncated || d == errTrailing || d == errHead
}

// appendHead appends the head of an entry whose key has these lines. It is nil
// where the entry is too large.
func appendHead(b []byte, e *driver.Entry, lines []byte) []byte {
	if len(lines)+len(e.Name)+len(e.Header) > maxHead {
		return nil
	}
	start := len(b)
	b = append(b, magic+"00000000\n"+lengthName+"00000000 "...)
	b = strconv.AppendInt(b, int64(len(e.Payload)), 10)
	b = append(b, ' ')
	b = appendCRC(b, crc32.Checksum(e.Payload, castagnoli))
	b = append(b, "\nStatus: "...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, "\nCached: "...)
	b = e.CachedAt.AppendFormat(b, timeLayout)
	b = append(b, "\nExpires: "...)
	if e.ExpiresAt.IsZero() {
		b = append(b, never...)
	} else {
		b = e.ExpiresAt.AppendFormat(b, timeLayout)
	}
	if e.Encoding != "" {
		b = appendText(append(b, "\n"+encodingName...), e.Encoding)
	}
	if e.PayloadSum != 0 || e.MetaSum != 0 {
		b = appendCRC(append(b, "\n"+sumsName...), e.PayloadSum)
		b = appendCRC(append(b, ' '), e.MetaSum)
	}
	b = append(b, '\n')
	b = append(b, lines...)
	b = append(b, "Name: "...)
	b = appendText(b, e.Name)
	b = append(b, "\nHeaders: "...)
	b = append(b, oneLine.Replace(e.Header)...)
	b = append(b, "\n\n"...)

	head := b[start:]
	if len(head) > maxHead {
		return nil
	}
	size := head[firstLine+len(lengthName):][:sizeDigits]
	for i, n := len(size)-1, len(head); i >= 0; i, n = i-1, n/10 {
		size[i] = '0' + byte(n%10)
	}
	appendCRC(head[len(magic):len(magic)], crc32.Checksum(head[firstLine:], castagnoli))
	return b
}

// oneLine takes the line breaks from a JSON object, in whose strings there are none.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

func appendCRC(b []byte, sum uint32) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[sum>>shift&15])
	}
	return b
}

// head is a head as it was read. Its slices are parts of what was read.
type head struct {
	text     []byte // the head itself
	size     int    // of it
	payload  int    // size of the payload
	crc      []byte
	status   int
	cached   []byte
	expires  []byte
	encoding []byte
	sums     []byte // two, or empty
	key      []byte // the lines of table and key
	name     []byte
	headers  []byte
}

// headSize is the size of the head that b begins with, of which at least the
// leastHead first bytes are needed.
func headSize(b []byte) (int, error) {
	switch {
	case len(b) < len(magic):
		if strings.HasPrefix(magic, string(b)) {
			return 0, errTruncated
		}
		return 0, errMagic
	case string(b[:len(magic)]) != magic:
		if len(bytes.Trim(b[:len(magic)], "\x00")) == 0 {
			return 0, errZeros // what some file systems leave after a loss of power
		}
		return 0, errMagic
	case len(b) < leastHead:
		return 0, errTruncated
	}
	n, ok := number(b[leastHead-sizeDigits : leastHead])
	if !ok || n < leastHead {
		return 0, errHead
	}
	return n, nil
}

// parse reads a head, all of which is given. The lines of the key are as many as
// the columns of the key, and one.
func (h *head) parse(b []byte, columns int) error {
	var sum [crcDigits]byte
	if string(appendCRC(sum[:0], crc32.Checksum(b[firstLine:], castagnoli))) != string(b[len(magic):firstLine-1]) || b[firstLine-1] != '\n' {
		return errHead
	}
	h.text, h.size = b, len(b)
	lines := lines{rest: b[firstLine:], ok: true}
	length := lines.value(lengthName)
	length = length[min(len(length), sizeDigits+1):]
	size, crc, _ := bytes.Cut(length, []byte(" "))
	var sizeOK bool
	h.payload, sizeOK = number(size)
	h.crc = crc
	status, err := strconv.Atoi(string(lines.value("Status: ")))
	h.status = status
	h.cached = lines.value("Cached: ")
	h.expires = lines.value("Expires: ")
	h.encoding = lines.optional(encodingName)
	h.sums = lines.optional(sumsName)
	h.key = lines.several(1 + columns)
	h.name = lines.value("Name: ")
	h.headers = lines.value("Headers: ")
	if !lines.ok || !sizeOK || err != nil || len(h.crc) != crcDigits || string(lines.rest) != "\n" {
		return errHead
	}
	return nil
}

// number reads a decimal number without sign.
func number(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var wide int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		wide = 10*wide + int64(c-'0')
	}
	return int(wide), int64(int(wide)) == wide
}

// lines takes the lines of a head one by one.
type lines struct {
	rest []byte
	ok   bool // there were all that were asked for
}

// value is the rest of the line that begins with a name.
func (l *lines) value(name string) []byte {
	end := bytes.IndexByte(l.rest, '\n')
	if end < len(name) || string(l.rest[:len(name)]) != name {
		l.ok = false
		return nil
	}
	value := l.rest[len(name):end]
	l.rest = l.rest[end+1:]
	return value
}

// optional is value for a line that need not be there.
func (l *lines) optional(name string) []byte {
	if !bytes.HasPrefix(l.rest, []byte(name)) {
		return nil
	}
	return l.value(name)
}

// several are n lines.
func (l *lines) several(n int) []byte {
	all := l.rest
	for range n {
		end := bytes.IndexByte(l.rest, '\n')
		if end < 0 {
			l.ok = false
			return nil
		}
		l.rest = l.rest[end+1:]
	}
	return all[:len(all)-len(l.rest)]
}

// expiresAt is when the entry expires.
func (h *head) expiresAt() (time.Time, error) {
	if string(h.expires) == never {
		return time.Time{}, nil
	}
	return parseTime(h.expires)
}

func parseTime(b []byte) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return time.Time{}, errHead
	}
	return t.UTC(), nil
}

// match reports whether the selection has the entry.
func (h *head) match(sel selection) (bool, error) {
	if !bytes.HasPrefix(h.key, sel.lines) {
		return false, nil
	}
	if sel.State == driver.All {
		return true, nil
	}
	expires, err := h.expiresAt()
	return (driver.Filter{State: sel.State, Now: sel.Now}).Match(driver.Entry{ExpiresAt: expires}), err
}

// meta sets the parts of e that are in the head, but for its key. It copies them.
func (h *head) meta(e *driver.Entry) (err error) {
	if e.CachedAt, err = parseTime(h.cached); err != nil {
		return err
	}
	if e.ExpiresAt, err = h.expiresAt(); err != nil {
		return err
	}
	if e.Name, err = parseText(h.name); err != nil {
		return errHead
	}
	e.Header = string(h.headers)
	e.MetaSum, err = h.sum(1)
	return err
}

// sum is one of the checksums that came with the entry: 0 is that of the payload, 1 that of
// the rest.
func (h *head) sum(n int) (sum uint32, err error) {
	if len(h.sums) == 0 {
		return 0, nil
	}
	if len(h.sums) != 2*crcDigits+1 {
		return 0, errHead
	}
	for _, c := range h.sums[n*(crcDigits+1):][:crcDigits] {
		digit := strings.IndexByte(hexDigits, c)
		if digit < 0 {
			return 0, errHead
		}
		sum = sum<<4 | uint32(digit)
	}
	return sum, nil
}

// intact reports whether a payload is the one that the head was written for.
func (h *head) intact(payload []byte) bool {
	var sum [crcDigits]byte
	return string(appendCRC(sum[:0], crc32.Checksum(payload, castagnoli))) == string(h.crc)
}

package redis

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Times stand as text of one width, so that their order is that of the text, and scripts
// can compare them. "never", filled up with spaces, is behind all of them. Checksums have
// one width as well, so that a renewal can change one where it is.
const (
	timeLen = len("2006-01-02T15:04:05.000000Z")
	never   = "never                      "
	sumLen  = len("00000000")

	atUsed  = 2 * (timeLen + 1) // where a string has when it was used, or its status in layout 1
	atYear  = atUsed + len("2006")
	maxHead = atUsed + timeLen + 3*len(" -9223372036854775808") + 2*(1+sumLen) + 1 + maxEncoding + len(" \n")

	// maxEncoding is the longest name of an encoding.
	maxEncoding = 32
)

const _ = uint(200 - maxHead) // scripts read so much

// maxValue is the longest string that a server takes.
const maxValue = 512 << 20

var (
	errTime     = errors.New("a time is not of the years 1 to 9999")
	errEncoding = fmt.Errorf("the name of an encoding has a space, a line break or more than %d bytes", maxEncoding)
	errValue    = errors.New("it is no entry of the cache")
)

// appendTime appends the text of t.
func appendTime(b []byte, t time.Time) []byte {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1_000, 6)
	return append(b, 'Z')
}

func appendDigits(b []byte, n, width int) []byte {
	b = append(b, "000000"[:width]...)
	for i := len(b) - 1; n > 0 && width > 0; i, width = i-1, width-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// parseTime is the reverse of appendTime.
func parseTime(b []byte) (time.Time, error) {
	if string(b) == never {
		return time.Time{}, nil
	}
	var fields [7]int
	at := 0
	for i, width := range [...]int{4, 2, 2, 2, 2, 2, 6} {
		for _, c := range b[at : at+width] {
			if c < '0' || c > '9' {
				return time.Time{}, errValue
			}
			fields[i] = fields[i]*10 + int(c-'0')
		}
		at += width + 1
	}
	return time.Date(fields[0], time.Month(fields[1]), fields[2], fields[3], fields[4], fields[5], fields[6]*1_000, time.UTC), nil
}

// size is the most bytes of the string of e.
func size(e *driver.Entry) int {
	return maxHead + len(e.Name) + len(e.Header) + 2 + len(e.Payload)
}

// check tells what of e cannot be stored.
func check(e *driver.Entry) error {
	// Each by itself first: a sum of them may not fit an int.
	if len(e.Payload) > maxValue || len(e.Header) > maxValue || len(e.Name) > maxValue || size(e) > maxValue {
		return fmt.Errorf("%w: its string can have %d bytes", driver.ErrTooLarge, maxValue)
	}
	for _, t := range [...]time.Time{e.CachedAt, e.ExpiresAt} {
		if y := t.Year(); y < 1 || y > 9999 {
			return errTime
		}
	}
	if len(e.Encoding) > maxEncoding || strings.ContainsAny(e.Encoding, " \n") {
		return errEncoding
	}
	return nil
}

// write writes the string of e.
func write(b *strings.Builder, e *driver.Entry) {
	var space [maxHead]byte
	head := appendTimes(space[:0], e.ExpiresAt, e.CachedAt)
	head = strconv.AppendInt(append(head, ' '), int64(e.Status), 10)
	head = strconv.AppendInt(append(head, ' '), int64(len(e.Name)), 10)
	head = strconv.AppendInt(append(head, ' '), int64(len(e.Header)), 10)
	head = appendSum(append(head, ' '), e.PayloadSum)
	head = appendSum(append(head, ' '), e.MetaSum)
	if e.Encoding != "" {
		head = append(append(head, ' '), e.Encoding...)
	}
	b.Write(append(head, '\n'))
	b.WriteString(e.Name)
	b.WriteByte('\n')
	b.WriteString(e.Header)
	b.WriteByte('\n')
	b.Write(e.Payload)
}

// appendTimes appends what the string of an entry begins with that is not used yet.
func appendTimes(b []byte, expiresAt, cachedAt time.Time) []byte {
	if expiresAt.IsZero() {
		b = append(b, never...)
	} else {
		b = appendTime(b, expiresAt)
	}
	b = appendTime(append(b, ' '), cachedAt)
	return appendTime(append(b, ' '), cachedAt)
}

func appendSum(b []byte, sum uint32) []byte {
	var digits [sumLen / 2]byte
	binary.BigEndian.PutUint32(digits[:], sum)
	return hex.AppendEncode(b, digits[:])
}

// parseSum is the reverse of appendSum.
func parseSum(b []byte) (uint32, error) {
	var sum [sumLen / 2]byte
	if len(b) != sumLen {
		return 0, errValue
	}
	if _, err := hex.Decode(sum[:], b); err != nil {
		return 0, errValue
	}
	return binary.BigEndian.Uint32(sum[:]), nil
}

// filter is a [driver.Filter] in the form of the strings.
type filter struct {
	state driver.State
	now   string
}

func newFilter(f driver.Filter) filter {
	if f.State == driver.All {
		return filter{}
	}
	return filter{f.State, string(appendTime(nil, f.Now))}
}

// match reports whether f selects the entry whose string this is, or the beginning of it.
func (f filter) match(value []byte) (bool, error) {
	if len(value) <= atYear || value[timeLen] != ' ' || value[atUsed-1] != ' ' {
		return false, errValue
	}
	return f.state == driver.All || (f.state == driver.Live) == (string(value[:timeLen]) > f.now), nil
}

// read reads the parts of an entry from its string, or from its beginning, and keeps
// the bytes of its payload. Where the beginning is too short, it returns how many bytes
// there must be. The size is left to the caller, who knows the whole string.
func read(value []byte, parts driver.Parts) (e driver.Entry, needed int, err error) {
	l, ok := readLine(value)
	if !ok {
		return e, 0, errValue
	}
	e.Status = l.status
	if parts&driver.Usage != 0 {
		if e.UsedAt, err = parseTime(l.used); err != nil {
			return e, 0, err
		}
	}
	if parts&(driver.Payload|driver.Meta) == 0 {
		return e, 0, nil
	}
	atHeader := l.end + l.name + 1
	atPayload := atHeader + l.header + 1
	if len(value) < atPayload {
		return e, atPayload, nil
	}
	if parts&driver.Meta != 0 {
		if e.ExpiresAt, err = parseTime(value[:timeLen]); err != nil {
			return e, 0, err
		}
		if e.CachedAt, err = parseTime(value[timeLen+1 : atUsed-1]); err != nil {
			return e, 0, err
		}
		e.Name, e.Header = string(value[l.end:l.end+l.name]), string(value[atHeader:atHeader+l.header])
		if e.MetaSum, err = parseSum(l.metaSum); err != nil {
			return e, 0, err
		}
	}
	if parts&driver.Payload != 0 {
		e.Payload, e.Encoding = value[atPayload:len(value):len(value)], string(l.encoding)
		if e.PayloadSum, err = parseSum(l.payloadSum); err != nil {
			return e, 0, err
		}
	}
	return e, 0, nil
}

// line is what the first line of a string tells besides two times.
type line struct {
	used                          []byte
	status, name, header          int // the lengths of name and header
	payloadSum, metaSum, encoding []byte
	end                           int // where the next line begins
}

// noSum is what there is in layout 1.
var noSum = []byte("00000000")

// readLine reads the first line, in layout 2 or 1, which has nothing behind the numbers
// and no time of the use before them. match has seen that there are two times.
func readLine(value []byte) (l line, ok bool) {
	end := bytes.IndexByte(value[:min(len(value), maxHead)], '\n')
	if end <= atYear {
		return l, false
	}
	l.end = end + 1
	at := atUsed
	isOld := value[atYear] != '-' // which no number has there
	if isOld {
		l.used = value[timeLen+1 : atUsed-1]
	} else {
		at += timeLen + 1
		if end < at {
			return l, false
		}
		l.used = value[atUsed : at-1]
	}
	rest := value[at:end]
	var status, name, header []byte
	status, rest, _ = bytes.Cut(rest, space)
	name, rest, _ = bytes.Cut(rest, space)
	header, rest, more := bytes.Cut(rest, space)
	var errs [3]error
	l.status, errs[0] = strconv.Atoi(string(status))
	l.name, errs[1] = strconv.Atoi(string(name))
	l.header, errs[2] = strconv.Atoi(string(header))
	if errs != [3]error{} || l.name < 0 || l.header < 0 || l.name > maxValue || l.header > maxValue || more == isOld {
		return l, false
	}
	if isOld {
		l.payloadSum, l.metaSum = noSum, noSum
		return l, true
	}
	l.payloadSum, rest, _ = bytes.Cut(rest, space)
	l.metaSum, l.encoding, _ = bytes.Cut(rest, space)
	return l, true
}

var space = []byte{' '}

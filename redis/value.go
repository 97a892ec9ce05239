package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
)

// Times stand as text of one width, so that their order is that of the text, and scripts
// can compare them. "never", filled up with spaces, is behind all of them.
const (
	timeLen = len("2006-01-02T15:04:05.000000Z")
	never   = "never                      "
	maxHead = 2*timeLen + 3*len(" -9223372036854775808") + len(" \n")
)

// maxValue is the longest string that a server takes.
const maxValue = 512 << 20

var (
	errTime  = errors.New("a time is not of the years 1 to 9999")
	errValue = errors.New("it is no entry of the cache")
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
	return nil
}

// write writes the string of e.
func write(b *strings.Builder, e *driver.Entry) {
	var space [maxHead]byte
	head := appendTimes(space[:0], e.ExpiresAt, e.CachedAt)
	head = strconv.AppendInt(append(head, ' '), int64(e.Status), 10)
	head = strconv.AppendInt(append(head, ' '), int64(len(e.Name)), 10)
	head = strconv.AppendInt(append(head, ' '), int64(len(e.Header)), 10)
	b.Write(append(head, '\n'))
	b.WriteString(e.Name)
	b.WriteByte('\n')
	b.WriteString(e.Header)
	b.WriteByte('\n')
	b.Write(e.Payload)
}

// appendTimes appends what a string begins with.
func appendTimes(b []byte, expiresAt, cachedAt time.Time) []byte {
	if expiresAt.IsZero() {
		b = append(b, never...)
	} else {
		b = appendTime(b, expiresAt)
	}
	return appendTime(append(b, ' '), cachedAt)
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
	if len(value) < 2*timeLen+2 || value[timeLen] != ' ' || value[2*timeLen+1] != ' ' {
		return false, errValue
	}
	return f.state == driver.All || (f.state == driver.Live) == (string(value[:timeLen]) > f.now), nil
}

// read reads the parts of an entry from its string, or from its beginning, and keeps
// the bytes of its payload. Where the beginning is too short, it returns how many bytes
// there must be.
func read(value []byte, parts driver.Parts) (e driver.Entry, needed int, err error) {
	numbers, line, ok := readNumbers(value)
	if !ok {
		return e, 0, errValue
	}
	name, header := numbers[1], numbers[2]
	if name < 0 || header < 0 || name > maxValue || header > maxValue {
		return e, 0, errValue
	}
	e.Status = numbers[0]
	if parts == 0 {
		return e, 0, nil
	}
	atName := line + 1
	atHeader := atName + name + 1
	atPayload := atHeader + header + 1
	if len(value) < atPayload {
		return e, atPayload, nil
	}
	if parts&driver.Meta != 0 {
		if e.ExpiresAt, err = parseTime(value[:timeLen]); err != nil {
			return e, 0, err
		}
		if e.CachedAt, err = parseTime(value[timeLen+1 : 2*timeLen+1]); err != nil {
			return e, 0, err
		}
		e.Name, e.Header = string(value[atName:atName+name]), string(value[atHeader:atHeader+header])
	}
	if parts&driver.Payload != 0 {
		e.Payload = value[atPayload:len(value):len(value)]
	}
	return e, 0, nil
}

// readNumbers reads the status and the lengths of the name and of the headers, and returns
// where their line ends.
func readNumbers(value []byte) (numbers [3]int, line int, ok bool) {
	at := 2*timeLen + 2
	for i, end := range [3]byte{' ', ' ', '\n'} {
		from := at
		for at < len(value) && at < maxHead && value[at] != end {
			at++
		}
		if at >= len(value) || at >= maxHead {
			return numbers, 0, false
		}
		n, err := strconv.Atoi(string(value[from:at]))
		if err != nil {
			return numbers, 0, false
		}
		numbers[i], line = n, at
		at++
	}
	return numbers, line, true
}

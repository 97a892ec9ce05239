// Package rfc9111 has the rules of RFC 9111, HTTP Caching, for a private cache, with
// those of RFC 9110 that it builds on. Its functions take headers and times and
// answer; none reads a clock, does I/O or changes what it is given, but SetValidators.
// Names of headers are in canonical form, as net/http has them.
package rfc9111

import (
	"iter"
	"math"
	"net/http"
	"strings"
	"time"
)

// Directives are those of a Cache-Control header, RFC 9111, section 5.2. Names are
// taken in any letter case; of one that is repeated the first counts. Unknown
// ones do no harm.
type Directives struct {
	NoStore, NoCache, MustRevalidate, MustUnderstand bool
	Public, Immutable, OnlyIfCached                  bool

	MaxAge               Seconds
	MinFresh, MaxStale   Seconds
	StaleWhileRevalidate Seconds
	StaleIfError         Seconds
}

// Seconds is a directive's number, RFC 9111, section 1.2.2.
type Seconds struct {
	time.Duration
	Set     bool // the directive is there
	Invalid bool // its number is none; the duration is zero then
}

// ParseDirectives reads the Cache-Control of a response.
func ParseDirectives(h http.Header) Directives {
	var d Directives
	for _, line := range h["Cache-Control"] {
		for line != "" {
			var name, value string
			name, value, line = nextDirective(line)
			d.add(name, value)
		}
	}
	return d
}

// ParseRequestDirectives reads the Cache-Control of a request, and without one its
// Pragma, section 5.4.
func ParseRequestDirectives(h http.Header) Directives {
	d := ParseDirectives(h)
	if len(h["Cache-Control"]) == 0 {
		for directive := range Elements(h, "Pragma") {
			if strings.EqualFold(directive, "no-cache") {
				d.NoCache = true
			}
		}
	}
	return d
}

func (d *Directives) add(name, value string) {
	switch strings.ToLower(name) {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		// With names of headers it is about these alone; to take it for
		// all of the response is safe, section 5.2.2.4.
		d.NoCache = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	case "public":
		d.Public = true
	case "immutable":
		d.Immutable = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge.parse(value)
	case "min-fresh":
		d.MinFresh.parse(value)
	case "max-stale":
		if value == "" { // stale for however long
			value = "2147483648"
		}
		d.MaxStale.parse(value)
	case "stale-while-revalidate":
		d.StaleWhileRevalidate.parse(value)
	case "stale-if-error":
		d.StaleIfError.parse(value)
	}
}

// nextDirective takes the first directive of a line.
func nextDirective(line string) (name, value, rest string) {
	line = strings.TrimLeft(line, " \t,")
	end := strings.IndexAny(line, "=,")
	if end < 0 {
		return strings.TrimRight(line, " \t"), "", ""
	}
	name = strings.TrimRight(line[:end], " \t")
	if line[end] == ',' {
		return name, "", line[end+1:]
	}
	rest = strings.TrimLeft(line[end+1:], " \t")
	if !strings.HasPrefix(rest, `"`) {
		value, rest, _ = strings.Cut(rest, ",")
		return name, strings.TrimRight(value, " \t"), rest
	}
	value, rest = quotedString(rest)
	_, rest, _ = strings.Cut(rest, ",")
	return name, value, rest
}

// quotedString takes the quoted string that s begins with. One that is not closed
// reaches to the end.
func quotedString(s string) (value, rest string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func (s *Seconds) parse(value string) {
	if s.Set {
		return
	}
	s.Set = true
	n, ok := deltaSeconds(value)
	s.Duration, s.Invalid = n, !ok
}

// deltaSeconds is the number of seconds that s says. What is greater than 2^31 is
// taken for that, as section 1.2.2 has it.
func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), math.MaxInt32+1)
	}
	return time.Duration(n) * time.Second, true
}

// Elements yields the elements of the lists in h's lines of that name, RFC 9110,
// section 5.6.1. A comma between two quotes is part of an element, as in the entity
// tag "a,b". A backslash escapes nothing: in an entity tag it is a character as any
// other.
func Elements(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[name] {
			for line != "" {
				var element string
				element, line = nextElement(line)
				if element = strings.TrimSpace(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// nextElement takes the first element of a line. A quote that is not closed is a
// character as any other: it must not hide the elements after it.
func nextElement(line string) (element, rest string) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ',':
			return line[:i], line[i+1:]
		case '"':
			i += strings.IndexByte(line[i+1:], '"') + 1
		}
	}
	return line, ""
}

package transport

import (
	"iter"
	"math"
	"net/http"
	"strings"
	"time"
)

// directives are those of a Cache-Control header, RFC 9111, section 5.2. Names are
// taken in any letter case; of one that is repeated the first counts. Unknown
// ones do no harm.
type directives struct {
	noStore, noCache, mustRevalidate, mustUnderstand bool
	public, immutable, onlyIfCached                  bool

	maxAge               seconds
	minFresh, maxStale   seconds
	staleWhileRevalidate seconds
	staleIfError         seconds
}

// seconds is a directive's number, RFC 9111, section 1.2.2.
type seconds struct {
	time.Duration
	set     bool // the directive is there
	invalid bool // with no such number; the duration is zero then
}

func parseDirectives(h http.Header) directives {
	var d directives
	for _, line := range h["Cache-Control"] {
		for line != "" {
			var name, value string
			name, value, line = nextDirective(line)
			d.add(name, value)
		}
	}
	return d
}

func (d *directives) add(name, value string) {
	switch strings.ToLower(name) {
	case "no-store":
		d.noStore = true
	case "no-cache":
		// With names of headers it is about these alone; to take it for
		// all of the response is safe, section 5.2.2.4.
		d.noCache = true
	case "must-revalidate":
		d.mustRevalidate = true
	case "must-understand":
		d.mustUnderstand = true
	case "public":
		d.public = true
	case "immutable":
		d.immutable = true
	case "only-if-cached":
		d.onlyIfCached = true
	case "max-age":
		d.maxAge.parse(value)
	case "min-fresh":
		d.minFresh.parse(value)
	case "max-stale":
		if value == "" { // stale for however long
			value = "2147483648"
		}
		d.maxStale.parse(value)
	case "stale-while-revalidate":
		d.staleWhileRevalidate.parse(value)
	case "stale-if-error":
		d.staleIfError.parse(value)
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

func (s *seconds) parse(value string) {
	if s.set {
		return
	}
	s.set = true
	n, ok := deltaSeconds(value)
	s.Duration, s.invalid = n, !ok
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

// elements yields those of the lists in h's lines of that name.
func elements(h http.Header, name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range h[name] {
			for element := range strings.SplitSeq(line, ",") {
				if element = strings.TrimSpace(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

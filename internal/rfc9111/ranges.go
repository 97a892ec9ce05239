package rfc9111

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Span is a run of bytes; the first and the last are part of it.
type Span struct{ First, Last int64 }

// Len is how many bytes the span has.
func (s Span) Len() int64 { return s.Last - s.First + 1 }

// String is the span as Range and Content-Range write it.
func (s Span) String() string {
	return strconv.FormatInt(s.First, 10) + "-" + strconv.FormatInt(s.Last, 10)
}

// Wanted tells what a Range header asks for of a representation.
type Wanted uint8

// The kinds of wish.
const (
	All           Wanted = iota // there is no range, or one that is to be ignored
	SomeBytes                   // the spans
	NoneOfIt                    // no range is within the representation
	OfAnotherUnit               // the origin may know the unit
)

// mostRanges is how many ranges are looked at. A header with more is ignored, RFC 9110,
// section 14.2: it costs the sender little and the receiver much.
const mostRanges = 64

// Ranges are the spans that a Range header asks for of a representation of that size.
// Those that overlap or touch are joined, and all are in ascending order then; otherwise
// they are in the order of the header. An empty representation has no parts: the header
// is ignored.
func Ranges(req http.Header, size int64) ([]Span, Wanted) {
	lines := req["Range"]
	switch len(lines) {
	case 0:
		return nil, All
	case 1:
	default:
		return nil, All // it is no list
	}
	unit, set, ok := strings.Cut(lines[0], "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, OfAnotherUnit
	}
	var spans []Span
	n := 0
	for spec := range strings.SplitSeq(set, ",") {
		if spec = strings.TrimSpace(spec); spec == "" {
			continue
		}
		if n++; n > mostRanges {
			return nil, All
		}
		span, valid, within := parseSpec(spec, size)
		if !valid {
			return nil, All
		}
		if within {
			spans = append(spans, span)
		}
	}
	switch {
	case n == 0 || size == 0:
		return nil, All
	case len(spans) == 0:
		return nil, NoneOfIt
	}
	return coalesce(spans), SomeBytes
}

// parseSpec reads one range: first-last, first-, or -length. Within is false for one that
// has no byte of the representation.
func parseSpec(spec string, size int64) (span Span, valid, within bool) {
	from, to, ok := strings.Cut(spec, "-")
	first, isFirst := position(from)
	last, isLast := position(to)
	switch {
	case !ok, !isFirst && from != "", !isLast && to != "", !isFirst && !isLast:
		return Span{}, false, false
	case !isFirst:
		return Span{max(size-last, 0), size - 1}, true, last > 0 && size > 0
	case !isLast:
		last = math.MaxInt64
	}
	if last < first {
		return Span{}, false, false
	}
	return Span{first, min(last, size-1)}, true, first < size
}

// position reads a number of bytes. One that is too large for any body is the largest
// there is.
func position(s string) (n int64, ok bool) {
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, s != ""
}

// coalesce joins spans that overlap or touch, if there are any.
func coalesce(spans []Span) []Span {
	if len(spans) < 2 {
		return spans
	}
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b Span) int { return cmp.Compare(a.First, b.First) })
	joined := sorted[:1]
	for _, s := range sorted[1:] {
		if last := &joined[len(joined)-1]; s.First <= last.Last+1 {
			last.Last = max(last.Last, s.Last)
		} else {
			joined = append(joined, s)
		}
	}
	if len(joined) == len(spans) {
		return spans
	}
	return joined
}

// RangeHolds evaluates If-Range for a stored response that was received at that instant,
// RFC 9110, section 13.1.5. Where it does not hold, the Range header is to be ignored.
func RangeHolds(req, stored http.Header, received time.Time) bool {
	conditions := req["If-Range"]
	switch len(conditions) {
	case 0:
		return true
	case 1:
	default:
		return false
	}
	condition := strings.TrimSpace(conditions[0])
	if since, ok := ParseDate(condition); ok {
		modified, ok := strongDate(stored, received)
		return ok && modified.Equal(since)
	}
	return isStrongTag(condition) && condition == stored.Get("Etag")
}

// isStrongTag reports whether s is an entity tag without the mark of weakness.
func isStrongTag(s string) bool {
	return len(s) >= 2 && s[0] == '"' && strings.IndexByte(s[1:], '"') == len(s)-2
}

// enough is how much later than its last modification a response must have been made, so
// that it cannot have been modified twice at the instant that the date tells: clocks
// differ, RFC 9110, section 8.8.2.2.
const enough = time.Minute

// strongDate is the Last-Modified of a response, where that identifies its bytes.
func strongDate(h http.Header, received time.Time) (time.Time, bool) {
	modified, ok := HeaderDate(h, "Last-Modified")
	if !ok {
		return time.Time{}, false
	}
	made, ok := HeaderDate(h, "Date")
	if !ok {
		made = received
	}
	return modified, made.Sub(modified) >= enough
}

// StrongValidator is the validator of a response that identifies its bytes, as If-Range
// has it: the entity tag, or without one the date of modification. It is empty where there
// is none.
func StrongValidator(h http.Header, received time.Time) string {
	if tags := h["Etag"]; len(tags) > 0 {
		if len(tags) == 1 && isStrongTag(tags[0]) {
			return tags[0]
		}
		return ""
	}
	if _, ok := strongDate(h, received); ok {
		return h.Get("Last-Modified")
	}
	return ""
}

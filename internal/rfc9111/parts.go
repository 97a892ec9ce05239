package rfc9111

import (
	"bytes"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Parts are the bytes of a representation that are known. Their payload is the bytes of
// the spans, one after the other.
type Parts struct {
	Spans []Span // ascending, with gaps between them
	Size  int64  // of the whole; -1: unknown

	// Miscounted tells of a part whose body was shorter than its Content-Range said. Its
	// bytes are those from the first on. Size is where they end, if they were said to
	// reach the end of the representation, and what others are told is that it is not
	// known. It is not combined with anything.
	Miscounted bool
}

// WholeParts are those of a representation of which all is known.
func WholeParts(size int64) Parts {
	if size == 0 {
		return Parts{}
	}
	return Parts{Spans: []Span{{0, size - 1}}, Size: size}
}

// ParseContentRange reads the Content-Range of a part, RFC 9110, section 14.4. Size is -1
// where the header does not say it.
func ParseContentRange(h http.Header) (span Span, size int64, ok bool) {
	lines := h["Content-Range"]
	if len(lines) != 1 {
		return Span{}, 0, false
	}
	unit, value, _ := strings.Cut(strings.TrimSpace(lines[0]), " ")
	if !strings.EqualFold(unit, "bytes") {
		return Span{}, 0, false
	}
	return parseSpanOf(value)
}

// parseSpanOf reads "0-4/10". A number that is too large for any body is none.
func parseSpanOf(s string) (span Span, size int64, ok bool) {
	bounds, whole, _ := strings.Cut(s, "/")
	from, to, _ := strings.Cut(bounds, "-")
	first, isFirst := position(from)
	last, isLast := position(to)
	size, isSize := position(whole)
	if whole == "*" {
		size, isSize = -1, true
	}
	if !isFirst || !isLast || !isSize || last < first || last == math.MaxInt64 || size == math.MaxInt64 || size >= 0 && size <= last {
		return Span{}, 0, false
	}
	return Span{first, last}, size, true
}

// PartOf is the part that a response of status 206 carries, with a body of that length.
func PartOf(h http.Header, length int64) (Parts, bool) {
	span, size, ok := ParseContentRange(h)
	switch {
	case !ok || length <= 0 || length > span.Len():
		return Parts{}, false
	case length == span.Len():
		return Parts{Spans: []Span{span}, Size: size}, true
	}
	reaches := span.Last == size-1
	span.Last = span.First + length - 1
	p := Parts{Spans: []Span{span}, Size: -1, Miscounted: true}
	if reaches {
		p.Size = span.Last + 1
	}
	return p, true
}

// Len is how many bytes are known.
func (p Parts) Len() (n int64) {
	for _, s := range p.Spans {
		n += s.Len()
	}
	return n
}

// Whole reports whether all bytes of the representation are known.
func (p Parts) Whole() bool {
	return !p.Miscounted && p.Size >= 0 && p.Len() == p.Size
}

// Covers reports whether all bytes of the span are known.
func (p Parts) Covers(s Span) bool {
	return slices.ContainsFunc(p.Spans, func(known Span) bool { return known.First <= s.First && s.Last <= known.Last })
}

// Wanted are the spans that a Range header asks for, and whether they can be told and are
// known, or known not to be there.
func (p Parts) Wanted(req http.Header) (spans []Span, wanted Wanted, known bool) {
	size := p.Size
	if size < 0 {
		size = math.MaxInt64 // of no span that is known
	}
	spans, wanted = Ranges(req, size)
	switch wanted {
	case SomeBytes:
		known = !slices.ContainsFunc(spans, func(s Span) bool { return !p.Covers(s) })
	case NoneOfIt:
		known = p.Size >= 0 && !p.Miscounted
	default:
		known = p.Whole()
	}
	return spans, wanted, known
}

// Bytes are those of a span that is covered.
func (p Parts) Bytes(payload []byte, s Span) []byte {
	var at int64
	for _, known := range p.Spans {
		if known.First <= s.First && s.Last <= known.Last {
			return payload[at+s.First-known.First:][:s.Len()]
		}
		at += known.Len()
	}
	return nil
}

// Rest is the shortest span that makes a whole of the parts. It is false where there is no
// need of one, or where it is no shorter than the whole.
func (p Parts) Rest() (Span, bool) {
	if p.Miscounted || p.Size < 0 || len(p.Spans) == 0 || p.Whole() {
		return Span{}, false
	}
	rest := Span{0, p.Size - 1}
	if first := p.Spans[0]; first.First == 0 {
		rest.First = first.Last + 1
	}
	if last := p.Spans[len(p.Spans)-1]; last.Last == p.Size-1 {
		rest.Last = last.First - 1
	}
	return rest, rest.Len() < p.Size
}

// RangeOf is the Range header for a span of a representation of that size.
func RangeOf(s Span, size int64) string {
	if s.Last == size-1 {
		return "bytes=" + strconv.FormatInt(s.First, 10) + "-"
	}
	return "bytes=" + s.String()
}

// ContentRange is the header for a span of the parts.
func (p Parts) ContentRange(s Span) string {
	if p.Size < 0 || p.Miscounted {
		return "bytes " + s.String() + "/*"
	}
	return "bytes " + s.String() + "/" + strconv.FormatInt(p.Size, 10)
}

// String is the parts as text, "0-4,8-9/10", which [ParseParts] reads.
func (p Parts) String() string {
	var b strings.Builder
	for i, s := range p.Spans {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(s.String())
	}
	b.WriteByte('/')
	if p.Miscounted {
		b.WriteByte('~')
	}
	if p.Size < 0 {
		b.WriteByte('*')
	} else {
		b.WriteString(strconv.FormatInt(p.Size, 10))
	}
	return b.String()
}

// ParseParts reads the text of parts whose payload has that length.
func ParseParts(s string, length int64) (Parts, bool) {
	spans, size, _ := strings.Cut(s, "/")
	p := Parts{}
	size, p.Miscounted = strings.CutPrefix(size, "~")
	previous, known := int64(-2), int64(0)
	for text := range strings.SplitSeq(spans, ",") {
		span, n, ok := parseSpanOf(text + "/" + size)
		if !ok || span.First <= previous+1 {
			return Parts{}, false
		}
		previous, p.Size = span.Last, n
		known += span.Len()
		p.Spans = append(p.Spans, span)
	}
	return p, known == length
}

// mostParts is how many parts of a representation are kept.
const mostParts = 64

// Fit tells whether parts can be combined.
type Fit uint8

// The ways in which parts fit.
const (
	Apart    Fit = iota // they cannot be of one representation
	TooMuch             // there would be too many bytes or pieces
	Together            // they are combined
)

// Combine are the parts of two, of the same representation, with their payload, which
// shares no memory with either; limit is the most bytes that it may have.
func Combine(a, b Parts, aBytes, bBytes []byte, limit int64) (Parts, []byte, Fit) {
	size := max(a.Size, b.Size)
	if a.Miscounted || b.Miscounted || a.Size >= 0 && b.Size >= 0 && a.Size != b.Size {
		return Parts{}, nil, Apart
	}
	spans := coalesce(ascending(slices.Concat(a.Spans, b.Spans)))
	p := Parts{Spans: spans, Size: size}
	n := p.Len()
	switch {
	case len(spans) == 0 || size >= 0 && spans[len(spans)-1].Last >= size:
		return Parts{}, nil, Apart
	case len(spans) > mostParts || n > limit:
		return Parts{}, nil, TooMuch
	}
	payload := make([]byte, n)
	fill := func(of Parts, from []byte) {
		for _, s := range of.Spans {
			copy(p.Bytes(payload, s), of.Bytes(from, s))
		}
	}
	fill(a, aBytes)
	fill(b, bBytes)
	for _, s := range a.Spans { // where both know a byte, it is the same
		if !bytes.Equal(p.Bytes(payload, s), a.Bytes(aBytes, s)) {
			return Parts{}, nil, Apart
		}
	}
	return p, payload, Together
}

func ascending(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return int(min(max(a.First-b.First, -1), 1)) })
	return spans
}

// SameBytes reports whether two responses, received at these instants, are known to be of
// the same representation: they share a strong validator, RFC 9110, section 15.3.7.3.
func SameBytes(a, b http.Header, aReceived, bReceived time.Time) bool {
	validator := StrongValidator(a, aReceived)
	if validator == "" || validator != StrongValidator(b, bReceived) {
		return false
	}
	// A part that was asked for with If-Range tells no more than it has to.
	ours, theirs := a.Get("Content-Encoding"), b.Get("Content-Encoding")
	return ours == theirs || ours == "" || theirs == ""
}

// ofThePart are headers that are about the bytes that a response carries.
var ofThePart = []string{"Content-Range", "Content-Length", "Content-Md5", "Content-Digest"}

// CombinedHeaders are those of a response that is combined of two, RFC 9111, section 3.4:
// those of the newer one, which was received at that instant, and what the older one has
// besides.
func CombinedHeaders(older, newer http.Header, received time.Time) http.Header {
	h := Update(older, newer, received)
	for _, name := range ofThePart {
		delete(h, name)
	}
	if h.Get("Content-Encoding") == "" && newer.Get("Content-Encoding") != "" {
		h["Content-Encoding"] = slices.Clone(newer["Content-Encoding"])
	}
	return h
}

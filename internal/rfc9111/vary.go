package rfc9111

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Varies reports whether a response was chosen by headers of its request.
func Varies(h http.Header) bool { return len(h["Vary"]) > 0 }

// VariesByAll reports whether it was chosen by more than can be known.
func VariesByAll(h http.Header) bool {
	for name := range Elements(h, "Vary") {
		if name == "*" {
			return true
		}
	}
	return false
}

// Variant identifies what the headers that vary nominates have in a request,
// RFC 9111, section 4.1. It is a digest: some of them are secrets.
func Variant(vary, request http.Header) string {
	var names []string
	for name := range Elements(vary, "Vary") {
		names = append(names, http.CanonicalHeaderKey(name))
	}
	slices.Sort(names)
	hash := sha256.New()
	var size [8]byte
	write := func(s string) {
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		hash.Write(size[:])
		hash.Write([]byte(s))
	}
	for _, name := range slices.Compact(names) {
		write(name)
		values, ok := linesOf(request, name)
		if !ok {
			write("absent")
			continue
		}
		write("present")
		write(normalise(name, values))
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}

// linesOf returns the lines of a request's header, and whether there are any,
// however its name is written: a client sends what is not in canonical form, too.
func linesOf(h http.Header, name string) (lines []string, ok bool) {
	var spellings []string
	for written := range h {
		if strings.EqualFold(written, name) {
			spellings = append(spellings, written)
		}
	}
	slices.Sort(spellings)
	for _, written := range spellings {
		lines = append(lines, h[written]...)
	}
	return lines, len(spellings) > 0
}

// byCoding are the headers of responses that vary by nothing but their coding.
var byCoding = http.Header{"Vary": {"Accept-Encoding"}}

// CodingVariant is the [Variant] of a request for a response that varies by nothing
// but its coding.
func CodingVariant(request http.Header) string { return Variant(byCoding, request) }

// SameCoding reports whether two requests want a response coded alike, where it is
// coded: the bytes of one mean nothing to a caller that has not asked for them.
func SameCoding(response, a, b http.Header) bool {
	return response.Get("Content-Encoding") == "" || CodingVariant(a) == CodingVariant(b)
}

// normalise is a header's value in a form that is the same for values which mean
// the same: lines are combined, and space beside commas does not count. For
// preferences neither does letter case, nor the order of those whose q differs; of
// those that weigh the same, many origins take the first.
func normalise(name string, lines []string) string {
	joined := strings.Join(lines, ",")
	if strings.Contains(joined, `"`) {
		return joined // what is quoted may have commas and space of its own
	}
	list := strings.Split(joined, ",")
	for i, element := range list {
		list[i] = strings.TrimSpace(element)
	}
	switch name {
	case "Accept-Language", "Accept-Encoding", "Accept-Charset":
		for i, element := range list {
			list[i] = strings.ToLower(strings.ReplaceAll(element, " ", ""))
		}
		slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(weight(b), weight(a)) })
	}
	return strings.Join(list, ",")
}

// weight is how much a preference counts, RFC 9110, section 12.4.2.
func weight(preference string) float64 {
	_, q, ok := strings.Cut(preference, ";q=")
	if !ok {
		return 1
	}
	w, _ := strconv.ParseFloat(q, 64) // what is malformed counts least
	return w
}

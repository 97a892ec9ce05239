package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
)

// varies reports whether a response was chosen by headers of its request.
func varies(h http.Header) bool { return len(h["Vary"]) > 0 }

// variesByAll reports whether it was chosen by more than can be known.
func variesByAll(h http.Header) bool {
	for name := range elements(h, "Vary") {
		if name == "*" {
			return true
		}
	}
	return false
}

// variant identifies what the headers that vary nominates have in a request,
// RFC 9111, section 4.1. It is a digest: some of them are secrets.
func variant(vary, request http.Header) string {
	var names []string
	for name := range elements(vary, "Vary") {
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
		values, ok := request[name]
		if !ok {
			write("absent")
			continue
		}
		write("present")
		write(normalise(name, values))
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}

// byCoding are the headers of responses that vary by nothing but their coding.
var byCoding = http.Header{"Vary": {"Accept-Encoding"}}

// sameCoding reports whether two requests want a response coded alike, where it is
// coded: the bytes of one mean nothing to who has not asked for them.
func sameCoding(response, a, b http.Header) bool {
	return response.Get("Content-Encoding") == "" || variant(byCoding, a) == variant(byCoding, b)
}

// normalise is a header's value in a form that is the same for values which mean
// the same: lines are combined, and space beside commas does not count. For
// preferences neither do letter case and order, which their q tells.
func normalise(name string, lines []string) string {
	list := strings.Split(strings.Join(lines, ","), ",")
	for i, element := range list {
		list[i] = strings.TrimSpace(element)
	}
	switch name {
	case "Accept-Language", "Accept-Encoding", "Accept-Charset":
		for i, element := range list {
			list[i] = strings.ToLower(strings.ReplaceAll(element, " ", ""))
		}
		slices.Sort(list)
	}
	return strings.Join(list, ",")
}

package head

import (
	"maps"
	"net/http"
	"strings"
)

// cookieNames are the headers that set cookies, the second by RFC 2965.
var cookieNames = [...]string{"Set-Cookie", "Set-Cookie2"}

// setsCookies reports whether a header of that name, in any form, sets cookies.
func setsCookies(name string) bool {
	return strings.EqualFold(name, cookieNames[0]) || strings.EqualFold(name, cookieNames[1])
}

// Cookies are those of the headers, or trailers, that set cookies; nil for none.
func Cookies(h http.Header) http.Header {
	var cookies http.Header
	for name, values := range h {
		if setsCookies(name) {
			if cookies == nil {
				cookies = make(http.Header, 1)
			}
			cookies[name] = values
		}
	}
	return cookies
}

// WithoutCookies is h itself where it sets no cookies, and otherwise a copy that shares
// its values.
func WithoutCookies(h http.Header) http.Header {
	cookies := Cookies(h)
	if cookies == nil {
		return h
	}
	h = maps.Clone(h)
	for name := range cookies {
		delete(h, name)
	}
	return h
}

// DropCookies removes the cookies from a head that was decoded. Those that are stored
// have names in canonical form.
func (h *Head) DropCookies() {
	for _, name := range cookieNames {
		delete(h.Header, name)
		delete(h.Trailer, name)
	}
}

// StripCookies is an encoded head without cookies. One that cannot be decoded stays as it
// is, for whoever decodes it to say so.
func StripCookies(encoded string) string {
	if !strings.Contains(encoded, cookieNames[0]) {
		return encoded
	}
	h, err := Decode(encoded)
	if err != nil {
		return encoded
	}
	h.DropCookies()
	stripped, err := Encode(h)
	if err != nil {
		return encoded
	}
	return stripped
}

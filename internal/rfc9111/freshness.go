package rfc9111

import (
	"net/http"
	"strings"
	"time"
)

// ReceivedAge is the Age that a response came with, zero where it has none that is
// valid. Of several the first counts, section 5.1.
func ReceivedAge(h http.Header) time.Duration {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := deltaSeconds(strings.TrimSpace(first))
	return age
}

// InitialAge is how old a response is when it comes, RFC 9111, section 4.2.3.
func InitialAge(h http.Header, asked, answered time.Time) time.Duration {
	age := ReceivedAge(h) + answered.Sub(asked)
	if date, ok := HeaderDate(h, "Date"); ok {
		age = max(age, answered.Sub(date))
	}
	return max(age, 0)
}

// maxHeuristic is the longest that a response is taken to be fresh without saying so.
const maxHeuristic = 7 * 24 * time.Hour

// Lifetime is how long a response is fresh from when it was made, by what it says
// itself, section 4.2.1; ok is false where it does not say.
func Lifetime(h http.Header, d Directives, answered time.Time) (_ time.Duration, ok bool) {
	if d.MaxAge.Set {
		return d.MaxAge.Duration, true
	}
	if len(h["Expires"]) == 0 {
		return 0, false
	}
	expires, ok := HeaderDate(h, "Expires")
	if !ok {
		return 0, true // invalid dates are in the past, section 5.3
	}
	date, ok := HeaderDate(h, "Date")
	if !ok {
		date = answered
	}
	return max(expires.Sub(date), 0), true
}

// HeuristicStatus reports whether responses of that status may be taken to be fresh
// without saying so, RFC 9110, section 15.1. A 206 may, too, but is no whole response.
func HeuristicStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// Heuristic is a tenth of the time since a response was last modified, RFC 9111,
// section 4.2.2, and a week at most. It is zero where nothing can be taken.
func Heuristic(status int, h http.Header, d Directives, answered time.Time) time.Duration {
	if !d.Public && !HeuristicStatus(status) {
		return 0
	}
	modified, ok := HeaderDate(h, "Last-Modified")
	if !ok {
		return 0
	}
	date, ok := HeaderDate(h, "Date")
	if !ok {
		date = answered
	}
	return min(max(date.Sub(modified)/10, 0), maxHeuristic)
}

// HasValidator reports whether the origin can be asked whether a response still
// holds.
func HasValidator(h http.Header) bool {
	return h.Get("Etag") != "" || h.Get("Last-Modified") != ""
}

// MayStore reports whether section 3 lets a private cache keep a response, by the
// directives of the request and its own, besides how fresh it is.
func MayStore(asked Directives, status int, h http.Header, d Directives) bool {
	switch status {
	case http.StatusPartialContent, http.StatusNotModified:
		return false // it is no whole response
	case http.StatusPreconditionRequired, http.StatusTooManyRequests,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusNetworkAuthenticationRequired:
		return false // RFC 6585, sections 3 to 6
	}
	if d.MustUnderstand {
		if http.StatusText(status) == "" {
			return false
		}
		d.NoStore = false // section 5.2.2.3
	}
	return status >= 200 && !asked.NoStore && !d.NoStore && !VariesByAll(h)
}

package rfc9111

import (
	"maps"
	"net/http"
	"strings"
	"time"
)

// The three forms of a date, RFC 9110, section 5.6.7.
var dateForms = [...]string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}

// ParseDate takes a date in exactly one of its forms, in any letter case.
// http.ParseTime is more lenient than a cache may be: what it cannot be sure of is
// stale.
func ParseDate(s string) (time.Time, bool) {
	if rest, zone := s[:max(len(s)-3, 0)], s[max(len(s)-3, 0):]; strings.EqualFold(zone, "GMT") {
		s = rest + "GMT"
	}
	for _, form := range dateForms {
		t, err := time.Parse(form, s)
		// The weekday says nothing that the rest does not.
		if err == nil && strings.EqualFold(afterWeekday(t.Format(form)), afterWeekday(s)) {
			return t, true
		}
	}
	return time.Time{}, false
}

func afterWeekday(date string) string {
	_, rest, _ := strings.Cut(date, " ")
	return rest
}

// HeaderDate is the date in a header that has exactly one.
func HeaderDate(h http.Header, name string) (time.Time, bool) {
	if lines := h[name]; len(lines) == 1 {
		return ParseDate(lines[0])
	}
	return time.Time{}, false
}

// WithDate are the headers of a response that was received at that instant, with a Date,
// RFC 9110, section 6.6.1. They are h where that has one, and share its values.
func WithDate(h http.Header, received time.Time) http.Header {
	if len(h["Date"]) > 0 {
		return h
	}
	dated := make(http.Header, len(h)+1)
	maps.Copy(dated, h)
	dated.Set("Date", received.UTC().Format(http.TimeFormat))
	return dated
}

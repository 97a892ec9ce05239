package transport

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The three forms of a date, RFC 9110, section 5.6.7.
var dateForms = [...]string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}

// parseDate takes a date in exactly one of its forms, in any letter case.
// http.ParseTime is more lenient than a cache may be: what it cannot be sure of is
// stale.
func parseDate(s string) (time.Time, bool) {
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

// headerDate is the date in a header that has exactly one.
func headerDate(h http.Header, name string) (time.Time, bool) {
	if lines := h[name]; len(lines) == 1 {
		return parseDate(lines[0])
	}
	return time.Time{}, false
}

// receivedAge is the Age that a response came with, zero where it has none that is
// valid. Of several the first counts, section 5.1.
func receivedAge(h http.Header) time.Duration {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	first, _, _ := strings.Cut(lines[0], ",")
	age, _ := deltaSeconds(strings.TrimSpace(first))
	return age
}

// initialAge is how old a response is when it comes, RFC 9111, section 4.2.3.
func initialAge(h http.Header, asked, answered time.Time) time.Duration {
	age := receivedAge(h) + answered.Sub(asked)
	if date, ok := headerDate(h, "Date"); ok {
		age = max(age, answered.Sub(date))
	}
	return max(age, 0)
}

// maxHeuristic is the longest that a response is taken to be fresh without saying so.
const maxHeuristic = 7 * 24 * time.Hour

// lifetime is how long a response is fresh from when it was made, by what it says
// itself, section 4.2.1; ok is false where it does not say.
func lifetime(h http.Header, d directives, answered time.Time) (_ time.Duration, ok bool) {
	if d.maxAge.set {
		return d.maxAge.Duration, true
	}
	if len(h["Expires"]) == 0 {
		return 0, false
	}
	expires, ok := headerDate(h, "Expires")
	if !ok {
		return 0, true // invalid dates are in the past, section 5.3
	}
	date, ok := headerDate(h, "Date")
	if !ok {
		date = answered
	}
	return max(expires.Sub(date), 0), true
}

// heuristicStatuses may be taken to be fresh without saying so, RFC 9110,
// section 15.1.
var heuristicStatuses = []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}

// heuristic is a tenth of the time since a response was last modified, RFC 9111,
// section 4.2.2.
func heuristic(status int, h http.Header, d directives, answered time.Time) time.Duration {
	if !d.public && !slices.Contains(heuristicStatuses, status) {
		return 0
	}
	modified, ok := headerDate(h, "Last-Modified")
	if !ok {
		return 0
	}
	date, ok := headerDate(h, "Date")
	if !ok {
		date = answered
	}
	return min(max(date.Sub(modified)/10, 0), maxHeuristic)
}

// hasValidator reports whether the origin can be asked whether a response still
// holds.
func hasValidator(h http.Header) bool {
	return h.Get("Etag") != "" || h.Get("Last-Modified") != ""
}

// mayStore reports whether RFC 9111, section 3, lets a private cache keep a
// response, besides how fresh it is.
func mayStore(req directives, status int, h http.Header, resp directives) bool {
	if resp.mustUnderstand {
		if http.StatusText(status) == "" {
			return false
		}
		resp.noStore = false // section 5.2.2.3
	}
	return !req.noStore && !resp.noStore && !variesByAll(h)
}

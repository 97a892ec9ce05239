package origin

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter returns how long the server asks to wait with the next request, as the
// Retry-After header of a response says it: in seconds, of which a fraction is rounded
// up, or as a date, which is compared with the response's own Date where it has one. A
// date that has passed is 0. A number that is too large for a [time.Duration] is the
// longest. ok is false where the header is absent or cannot be read; of several headers the
// longest wait counts. The status is not looked at.
func RetryAfter(resp *http.Response) (d time.Duration, ok bool) {
	if resp == nil {
		return 0, false
	}
	for _, text := range resp.Header["Retry-After"] {
		text = strings.TrimSpace(text)
		wait, isWait := seconds(text)
		if !isWait {
			wait, isWait = until(text, resp.Header)
		}
		d, ok = max(d, wait), ok || isWait
	}
	return d, ok
}

// seconds reads a number such as "30". RFC 9110 has no fractions, but some servers send
// them: "30.5" are 31 seconds, for 30 would be too early.
func seconds(text string) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	n, _ := strconv.ParseInt(whole, 10, 64) // of digits alone: one that is too large is the largest
	if strings.Trim(fraction, "0") != "" && n < math.MaxInt64 {
		n++
	}
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(n, most)) * time.Second, true
}

// until reads a date. The header's Date is of the same clock, which may be wrong.
func until(text string, header http.Header) (time.Duration, bool) {
	date, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, date.Sub(now)), true
}

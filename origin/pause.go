package origin

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// plea is what an answer asks of those who ask next.
type plea struct {
	refused bool // the request was too much
	pause   bool
	told    bool          // how long is known
	wait    time.Duration // which is that
}

func (o *Options) plea(resp *http.Response) plea {
	p := plea{refused: resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable}
	if o.PauseAfter != nil {
		if d := o.PauseAfter(resp); d > 0 {
			p.pause, p.told, p.wait = true, true, d
			return p
		}
	}
	if p.refused {
		p.pause = true
		p.wait, p.told = retryAfter(resp.Header)
	}
	return p
}

// retryAfter is how long a server says to wait, if it does: in seconds, or until a
// time of its own clock.
func retryAfter(h http.Header) (d time.Duration, ok bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) { // which gives the nearest
		const most = math.MaxInt64 / int64(time.Second)
		return time.Duration(min(seconds, most)) * time.Second, seconds >= 0
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, until.Sub(now)), true
}

// grown is first, doubled n times, and longest at most.
func grown(first time.Duration, n int, longest time.Duration) time.Duration {
	for ; n > 0 && first < longest; n-- {
		first *= 2
		if first < 0 {
			return longest
		}
	}
	return min(first, longest)
}

// withJitter makes a pause up to a tenth and a second longer, so that the programs
// that share an API do not all come back at once.
func withJitter(d time.Duration) time.Duration {
	return d + rand.N(min(d/10, time.Second)+1)
}

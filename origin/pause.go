package origin

import (
	"math/rand/v2"
	"net/http"
	"time"
)

// plea is what an answer asks of the requests that come next.
type plea struct {
	refused bool // the request was too much
	pause   bool
	told    bool          // how long is known
	wait    time.Duration // which is that
}

func (o *Options) plea(resp *http.Response) plea {
	p := plea{refused: isRefusal(resp)}
	if o.PauseAfter != nil {
		if d := o.PauseAfter(resp); d > 0 {
			p.pause, p.told, p.wait = true, true, d
			return p
		}
	}
	if p.refused {
		p.pause = true
		p.wait, p.told = RetryAfter(resp)
	}
	return p
}

// isRefusal reports whether the server has refused a request as one too many. A 403 is
// that with a Retry-After, as GitHub and GitLab answer, and otherwise is about the
// request.
func isRefusal(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusForbidden:
		return resp.Header.Get("Retry-After") != ""
	}
	return false
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
	return max(d, d+rand.N(min(d/10, time.Second)+1)) // the sum may overflow
}

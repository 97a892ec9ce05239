package inspector

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
)

// timeline is the life of a stored response as a bar, with where it is now. Positions are
// percentages, as a picture of any width needs them.
type timeline struct {
	Spans  []span
	Marks  []mark
	Now    string
	Anchor string // of the text at Now
	Alt    string
}

// span is a part of the life.
type span struct {
	Class, Label string
	X, Width     string
}

// mark is an instant under the bar.
type mark struct {
	X, Anchor, Label string
}

// timelineOf is nil for a response without a time.
func timelineOf(x cache.Explanation, now time.Time) *timeline {
	if x.CachedAt.IsZero() {
		return nil
	}
	end := now
	for _, t := range []time.Time{x.ExpiresAt, x.RenewableUntil, x.StandsInUntil} {
		if t.After(end) {
			end = t
		}
	}
	total := end.Sub(x.CachedAt)
	if x.ExpiresAt.IsZero() {
		total = 2 * min(total, math.MaxInt64/4) // it goes on
	}
	total = min(total, math.MaxInt64/2)
	total += total / 20
	if total <= 0 {
		total = time.Second
	}
	end = x.CachedAt.Add(total)
	at := func(t time.Time) float64 {
		return min(max(100*float64(t.Sub(x.CachedAt))/float64(total), 0), 100)
	}
	l := &timeline{}
	from := x.CachedAt
	var words []string
	add := func(class, label string, until time.Time) {
		if !until.After(from) {
			return
		}
		l.Spans = append(l.Spans, span{class, label, position(at(from)), position(at(until) - at(from))})
		words = append(words, label+" until "+instant(until))
		from = until
	}
	switch {
	case x.Outdated:
		add("gone", "made old by an invalidation", end)
	case x.ExpiresAt.IsZero():
		add("fresh", "fresh for ever", end)
	default:
		add("fresh", "fresh", x.ExpiresAt)
		add("renewable", "served while it is renewed", x.RenewableUntil)
		add("standin", "stands in for a failing origin", x.StandsInUntil)
		add("gone", "expired", end)
	}
	if len(words) > 0 {
		words[len(words)-1], _, _ = strings.Cut(words[len(words)-1], " until ")
	}
	present := at(now)
	l.Now, l.Anchor = position(present), anchor(present)
	l.Marks = append(l.Marks, mark{"0%", "start", "requested"})
	if !x.ExpiresAt.IsZero() && !x.Outdated {
		if p := at(x.ExpiresAt); p > 12 {
			l.Marks = append(l.Marks, mark{position(p), anchor(p), "expires"})
		}
	}
	l.Alt = fmt.Sprintf("Requested %s; %s. Now it is %s.", instant(x.CachedAt), strings.Join(words, ", then "), instant(now))
	return l
}

func position(percent float64) string { return strconv.FormatFloat(percent, 'f', 2, 64) + "%" }

// anchor keeps a text at that position within the picture.
func anchor(percent float64) string {
	switch {
	case percent < 10:
		return "start"
	case percent > 90:
		return "end"
	}
	return "middle"
}

package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// A page of a walk has about so many places, and of one bucket at least so many.
const (
	maxPage = 1_000
	minPage = 16
)

// walk goes through the indexes of a table, from the latest expiry to the earliest, and
// leaves out the places of keys that begin otherwise than the filter says. An entry that
// is renewed on the way gets behind it, so that a loop which renews what it meets comes to
// an end. One that is saved on the way with an earlier expiry may come again.
type walk struct {
	table   *table
	scores  scores
	leading string    // what the texts of the keys begin with
	whole   bool      // or what they are
	buckets []*cursor // those that are not at their end
}

// cursor is where a walk is in a bucket.
type cursor struct {
	bucket  int
	started bool
	score   string // of the last place, as the server writes it
	text    string
	done    bool
}

func (t *table) walk(f driver.Filter) *walk {
	w := &walk{table: t, scores: t.store.scores(f)}
	text := appendKey(nil, f.Leading)
	if len(f.Leading) > 0 {
		if w.whole = len(f.Leading) == len(t.spec.Key); !w.whole {
			text = append(text, ':') // which is in no value
		}
	}
	w.leading = string(appendEscaped(text, f.Where.Prefix, "")) // byte by byte, and so of the whole value
	for i := range t.names.indexes {
		w.buckets = append(w.buckets, &cursor{bucket: i})
	}
	return w
}

// next returns the next places, by bucket, and none at the end. Entries at the bounds
// of the filter may be among them that it does not select.
func (w *walk) next(ctx context.Context) (places []place, err error) {
	for len(places) == 0 && len(w.buckets) > 0 {
		n := max(minPage, maxPage/len(w.buckets))
		pages := make([][]place, len(w.buckets))
		err := parallel.Do(len(w.buckets), func(i int) (err error) {
			pages[i], err = w.page(ctx, w.buckets[i], n)
			return err
		})
		if err != nil {
			return nil, err
		}
		var left []*cursor
		for i, c := range w.buckets {
			places = append(places, pages[i]...)
			if !c.done {
				left = append(left, c)
			}
		}
		w.buckets = left
	}
	return places, nil
}

var errPage = errors.New("the index has answered with no scores")

// page returns the next places of one bucket, at most n.
func (w *walk) page(ctx context.Context, c *cursor, n int) (places []place, err error) {
	index := w.table.names.indexes[c.bucket]
	args := []string{scoreText(w.scores.upTo), strconv.Itoa(n)}
	if c.started {
		args = []string{c.score, strconv.Itoa(n), c.text}
	}
	answer, err := w.table.store.eval(ctx, pageScript, []string{index}, args).AsStrSlice()
	if err != nil {
		return nil, err
	}
	if len(answer)%2 != 0 {
		return nil, errPage
	}
	for i := 0; i < len(answer); i += 2 {
		score, err := strconv.ParseFloat(answer[i+1], 64)
		if err != nil {
			return nil, errPage
		}
		if score <= w.scores.above {
			c.done = true
			break
		}
		c.started, c.text, c.score = true, answer[i], answer[i+1]
		if !w.has(c.text) {
			continue
		}
		places = append(places, place{bucket: c.bucket, name: index + ":" + c.text, text: c.text})
	}
	c.done = c.done || len(answer) < 2*n
	return places, nil
}

// has reports whether the key with this text begins as the filter says.
func (w *walk) has(text string) bool {
	return strings.HasPrefix(text, w.leading) && (!w.whole || len(text) == len(w.leading))
}

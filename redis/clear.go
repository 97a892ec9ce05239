package redis

import (
	"context"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// Clear walks through the indexes and removes what a page has in one step for each
// bucket, which asks each entry once more: it may have been renewed meanwhile.
func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.run(ctx, "clear", func(ctx context.Context) (err error) {
		cleared, err = t.clear(ctx, f)
		return err
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

func (t *table) clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	w := t.walk(f)
	if f.State != driver.Live {
		w.scores.above = math.Inf(-1) // places of entries that have vanished go as well
	}
	for {
		places, err := w.next(ctx)
		if err != nil || len(places) == 0 {
			return cleared, err
		}
		n, err := t.clearGroups(ctx, byBucket(places), f)
		if err != nil {
			return cleared, err
		}
		cleared += n
	}
}

// clearGroups removes those entries of the groups, each of one bucket, that f selects.
func (t *table) clearGroups(ctx context.Context, groups [][]place, f driver.Filter) (int, error) {
	var cleared atomic.Int64
	args := append([]string{stateWord(f.State), newFilter(f).now}, whereArgs(f.Where)...)
	err := parallel.Do(len(groups), func(i int) error {
		names, texts := namesAndTexts(groups[i])
		keys := append([]string{t.names.indexes[groups[i][0].bucket]}, names...)
		result, err := t.store.evalOnce(ctx, clearScript, keys, slices.Concat(args, texts))
		if err != nil {
			return err
		}
		n, err := result.AsInt64()
		cleared.Add(n)
		return err
	})
	return int(cleared.Load()), err
}

// whereArgs are what clearScript compares an entry with: the first instant at which it may
// have been cached, or "any" where all entries are selected, the ends of that and of its
// last use, the least and the greatest status, and the name and what it begins with. Empty
// ones, and a greatest status of 0, select all.
func whereArgs(w driver.Where) []string {
	if !asksEntries(w) {
		return []string{"any", "", "", "", "", "", ""}
	}
	return []string{
		bound(w.CachedFrom), bound(w.CachedBefore), bound(w.UsedBefore),
		strconv.Itoa(w.MinStatus), strconv.Itoa(w.MaxStatus), w.Name, w.NamePrefix,
	}
}

// asksEntries reports whether w selects by more than keys, which is what the places in the
// indexes tell.
func asksEntries(w driver.Where) bool {
	w.Prefix = ""
	return !w.IsZero()
}

// bound is the text of an instant that times are compared with.
func bound(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Year() > 9999:
		return never
	default:
		return string(appendTime(nil, t))
	}
}

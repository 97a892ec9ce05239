package redis

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// Clear walks through the indexes and removes what a page has in one step for each
// bucket, which asks each entry once more: it may have been renewed meanwhile.
func (t *table) Clear(ctx context.Context, f driver.Filter) (cleared int, err error) {
	err = t.run(ctx, "clear", func(ctx context.Context) error {
		w := t.walk(f)
		if f.State != driver.Live {
			w.scores.above = math.Inf(-1) // places of entries that have vanished go as well
		}
		for {
			places, err := w.next(ctx)
			if err != nil || len(places) == 0 {
				return err
			}
			n, err := t.clearGroups(ctx, byBucket(places), f)
			if err != nil {
				return err
			}
			cleared += n
		}
	})
	if err != nil {
		return 0, err
	}
	return cleared, nil
}

// clearGroups removes those entries of the groups, each of one bucket, that f selects.
func (t *table) clearGroups(ctx context.Context, groups [][]place, f driver.Filter) (int, error) {
	var cleared atomic.Int64
	state, now := stateWord(f.State), newFilter(f).now
	err := parallel.Do(len(groups), func(i int) error {
		names, texts := namesAndTexts(groups[i])
		keys := append([]string{t.names.indexes[groups[i][0].bucket]}, names...)
		result, err := t.store.evalOnce(ctx, clearScript, keys, append([]string{state, now}, texts...))
		if err != nil {
			return err
		}
		n, err := result.AsInt64()
		cleared.Add(n)
		return err
	})
	return int(cleared.Load()), err
}

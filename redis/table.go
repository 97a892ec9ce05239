package redis

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

type table struct {
	store *Store
	spec  driver.TableSpec
	names names
}

var _ driver.Table = (*table)(nil)

// maxKeys is how many keys are sent at once.
const maxKeys = 1_000

func (t *table) Get(ctx context.Context, keys []driver.Key, sel driver.Selection, visit func(int, driver.Entry)) error {
	return t.run(ctx, "get from", func(ctx context.Context) error {
		keys, visit := sel.Narrow(keys, visit)
		for from := 0; from < len(keys); from += maxKeys {
			chunk := keys[from:min(from+maxKeys, len(keys))]
			places := t.names.places(len(chunk), func(i int) driver.Key { return chunk[i] })
			_, err := t.fetch(ctx, places, sel, func(p *place, _ []byte, e driver.Entry, ok bool) error {
				if ok {
					visit(from+p.i, e)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *table) Delete(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	err = t.run(ctx, "delete from", func(ctx context.Context) error {
		for from := 0; from < len(keys); from += maxKeys {
			chunk := keys[from:min(from+maxKeys, len(keys))]
			n, err := t.deleteChunk(ctx, chunk)
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return deleted, nil
}

func (t *table) deleteChunk(ctx context.Context, keys []driver.Key) (deleted int, err error) {
	groups := byBucket(t.names.places(len(keys), func(i int) driver.Key { return keys[i] }))
	all, indexes := make([]transaction, len(groups)), make([]string, len(groups))
	b := t.store.client.B()
	for i, group := range groups {
		index := t.names.indexes[group[0].bucket]
		indexes[i] = index
		names, texts := namesAndTexts(group)
		all[i] = func() rueidis.Commands {
			return rueidis.Commands{
				t.store.begin(once),
				b.Unlink().Key(names...).Build(),
				b.Zrem().Key(index).Member(texts...).Build(),
				resendable(b.Exec().Build()),
			}
		}
	}
	if err := t.store.awaken(ctx, indexes...); err != nil {
		return 0, err
	}
	answers, err := t.store.transact(ctx, once, all)
	t.store.awake(err)
	if answer, ok := rueidis.IsRedisErr(err); ok && beginsWith(answer, "OOM") {
		// A server without memory begins no transactions, but runs scripts that free some.
		var left [][]place
		for i, group := range groups {
			if answers[i] == nil {
				left = append(left, group)
			}
		}
		deleted, err = t.clearGroups(ctx, left, driver.Filter{})
	}
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if answer == nil {
			continue
		}
		n, err := answer[0].AsInt64()
		if err != nil {
			return 0, err
		}
		deleted += int(n)
	}
	return deleted, nil
}

func namesAndTexts(places []place) (names, texts []string) {
	names, texts = make([]string, len(places)), make([]string, len(places))
	for i, p := range places {
		names[i], texts[i] = p.name, p.text
	}
	return names, texts
}

func (t *table) Pop(ctx context.Context, key driver.Key, f driver.Filter) (e driver.Entry, ok bool, err error) {
	err = t.run(ctx, "pop from", func(ctx context.Context) error {
		if !key.HasPrefix(f.Leading) {
			return nil
		}
		p := t.names.places(1, func(int) driver.Key { return key })[0]
		index := t.names.indexes[p.bucket]
		result, err := t.store.evalOnce(ctx, popScript, []string{index, p.name}, []string{stateWord(f.State), newFilter(f).now, p.text})
		if rueidis.IsRedisNil(err) {
			return nil
		}
		if err != nil {
			return err
		}
		value, err := result.AsBytes()
		if err != nil {
			return err
		}
		var needed int
		if e, needed, err = read(value, driver.Payload|driver.Meta|driver.Usage); err != nil || needed > 0 {
			e = damaged()
		}
		e.Size = p.size(len(value))
		ok = true
		return nil
	})
	if err != nil {
		return driver.Entry{}, false, err
	}
	return e, ok, nil
}

// stateWord is what scripts call a state.
func stateWord(s driver.State) string {
	switch s {
	case driver.Live:
		return "live"
	case driver.Expired:
		return "expired"
	default:
		return "all"
	}
}

// Count asks the indexes: for how many places there are, or by leading values for the
// places. It asks the entries where a score cannot tell the microsecond of now, and for
// properties that no index has.
func (t *table) Count(ctx context.Context, f driver.Filter) (n int, err error) {
	r := t.store.scores(f)
	switch {
	case !r.exact || asksEntries(f.Where):
		return t.countEntries(ctx, f)
	case len(f.Leading) > 0 || f.Where.Prefix != "":
		return t.countPlaces(ctx, f)
	}
	err = t.run(ctx, "count", func(ctx context.Context) error {
		commands := make(rueidis.Commands, len(t.names.indexes))
		for i, index := range t.names.indexes {
			commands[i] = resendable(t.store.client.B().Zcount().Key(index).Min("(" + scoreText(r.above)).Max(scoreText(r.upTo)).Build())
		}
		for _, result := range t.store.client.DoMulti(ctx, commands...) {
			some, err := result.AsInt64()
			if err != nil {
				return err
			}
			n += int(some)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (t *table) countPlaces(ctx context.Context, f driver.Filter) (n int, err error) {
	err = t.run(ctx, "count", func(ctx context.Context) error {
		for w := t.walk(f); ; {
			places, err := w.next(ctx)
			if err != nil || len(places) == 0 {
				return err
			}
			n += len(places)
		}
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (t *table) countEntries(ctx context.Context, f driver.Filter) (n int, err error) {
	for _, err := range t.entries(ctx, "count", driver.Selection{Filter: f}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Scores are microseconds since 1970. As floating-point numbers they are exact up to
// the year 2255, and rounded beyond, but never so that their order changes.
const (
	maxExact   = 1 << 53
	neverScore = 1e18
)

func score(t time.Time) float64 {
	if t.IsZero() {
		return neverScore
	}
	return float64(t.UnixMicro())
}

func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', -1, 64) }

// scores are the scores of the entries that a filter selects.
type scores struct {
	above, upTo float64
	exact       bool // otherwise entries at the bounds have to be asked themselves
}

// scores leaves out the entries whose time to stay is over.
func (s *Store) scores(f driver.Filter) scores {
	gone := s.gone()
	now := f.Now.UnixMicro()
	r := scores{above: gone, upTo: math.Inf(1), exact: true}
	switch f.State {
	case driver.Live:
		r.above = max(gone, float64(now))
	case driver.Expired:
		r.upTo = float64(now)
	default:
		return r
	}
	r.exact = -maxExact < now && now < maxExact
	if !r.exact {
		r.above = math.Nextafter(r.above, math.Inf(-1)) // its own score is in question
	}
	return r
}

// gone is the highest score of entries that the server has removed by now.
func (s *Store) gone() float64 {
	return float64(time.Now().Add(-s.opts.KeepExpired).UnixMicro())
}

func (t *table) run(ctx context.Context, op string, do func(context.Context) error) error {
	return t.store.run(ctx, op, t.spec.Name, do)
}

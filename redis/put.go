package redis

import (
	"context"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

// maxPutBytes is how many bytes of entries are sent at once, or a larger one by itself.
const maxPutBytes = 4 << 20

// Put saves chunks of entries, those of each bucket in a transaction.
func (t *table) Put(ctx context.Context, entries []driver.Entry) error {
	return t.run(ctx, "save to", func(ctx context.Context) error {
		for i := range entries {
			if err := check(&entries[i]); err != nil {
				return err
			}
		}
		return eachChunk(len(entries), func(i int) int { return size(&entries[i]) }, func(from, to int) error {
			return t.putChunk(ctx, entries[from:to])
		})
	})
}

// eachChunk calls do for what is sent at once of n entries.
func eachChunk(n int, size func(i int) int, do func(from, to int) error) error {
	for from := 0; from < n; {
		to, bytes := from+1, size(from)
		for to < n && to-from < maxKeys && bytes+size(to) <= maxPutBytes {
			bytes += size(to)
			to++
		}
		if err := do(from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (t *table) putChunk(ctx context.Context, entries []driver.Entry) error {
	places := t.names.places(len(entries), func(i int) driver.Key { return entries[i].Key })
	values := make([]string, len(entries))
	bytes := 0
	for i := range entries {
		bytes += size(&entries[i])
	}
	var b strings.Builder
	b.Grow(bytes)
	ends := make([]int, len(entries))
	for i := range entries {
		write(&b, &entries[i])
		ends[i] = b.Len()
	}
	all, from := b.String(), 0
	for i, end := range ends {
		values[i], from = all[from:end], end
	}
	groups := byBucket(places)
	transactions := make([]transaction, len(groups))
	for i, group := range groups {
		transactions[i] = func() rueidis.Commands { return t.putCommands(group, entries, values) }
	}
	answers, err := t.store.transact(ctx, repeatable, transactions)
	if err != nil {
		return err
	}
	t.purge(ctx, groups, answers)
	return nil
}

// putCommands save the entries of one bucket. The last but one tells how many places
// in the index are of entries that have vanished.
func (t *table) putCommands(group []place, entries []driver.Entry, values []string) rueidis.Commands {
	b := t.store.client.B()
	index := t.names.indexes[group[0].bucket]
	commands := make(rueidis.Commands, 0, len(group)+4)
	commands = append(commands, t.store.begin(repeatable))
	now := time.Now()
	zadd := b.Zadd().Key(index).ScoreMember()
	for _, p := range group {
		e := &entries[p.i]
		set := b.Set().Key(p.name).Value(values[p.i])
		if ttl := t.timeToStay(e.ExpiresAt, now); ttl > 0 {
			commands = append(commands, set.PxMilliseconds(ttl).Build())
		} else {
			commands = append(commands, set.Build())
		}
		zadd = zadd.ScoreMember(score(e.ExpiresAt), p.text)
	}
	return append(commands,
		zadd.Build(),
		resendable(b.Zcount().Key(index).Min("-inf").Max(scoreText(t.store.gone())).Build()),
		resendable(b.Exec().Build()))
}

// maxTimeToStay is what all servers take: Dragonfly has 28 bits for the seconds.
const maxTimeToStay = 8 * 365 * 24 * time.Hour / time.Millisecond

// timeToStay returns how many milliseconds the server is to keep an entry with this
// expiry, at least 1, or 0 for no limit.
func (t *table) timeToStay(expiresAt, now time.Time) int64 {
	if expiresAt.IsZero() {
		return 0
	}
	// A Duration cannot tell the difference between the years 1 and 9999.
	left := expiresAt.UnixMilli() - now.UnixMilli()
	keep := t.store.opts.KeepExpired.Milliseconds()
	if left > int64(maxTimeToStay) || keep > int64(maxTimeToStay)-left {
		return 0
	}
	return max(1, left+keep)
}

const (
	purgeFrom = 100   // places that are worth a round trip
	maxPurge  = 1_000 // at once, as the server does nothing else meanwhile
)

// purge removes the places in the index of entries that have vanished, where there are
// many. Each is asked for once more: a clock or a KeepExpired of another store may be
// different. If it fails, a later save will do it.
func (t *table) purge(ctx context.Context, groups [][]place, answers [][]rueidis.RedisMessage) {
	client, upTo := t.store.client, scoreText(t.store.gone())
	var buckets []int
	var commands rueidis.Commands
	for i, answer := range answers {
		if n, err := answer[len(answer)-1].AsInt64(); err == nil && n >= purgeFrom {
			bucket := groups[i][0].bucket
			buckets = append(buckets, bucket)
			commands = append(commands, resendable(client.B().Zrangebyscore().Key(t.names.indexes[bucket]).Min("-inf").Max(upTo).Limit(0, maxPurge).Build()))
		}
	}
	if len(commands) == 0 {
		return
	}
	var gone []place
	for i, result := range client.DoMulti(ctx, commands...) {
		texts, err := result.AsStrSlice()
		if err != nil {
			return
		}
		for _, text := range texts {
			gone = append(gone, place{bucket: buckets[i], name: t.names.indexes[buckets[i]] + ":" + text, text: text})
		}
	}
	t.mend(ctx, gone)
}

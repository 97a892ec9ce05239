package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/parallel"
)

// putIfScript saves those of the strings KEYS[2], KEYS[3], … for which the condition
// ARGV[1] holds at ARGV[2]. Each comes with four of the ARGV behind: the string, how many
// milliseconds it stays, or 0, its score, and its place in the index KEYS[1]. What has no time
// where entries have one is as good as gone. It returns a
// digit for each, 1 where it was saved, and how many places have a score up to ARGV[3].
var putIfScript = newScript(readRange + `
local function isTime(text)
  local month, day, hour, minute, second = text:match('^%d%d%d%d%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.%d%d%d%d%d%dZ$')
  return month and month >= '01' and month <= '12' and day >= '01' and day <= '31' and hour <= '23' and minute <= '59' and second <= '59'
end
local saved = {}
for i = 2, #KEYS do
  local a = 4 * i - 4
  local value, ttl, score, text = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local old = range(KEYS[i], 0, 54)
  local holds = old == ''
  if not holds and ARGV[1] == 'not live' then
    local expires = old:sub(1, 27)
    holds = expires <= ARGV[2] or not isTime(expires) and expires ~= '` + never + `'
  end
  if not holds and ARGV[1] == 'newer' then
    holds = old:sub(29, 55) <= value:sub(29, 55) or not isTime(old:sub(29, 55))
  end
  if ARGV[1] == 'unchanged' then holds = old:sub(29, 55) == value:sub(29, 55) end
  if holds then
    if ttl == '0' then redis.call('SET', KEYS[i], value) else redis.call('SET', KEYS[i], value, 'PX', ttl) end
    redis.call('ZADD', KEYS[1], score, text)
  end
  saved[i - 1] = holds and '1' or '0'
end
return {table.concat(saved), redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3])}`)

// renewScript changes those of the strings KEYS[2], KEYS[3], … which were saved at the
// instant that is the first of their seven ARGV. The others are the three times of the new
// one, its headers and their checksum, how many milliseconds it stays, or 0, and its score
// and place in the index KEYS[1]. It returns a digit for each, 1 where it was changed.
// Where all lengths stay the same, what comes behind the headers stays where it is.
var renewScript = newScript(readRange + `
local renewed = {}
for i = 2, #KEYS do
  local a = 7 * i - 13
  local header, ttl = ARGV[a + 2], ARGV[a + 4]
  local head = range(KEYS[i], 0, 199)
  local found = head ~= '' and head:sub(29, 55) == ARGV[a]
  if found then
    local line = head:match('^[^\n]*\n')
    local status, n, h, sum, encoding = line:match('^ (%-?%d+) (%d+) (%d+) (%x+) %x+([^\n]*)', 84)
    if not status then
      sum, encoding = '00000000', ''
      status, n, h = line:match('^ (%-?%d+) (%d+) (%d+)', 56)
    end
    local new = ARGV[a + 1] .. ' ' .. status .. ' ' .. n .. ' ' .. #header .. ' ' .. sum .. ' ' .. ARGV[a + 3] .. encoding .. '\n'
    local at = #line + n + 1
    if #new == #line and tonumber(h) == #header then
      redis.call('SETRANGE', KEYS[i], 0, new)
      redis.call('SETRANGE', KEYS[i], at, header)
    else
      local name, rest = redis.call('GETRANGE', KEYS[i], #line, at - 1), redis.call('GETRANGE', KEYS[i], at + h, -1)
      redis.call('SET', KEYS[i], new .. name .. header .. rest)
    end
    if ttl == '0' then redis.call('PERSIST', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ttl) end
    redis.call('ZADD', KEYS[1], ARGV[a + 5], ARGV[a + 6])
  end
  renewed[i - 1] = found and '1' or '0'
end
return {table.concat(renewed)}`)

// useScript writes the instant ARGV[1] into those of the strings KEYS[2], KEYS[3], … which
// were used before. One in layout 1, which has no place for it, is brought to layout 2.
var useScript = newScript(readRange + `
for i = 2, #KEYS do
  local times = range(KEYS[i], 0, 82)
  if times:sub(61, 61) == '-' then
    if times:sub(57) < ARGV[1] then redis.call('SETRANGE', KEYS[i], 56, ARGV[1]) end
  elseif times ~= '' and times:sub(29, 55) < ARGV[1] then
    local rest = redis.call('GETRANGE', KEYS[i], 55, -1)
    local numbers, at = rest:match('^( %-?%d+ %d+ %d+)()\n')
    if numbers then
      redis.call('SET', KEYS[i], times:sub(1, 56) .. ARGV[1] .. numbers .. ' 00000000 00000000' .. rest:sub(at), 'KEEPTTL')
    end
  end
end
return redis.status_reply('OK')`)

// conditionWords are what putIfScript calls the preconditions.
var conditionWords = map[driver.Precondition]string{
	driver.IfAbsent: "absent", driver.IfNotLive: "not live", driver.IfNewer: "newer", driver.IfUnchanged: "unchanged",
}

// PutIf saves chunks of entries, those of each bucket by a script.
func (t *table) PutIf(ctx context.Context, entries []driver.Entry, c driver.Condition) (stored []bool, err error) {
	err = t.run(ctx, "save to", func(ctx context.Context) error {
		if err := c.Validate(); err != nil {
			return err
		}
		for i := range entries {
			if err := check(&entries[i]); err != nil {
				return err
			}
		}
		stored = make([]bool, len(entries))
		return eachChunk(len(entries), func(i int) int { return size(&entries[i]) }, func(from, to int) error {
			return t.putChunkIf(ctx, entries[from:to], c, stored[from:to])
		})
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

func (t *table) putChunkIf(ctx context.Context, entries []driver.Entry, c driver.Condition, stored []bool) error {
	groups := byBucket(t.names.places(len(entries), func(i int) driver.Key { return entries[i].Key }))
	var instant string
	if c.If == driver.IfNotLive {
		instant = string(appendTime(nil, c.Now))
	}
	now, gone := time.Now(), scoreText(t.store.gone())
	answers, err := t.runScript(ctx, putIfScript, groups, []string{conditionWords[c.If], instant, gone}, func(args []string, i int) []string {
		e := &entries[i]
		var b strings.Builder
		b.Grow(size(e))
		write(&b, e)
		return append(args, b.String(), strconv.FormatInt(t.timeToStay(e.ExpiresAt, now), 10), scoreText(score(e.ExpiresAt)))
	}, stored)
	if err != nil {
		return err
	}
	t.purge(ctx, groups, answers)
	return nil
}

// Renew changes chunks of entries, those of each bucket by a script. Payloads do not
// leave the server.
func (t *table) Renew(ctx context.Context, renewals []driver.Renewal) (renewed []bool, err error) {
	err = t.run(ctx, "renew in", func(ctx context.Context) error {
		for i := range renewals {
			r := &renewals[i]
			if err := check(&driver.Entry{Header: r.Header, CachedAt: r.CachedAt, ExpiresAt: r.ExpiresAt}); err != nil {
				return err
			}
		}
		renewed = make([]bool, len(renewals))
		return eachChunk(len(renewals), func(i int) int { return len(renewals[i].Header) + maxHead }, func(from, to int) error {
			return t.renewChunk(ctx, renewals[from:to], renewed[from:to])
		})
	})
	if err != nil {
		return nil, err
	}
	return renewed, nil
}

func (t *table) renewChunk(ctx context.Context, renewals []driver.Renewal, renewed []bool) error {
	groups := byBucket(t.names.places(len(renewals), func(i int) driver.Key { return renewals[i].Key }))
	now := time.Now()
	_, err := t.runScript(ctx, renewScript, groups, nil, func(args []string, i int) []string {
		r := &renewals[i]
		var seen, times, sum [maxHead]byte
		return append(args,
			string(appendTime(seen[:0], r.Seen)), string(appendTimes(times[:0], r.ExpiresAt, r.CachedAt)),
			r.Header, string(appendSum(sum[:0], r.MetaSum)),
			strconv.FormatInt(t.timeToStay(r.ExpiresAt, now), 10), scoreText(score(r.ExpiresAt)))
	}, renewed)
	return err
}

// Use writes the instant into the strings of chunks of entries, by a script for each bucket.
func (t *table) Use(ctx context.Context, keys []driver.Key, at time.Time) error {
	return t.run(ctx, "use", func(ctx context.Context) error {
		if err := check(&driver.Entry{CachedAt: at}); err != nil {
			return err
		}
		args := []string{string(appendTime(nil, at))}
		for chunk := range slices.Chunk(keys, maxKeys) {
			groups := byBucket(t.names.places(len(chunk), func(i int) driver.Key { return chunk[i] }))
			err := parallel.Do(len(groups), func(i int) error {
				names, _ := namesAndTexts(groups[i])
				return t.store.eval(ctx, useScript, append([]string{t.names.indexes[groups[i][0].bucket]}, names...), args).Error()
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runScript runs a script for each group, whose arguments are args, and then for each
// place what more appends for the number in it, and its text. It sets the outcomes, by
// these numbers, from the digits that the script returns first.
func (t *table) runScript(ctx context.Context, s script, groups [][]place, args []string, more func(args []string, i int) []string, outcomes []bool) ([][]rueidis.RedisMessage, error) {
	calls := make([]call, len(groups))
	for i, group := range groups {
		c := &calls[i]
		c.keys = append(c.keys, t.names.indexes[group[0].bucket])
		c.args = append(c.args, args...)
		for _, p := range group {
			c.keys = append(c.keys, p.name)
			c.args = append(more(c.args, p.i), p.text)
		}
	}
	answers, err := t.store.evalAllOnce(ctx, s, calls)
	if err != nil {
		return nil, err
	}
	for i, group := range groups {
		var digits string
		if len(answers[i]) > 0 {
			digits, err = answers[i][0].ToString()
		}
		if err != nil {
			return nil, err
		}
		if len(digits) != len(group) {
			return nil, fmt.Errorf("a script has answered %q for %d entries", digits, len(group))
		}
		for j, p := range group {
			outcomes[p.i] = digits[j] == '1'
		}
	}
	return answers, nil
}

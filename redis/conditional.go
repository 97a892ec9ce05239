package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

// putIfScript saves those of the strings KEYS[2], KEYS[3], … for which the condition
// ARGV[1] holds at ARGV[2]. Each comes with four of the ARGV behind: the string, how many
// milliseconds it stays, or 0, its score, and its place in the index KEYS[1]. It returns a
// digit for each, 1 where it was saved, and how many places have a score up to ARGV[3].
var putIfScript = newScript(`
local saved = {}
for i = 2, #KEYS do
  local a = 4 * i - 4
  local value, ttl, score, text = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3]
  local old = redis.call('GETRANGE', KEYS[i], 0, 54)
  local holds = old == ''
  if not holds and ARGV[1] == 'not live' then holds = old:sub(1, 27) <= ARGV[2] end
  if not holds and ARGV[1] == 'newer' then holds = old:sub(29, 55) <= value:sub(29, 55) end
  if holds then
    if ttl == '0' then redis.call('SET', KEYS[i], value) else redis.call('SET', KEYS[i], value, 'PX', ttl) end
    redis.call('ZADD', KEYS[1], score, text)
  end
  saved[i - 1] = holds and '1' or '0'
end
return {table.concat(saved), redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3])}`)

// renewScript changes those of the strings KEYS[2], KEYS[3], … which were saved at the
// instant that is the first of their six ARGV. The others are the two times of the new
// one, its headers, how many milliseconds it stays, or 0, and its score and place in the
// index KEYS[1]. It returns a digit for each, 1 where it was changed. Where all lengths
// stay the same, what comes behind the headers stays where it is.
var renewScript = newScript(`
local renewed = {}
for i = 2, #KEYS do
  local a = 6 * i - 11
  local header, ttl = ARGV[a + 2], ARGV[a + 3]
  local head = redis.call('GETRANGE', KEYS[i], 0, 119)
  local found = head ~= '' and head:sub(29, 55) == ARGV[a]
  if found then
    local status, n, h = head:match('^ (%-?%d+) (%d+) (%d+)\n', 56)
    local line = head:match('^[^\n]*\n')
    local new = ARGV[a + 1] .. ' ' .. status .. ' ' .. n .. ' ' .. #header .. '\n'
    local at = #line + n + 1
    if #new == #line and tonumber(h) == #header then
      redis.call('SETRANGE', KEYS[i], 0, new)
      redis.call('SETRANGE', KEYS[i], at, header)
    else
      local name, rest = redis.call('GETRANGE', KEYS[i], #line, at - 1), redis.call('GETRANGE', KEYS[i], at + h, -1)
      redis.call('SET', KEYS[i], new .. name .. header .. rest)
    end
    if ttl == '0' then redis.call('PERSIST', KEYS[i]) else redis.call('PEXPIRE', KEYS[i], ttl) end
    redis.call('ZADD', KEYS[1], ARGV[a + 4], ARGV[a + 5])
  end
  renewed[i - 1] = found and '1' or '0'
end
return {table.concat(renewed)}`)

// conditionWords are what putIfScript calls the preconditions.
var conditionWords = map[driver.Precondition]string{driver.IfAbsent: "absent", driver.IfNotLive: "not live", driver.IfNewer: "newer"}

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
		return append(args,
			string(appendTime(nil, r.Seen)), string(appendTimes(nil, r.ExpiresAt, r.CachedAt)), r.Header,
			strconv.FormatInt(t.timeToStay(r.ExpiresAt, now), 10), scoreText(score(r.ExpiresAt)))
	}, renewed)
	return err
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

package redis

import (
	"cmp"
	"context"
	"crypto/sha1" // #nosec G505 -- how the server names scripts
	"encoding/hex"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/internal/parallel"
)

// Scripts name all keys that they touch, as Dragonfly demands it. They take times as
// text, because a number of Lua 5.1 cannot hold all microseconds.

// readRange is the beginning of scripts that read strings. What is of another type than a string is no entry, as to GET
// and MGET of the store: it is as good as gone.
const readRange = `
local function range(key, from, to)
  local read = redis.pcall('GETRANGE', key, from, to)
  if type(read) ~= 'table' then return read end
  if read.err:find('WRONGTYPE') then return '' end
  error(read.err)
end`

// popScript returns and removes the string KEYS[2], whose place in the index KEYS[1] is
// ARGV[3], if it is in the state ARGV[1] at ARGV[2].
var popScript = newScript(readRange + `
local expires = range(KEYS[2], 0, 26)
if expires == '' then return false end
if ARGV[1] ~= 'all' and (expires > ARGV[2]) ~= (ARGV[1] == 'live') then return false end
local value = redis.call('GET', KEYS[2])
redis.call('UNLINK', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[3])
return value`)

// clearScript removes those of the strings KEYS[2], KEYS[3], … which are in the state
// ARGV[1] at ARGV[2] and have the properties ARGV[3] to ARGV[9], as whereArgs gives them,
// and returns how many. The places in the index KEYS[1] of these and of strings that are
// gone are ARGV[10], ARGV[11], … What is no entry has no properties.
var clearScript = newScript(readRange + `
local function has(key, head)
  local from, before, usedBefore, name, prefix = ARGV[3], ARGV[4], ARGV[5], ARGV[8], ARGV[9]
  local used, numbers = head:sub(57, 83), 84
  if head:sub(61, 61) ~= '-' then used, numbers = head:sub(29, 55), 56 end
  local status, n, at = head:match('^ (%-?%d+) (%d+) [^\n]*\n()', numbers)
  if not status then return false end
  local cached = head:sub(29, 55)
  if cached < from or before ~= '' and cached >= before or usedBefore ~= '' and used >= usedBefore then return false end
  status, n = tonumber(status), tonumber(n)
  if status < tonumber(ARGV[6]) or ARGV[7] ~= '0' and status > tonumber(ARGV[7]) then return false end
  local function begins(text)
    return text == '' or n >= #text and range(key, at - 1, at - 2 + #text) == text
  end
  return (name == '' or n == #name) and begins(name) and begins(prefix)
end
local function selects(key)
  if ARGV[1] == 'all' and ARGV[3] == 'any' then return true end
  local head = range(key, 0, 199)
  if head == '' then return true end
  if ARGV[1] ~= 'all' and (head:sub(1, 27) > ARGV[2]) ~= (ARGV[1] == 'live') then return false end
  return ARGV[3] == 'any' or has(key, head)
end
local removed = 0
for i = 2, #KEYS do
  if selects(KEYS[i]) then
    removed = removed + redis.call('UNLINK', KEYS[i])
    redis.call('ZREM', KEYS[1], ARGV[i + 8])
  end
end
return removed`)

// mendScript removes from the index KEYS[1] the places ARGV[1], ARGV[2], … of those of the
// strings KEYS[2], KEYS[3], … that are gone.
var mendScript = newScript(`
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then redis.call('ZREM', KEYS[1], ARGV[i - 1]) end
end
return redis.status_reply('OK')`)

// pageScript returns ARGV[2] places of the index KEYS[1] and their scores, from the
// highest score and the last name downwards: those up to the score ARGV[1], or those
// below it and the name ARGV[3]. Where a place of just that name and score is not there
// any more, it is searched for by halves.
//
// Strings are compared by their bytes here: Lua does it by the server's locale.
var pageScript = newScript(`
local function precedes(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
local index, below = KEYS[1], nil
if not ARGV[3] then
  below = redis.call('ZCOUNT', index, '-inf', ARGV[1])
else
  local score, name = tonumber(ARGV[1]), ARGV[3]
  local found = redis.call('ZSCORE', index, name)
  if found and tonumber(found) == score then
    below = redis.call('ZRANK', index, name)
  else
    local low, high = 0, redis.call('ZCARD', index)
    while low < high do
      local middle = math.floor((low + high) / 2)
      local at = redis.call('ZRANGE', index, middle, middle, 'WITHSCORES')
      local s = tonumber(at[2])
      if s < score or s == score and precedes(at[1], name) then low = middle + 1 else high = middle end
    end
    below = low
  end
end
if below == 0 then return {} end
local first = redis.call('ZCARD', index) - below
return redis.call('ZREVRANGE', index, first, first + tonumber(ARGV[2]) - 1, 'WITHSCORES')`)

// script is a script that servers keep by its digest.
type script struct {
	text, sha1 string
	once       *rueidis.Lua // not sent again where its answer was lost
}

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) // #nosec G401 -- how the server names scripts
	return script{text, hex.EncodeToString(sum[:]), rueidis.NewLuaScript(text)}
}

// eval runs a script that may be run again where its answer was lost: the client does
// so. KEYS[1] is the index.
func (s *Store) eval(ctx context.Context, script script, keys, args []string) rueidis.RedisResult {
	b, n := s.client.B(), int64(len(keys))
	result := s.client.Do(ctx, resendable(b.Evalsha().Sha1(script.sha1).Numkeys(n).Key(keys...).Arg(args...).Build().ToRetryable()))
	if refusal, ok := rueidis.IsRedisErr(result.Error()); ok && refusal.IsNoScript() {
		return s.client.Do(ctx, resendable(b.Eval().Script(script.text).Numkeys(n).Key(keys...).Arg(args...).Build().ToRetryable()))
	}
	return result
}

// evalOnce runs a script that must not be run twice. On a single server it goes to the
// first connection, as a command without a slot leads there.
func (s *Store) evalOnce(ctx context.Context, script script, keys, args []string) (result rueidis.RedisResult, err error) {
	if err := s.awaken(ctx, keys[0]); err != nil {
		return result, err
	}
	err = persist(ctx, once, func() error {
		if s.cluster {
			result = script.once.Exec(ctx, s.client, keys, args)
			return result.Error()
		}
		b := s.client.B()
		result = s.client.DoMulti(ctx, resendable(b.Ping().Build()),
			b.Eval().Script(script.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build())[1]
		return result.Error()
	})
	s.awake(err)
	return result, err
}

// call is what a script is run for. The first of its keys is the index.
type call struct{ keys, args []string }

// evalAllOnce runs a script several times, none of which must be done twice, and returns
// the answers, which are lists. On one server all are sent at once, on a cluster each to
// its own, at the same time.
func (s *Store) evalAllOnce(ctx context.Context, script script, calls []call) ([][]rueidis.RedisMessage, error) {
	indexes := make([]string, len(calls))
	for i, c := range calls {
		indexes[i] = c.keys[0]
	}
	if err := s.awaken(ctx, indexes...); err != nil {
		return nil, err
	}
	answers := make([][]rueidis.RedisMessage, len(calls))
	var err error
	if s.cluster {
		err = parallel.Do(len(calls), func(i int) error {
			return persist(ctx, once, func() (err error) {
				answers[i], err = script.once.Exec(ctx, s.client, calls[i].keys, calls[i].args).ToArray()
				return err
			})
		})
	} else {
		err = persist(ctx, once, func() error { return s.sendCalls(ctx, script, calls, answers) })
	}
	s.awake(err)
	return answers, err
}

// sendCalls runs the script for those calls that have no answer yet.
func (s *Store) sendCalls(ctx context.Context, script script, calls []call, answers [][]rueidis.RedisMessage) (err error) {
	b := s.client.B()
	commands := rueidis.Commands{resendable(b.Ping().Build())} // as in evalOnce
	var sent []int
	for i, c := range calls {
		if answers[i] == nil {
			commands = append(commands, b.Eval().Script(script.text).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build())
			sent = append(sent, i)
		}
	}
	for j, result := range s.client.DoMulti(ctx, commands...)[1:] {
		var failed error
		answers[sent[j]], failed = result.ToArray()
		err = cmp.Or(err, failed)
	}
	return err
}

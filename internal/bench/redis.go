package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/redis"
)

// redisBackend is the server of REDIS_TEST_URL. Its hand-written side has a client of
// rueidis, and writes a string and its place in the index in a transaction, as the
// library does: without it, two writers could leave one without the other.
var redisBackend = &backend{
	name: "redis",
	open: func(ctx context.Context, _ *dataset, part string) (driver.Store, error) {
		url, err := redisURL()
		if err != nil {
			return nil, err
		}
		return redis.Open(ctx, url, &redis.Options{Prefix: part})
	},
	byHand: func(_ context.Context, _ *dataset, part string) (rival, error) {
		url, err := redisURL()
		if err != nil {
			return nil, err
		}
		option, err := rueidis.ParseURL(url)
		if err != nil {
			return nil, err
		}
		option.DisableCache = true
		client, err := rueidis.NewClient(option)
		if err != nil {
			return nil, err
		}
		return &byRueidis{client, part + ":{tracks:0}"}, nil
	},
}

func redisURL() (string, error) {
	url := os.Getenv("REDIS_TEST_URL")
	if url == "" {
		return "", errSkipped{errors.New("REDIS_TEST_URL is not set, as make bench does")}
	}
	return url, nil
}

// byRueidis is the hand-written side.
type byRueidis struct {
	client rueidis.Client
	index  string
}

// member is a key's place in the index, and the end of its string's name.
func (h *byRueidis) member(k *Key) string {
	b := make([]byte, 0, 40)
	b = append(append(append(b, k.ID...), ':'), k.Market...)
	b = strconv.AppendInt(append(b, ':'), int64(k.Disc), 10)
	return string(strconv.AppendInt(append(b, ':'), int64(k.Number), 10))
}

func (h *byRueidis) name(k *Key) string { return h.index + ":" + h.member(k) }

const redisTime = "2006-01-02T15:04:05.000000Z"

var errNotThere = errors.New("the row is not there")

// payloadOf takes a live entry's payload out of its string: behind its first line, the
// name and the headers.
func payloadOf(value []byte, now string) ([]byte, error) {
	if string(value[:len(now)]) <= now {
		return nil, errNotThere
	}
	for range 3 {
		_, value, _ = bytes.Cut(value, []byte{'\n'})
	}
	return value, nil
}

func (h *byRueidis) get(ctx context.Context, k Key) ([]byte, error) {
	value, err := h.client.Do(ctx, h.client.B().Get().Key(h.name(&k)).Build()).AsBytes()
	if err != nil {
		return nil, err
	}
	return payloadOf(value, time.Now().UTC().Format(redisTime))
}

func (h *byRueidis) getMany(ctx context.Context, keys []Key) ([][]byte, error) {
	names := make([]string, len(keys))
	for i := range keys {
		names[i] = h.name(&keys[i])
	}
	messages, err := h.client.Do(ctx, h.client.B().Mget().Key(names...).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Format(redisTime)
	payloads := make([][]byte, len(keys))
	for i := range messages {
		value, err := messages[i].AsBytes()
		if err != nil {
			return nil, err
		}
		if payloads[i], err = payloadOf(value, now); err != nil {
			return nil, err
		}
	}
	return payloads, nil
}

func (h *byRueidis) saveMany(ctx context.Context, rows []row) error {
	now := time.Now().UTC()
	expires := expiry(now)
	keep := expires.Add(24*time.Hour).UnixMilli() - now.UnixMilli()
	score := float64(expires.UnixMicro())
	head := fmt.Sprintf("%s %s %d 0 ", expires.Format(redisTime), now.Format(redisTime), http.StatusOK)

	b := h.client.B()
	commands := make(rueidis.Commands, 0, len(rows)+3)
	commands = append(commands, b.Multi().Build())
	zadd := b.Zadd().Key(h.index).ScoreMember()
	for i := range rows {
		r := &rows[i]
		value := make([]byte, 0, len(head)+len(r.headers)+len(r.payload)+16)
		value = strconv.AppendInt(append(value, head...), int64(len(r.headers)), 10)
		value = append(append(append(value, "\n\n"...), r.headers...), '\n')
		value = append(value, r.payload...)
		member := h.member(&r.key)
		commands = append(commands, b.Set().Key(h.index+":"+member).Value(rueidis.BinaryString(value)).PxMilliseconds(keep).Build())
		zadd = zadd.ScoreMember(score, member)
	}
	commands = append(commands, zadd.Build(), b.Exec().Build())
	for _, result := range h.client.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

func (h *byRueidis) deleteMany(ctx context.Context, keys []Key) (int, error) {
	names, members := make([]string, len(keys)), make([]string, len(keys))
	for i := range keys {
		members[i] = h.member(&keys[i])
		names[i] = h.index + ":" + members[i]
	}
	b := h.client.B()
	results := h.client.DoMulti(ctx,
		b.Multi().Build(),
		b.Unlink().Key(names...).Build(),
		b.Zrem().Key(h.index).Member(members...).Build(),
		b.Exec().Build())
	answers, err := results[len(results)-1].ToArray()
	if err != nil {
		return 0, err
	}
	n, err := answers[0].AsInt64()
	return int(n), err
}

func (h *byRueidis) close() error {
	h.client.Close()
	return nil
}

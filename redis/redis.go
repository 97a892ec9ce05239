// Package redis keeps responses in Redis, Valkey or Dragonfly: one server, a set
// that Sentinel watches, or a Cluster. Programs on many machines can share it, and
// entries vanish by themselves when they have been expired for long enough.
//
// Bulk operations send their keys in pipelines, a chunk at a time, so that a thousand
// keys take one round trip to each server.
//
// # Layout
//
// All keys begin with [Options.Prefix] and a colon. A repository is a table, and a
// table is split into buckets, by the CRC-32 (IEEE) of an entry's key modulo their
// number. What is in one bucket is in one slot of a Cluster, as the name in braces
// tells it:
//
//	endpointcache:{tracks}                 what is known of the table, as JSON
//	endpointcache:{tracks:0}               the index of bucket 0, a sorted set
//	endpointcache:{tracks:0}:6fW:DE:1:true an entry, a string
//
// An entry's name ends with the values of its key, joined by colons. In them, as in
// the name of a table, a byte that would be misread stands as % and two hexadecimal
// digits: a colon, a percent sign, a control character, and in the name of a table a
// brace.
//
// The string begins with a line: when the entry expires ("never" if it does not), when it
// was saved and when it was used last, the status, the lengths of the name and of the
// headers, the checksums of payload and meta data in hexadecimal digits, 0 for none, and
// the encoding of the payload, if it has one. Name and headers have a line each, and the
// payload is the rest:
//
//	2026-11-21T17:45:26.123456Z 2026-11-21T16:45:26.123456Z 2026-11-21T16:50:00.000000Z 200 5 37 2f0c1a77 9b3e5d10
//	Track
//	{"Content-Type":["application/json"]}
//	{"id": 1, "title": "Track"}
//
// A use is written over the one before, where it stands. In layout 1, of earlier versions,
// there are only two times and three numbers. Such strings are read as they are, and are
// brought to this layout as they are used, renewed or saved again. A program of an earlier
// version cannot open the table any more, and gets errors if it has it open.
//
// The index has an entry's key with the microsecond of its expiry as the score, or
// 1e18 if it never expires. A string and its place in the index are written and
// deleted in one transaction or script.
//
// # Entries that vanish
//
// The server removes an entry's string [Options.KeepExpired] after the entry has
// expired. Its place in the index is not counted any more from then on, and a later
// save to the table removes it. A string that the server evicts for want of memory is a miss
// at once; it is counted until an iteration, a clear, a delete or a save comes upon it.
package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// Store is what stands under one prefix of a server or cluster. It implements
// [driver.Store].
type Store struct {
	client  rueidis.Client
	own     bool // Close closes the client
	opts    Options
	cluster bool

	encrypted bool // the connections of the store's own client are

	gate gate.Gate
	used atomic.Int64 // when something was last sent once and answered, in nanoseconds
}

var _ driver.Store = (*Store)(nil)

// Open connects to the server or cluster at url with a client of its own, which Close
// closes. The url is what [rueidis.ParseURL] takes:
//
//	redis://user:password@host:port/0                      one server, or a node of a cluster
//	redis://host1:port?addr=host2:port&addr=host3:port     nodes of a cluster
//	redis://host1:port?addr=host2:port&master_set=mymaster Sentinels, and what they watch
//	unix:///path/to/redis.sock?db=1                        a socket
//
// With rediss (or valkeys) instead of redis (or valkey), connections are encrypted.
// Other parameters are dial_timeout, write_timeout, skip_verify, client_name,
// max_retries=0 for none, and protocol=2 for servers that do not speak RESP3.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := opts.validate()
	if err != nil {
		return nil, openError(err)
	}
	option, err := parseURL(url)
	if err != nil {
		return nil, openError(err)
	}
	client, err := connect(ctx, option)
	if err != nil {
		return nil, openError(explain(ctx, err))
	}
	s, err := newStore(ctx, client, true, o)
	if err != nil {
		return nil, err
	}
	s.encrypted = option.TLSConfig != nil
	return s, nil
}

// New returns a store on the caller's own client, which Close leaves open. Its
// settings stay as they are: with rueidis's own RetryDelay, a read or an iteration goes
// on trying while the server is away, until its context ends. Saves give up after about
// a second, as with Open.
func New(ctx context.Context, client rueidis.Client, opts *Options) (*Store, error) {
	o, err := opts.validate()
	if err == nil && client == nil {
		err = errors.New("the client is nil")
	}
	if err != nil {
		return nil, openError(err)
	}
	return newStore(ctx, client, false, o)
}

func newStore(ctx context.Context, client rueidis.Client, own bool, o Options) (*Store, error) {
	s := &Store{client: client, own: own, opts: o, cluster: client.Mode() == rueidis.ClientModeCluster}
	err := s.ping(ctx)
	if err == nil && o.ReadOnly {
		err = s.find(undated(ctx))
	}
	if err != nil {
		s.closeClient()
		return nil, openError(explain(ctx, err))
	}
	return s, nil
}

func openError(err error) error {
	return &driver.OpError{Store: kind, Op: "open", Err: err}
}

// ping proves that the server can be reached and lets us in.
func (s *Store) ping(ctx context.Context) error {
	if err := gate.Usable(ctx); err != nil {
		return err
	}
	return s.client.Do(undated(ctx), resendable(s.client.B().Ping().Build().ToRetryable())).Error()
}

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, Vanishes: true, ReadOnly: s.opts.ReadOnly}
}

const kind = "redis"

// Close waits for running operations and closes the client that the store has opened.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.closeClient()
		return nil
	})
}

func (s *Store) closeClient() {
	if s.own {
		s.client.Close()
	}
}

// run does one operation: not after Close, not with a context that is done, and with
// errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func(context.Context) error) error {
	err := s.gate.Do(ctx, func() error { return do(undated(ctx)) })
	if err != nil {
		return &driver.OpError{Store: kind, Op: op, Table: table, Err: explain(ctx, err)}
	}
	return nil
}

// undatedContext is done when its parent is, but has no deadline. For one that has,
// rueidis waits for the answer alone, so that it would not notice a cancellation, and
// closes the connection when the time is over.
type undatedContext struct{ context.Context }

func (undatedContext) Deadline() (time.Time, bool) { return time.Time{}, false }

func undated(ctx context.Context) context.Context {
	if _, ok := ctx.Deadline(); ok {
		return undatedContext{ctx}
	}
	return ctx
}

// maxIdle is how long a connection is taken for alive.
const maxIdle = 50 * time.Millisecond

// awaken makes sure of the connections of some indexes where they were idle, before
// something is sent that must not be sent twice. What it sends is sent again where a
// connection turns out to be lost. On a single server it is the first connection, which
// all such things are sent on: others may be lost without anybody's noticing it.
func (s *Store) awaken(ctx context.Context, indexes ...string) error {
	if time.Since(time.Unix(0, s.used.Load())) < maxIdle {
		return nil
	}
	if !s.cluster {
		return s.ping(ctx)
	}
	commands := make(rueidis.Commands, len(indexes))
	for i, index := range indexes {
		commands[i] = resendable(s.client.B().Exists().Key(index).Build())
	}
	for _, result := range s.client.DoMulti(ctx, commands...) {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

// awake notes that something was sent once and answered.
func (s *Store) awake(err error) {
	if err == nil {
		s.used.Store(time.Now().UnixNano())
	}
}

// explain adds to err what a caller can act on.
func explain(ctx context.Context, err error) error {
	if done := gate.Usable(ctx); done != nil && !errors.Is(err, done) {
		return fmt.Errorf("%w: %w", done, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the server has closed the connection: %w", err)
	}
	var answer *rueidis.RedisError
	if !errors.As(err, &answer) {
		return err
	}
	for _, e := range explanations {
		if beginsWith(answer, e.begins) {
			return fmt.Errorf("%s: %w", e.text, err)
		}
	}
	return err
}

var explanations = []struct{ begins, text string }{
	{"OOM", "the server's memory is full (maxmemory)"},
	{"READONLY", "the server is a replica, which takes no writes"},
	{"MISCONF", "the server cannot write to its disk"},
	{"NOAUTH", "the server wants a password"},
	{"WRONGPASS", "the server does not know this user and password"},
	{"NOPERM", "the user lacks a permission"},
	{"LOADING", "the server is starting"},
	{"CLUSTERDOWN", "a part of the cluster is down"},
	{"WRONGTYPE", "a key of the cache holds what the cache has not written"},
}

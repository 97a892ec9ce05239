// Package dynamodb keeps responses in Amazon DynamoDB, or in what speaks its
// protocol, with local indexes and PartiQL: one table for all repositories, or a table
// for each.
//
// Reads after writes see what was committed: all reads are strongly consistent
// unless [Options.EventualReads] says otherwise. Operations on many keys take 100
// keys (reads) or 25 entries (writes) in a request, and several requests at once.
// What DynamoDB leaves undone, or refuses because it is too much at a time, is tried
// again with growing pauses, and is an error in the end; nothing is lost silently.
//
// # Layout
//
// An entry is an item. Its partition key p is the repository's name, a slash and one
// hexadecimal digit; its sort key k is a text of the key, in which each value follows
// a bar; the digit is the first one of the SHA-256 digest of that text:
//
//	p = "tracks/5"   k = "|4uLU6hMC|DE|0|true"
//
// A byte of a string that is a bar or a backslash, a control character or no UTF-8
// stands as \x and two digits. A text of more than 1,024 bytes stands as |\sha256: and
// its digest. The values of the key as they are stand in the map key_fields.
//
// Beside them stand status, name, headers (JSON, absent for none), cached_at,
// expires_at (both as 2006-01-02T15:04:05.000000Z; "never" for an entry that does not
// expire), v (the payload) and ttl, from which DynamoDB removes the item by itself; _size,
// the bytes of all these, about; and where there is something to tell, _encoding (in which
// the payload was given), _payload_sum and _meta_sum (checksums) and _used_us (the
// microseconds since 1970 at which it was used last, if that was after it was saved). The
// local index by_expiry has the keys, expires_at, status, key_fields and _size, and no
// payloads: counts and clears read it.
//
// A payload that does not fit is compressed with zstd; encoding tells so. One that
// still does not fit is split over items of other partitions, p = "tracks/part-…",
// under a generation that the entry's item names: they are written before it, so that
// a reader sees the one payload or the other.
//
// The item p = "tracks/schema" tells the columns of the key, and an item of the partition
// "/tables" that there is a repository of that name.
package dynamodb

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// Store is a table of DynamoDB, or all those with a prefix. It implements
// [driver.Store].
type Store struct {
	client *dynamodb.Client
	once   func(*dynamodb.Options) // for calls that must not be done twice
	close  func()                  // releases the connections that Open has made
	opts   Options
	codec  codec
	gate   gate.Gate
}

var _ driver.Store = (*Store)(nil)

const kind = "dynamodb"

// Open opens the tables at url, see [Options] for what it can say:
//
//	dynamodb://?region=eu-central-1            the table endpointcache
//	dynamodb:///music?region=eu-central-1      the table music
//	dynamodb://?prefix=music-                  a table for each repository
//	dynamodb://id:secret@localhost:8000/music  another server, with credentials
//
// What neither it nor the options say is found as in all programs of AWS: in the
// environment, in the shared files, by the machine's role. It asks the server once, so
// that an error is found here; tables are created when they are opened.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := parseURL(url, opts)
	if err == nil {
		err = o.validate()
	}
	if err == nil {
		err = gate.Usable(ctx)
	}
	if err != nil {
		return nil, openError(err)
	}
	client, closeIdle, err := newClient(ctx, o)
	if err != nil {
		return nil, openError(explain(ctx, err))
	}
	return newStore(ctx, client, closeIdle, o)
}

// New returns a store on the caller's own client, whose settings stay as they are.
// It asks the server once.
func New(ctx context.Context, client *dynamodb.Client, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	err := o.validate()
	switch {
	case err != nil:
		return nil, openError(err)
	case client == nil:
		return nil, openError(errors.New("the client is nil"))
	case o.Region != "" || o.Endpoint != "" || o.Credentials != nil || o.TLS != nil:
		return nil, openError(errors.New("Region, Endpoint, Credentials and TLS are for Open: the caller's client has settings of its own"))
	}
	return newStore(ctx, client, func() {}, o)
}

func newStore(ctx context.Context, client *dynamodb.Client, closeIdle func(), o Options) (*Store, error) {
	s := &Store{client: client, once: onceOption(client.Options()), close: closeIdle, opts: o, codec: newCodec(o)}
	err := s.ping(ctx)
	if err == nil && o.ReadOnly {
		err = s.find(ctx)
	}
	if err != nil {
		closeIdle()
		return nil, openError(explain(ctx, err))
	}
	return s, nil
}

func openError(err error) error {
	return &driver.OpError{Store: kind, Op: "open", Err: err}
}

// ping proves that the server answers to these credentials. It asks for an item, as
// a user of the tables need not be allowed anything else.
func (s *Store) ping(ctx context.Context) error {
	_, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: aws.String(s.opts.tableName(defaultTable)),
		Key:       s.codec.key(place{"ping", "ping"}),
	}, func(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }) // what is wrong is told at once
	var absent *types.ResourceNotFoundException
	if errors.As(err, &absent) || errorCode(err) == codeValidation {
		return nil // OpenTable creates the table, or tells what is there instead
	}
	return err
}

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, Vanishes: !s.opts.NoTTL, ReadOnly: s.opts.ReadOnly}
}

// Close waits for running operations, and closes the connections of the client that
// the store has made.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.close()
		return nil
	})
}

// run does one operation: not after Close, not with a context that is done,
// and with errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func() error) error {
	if err := s.gate.Do(ctx, do); err != nil {
		return &driver.OpError{Store: kind, Op: op, Table: table, Err: explain(ctx, err)}
	}
	return nil
}

// Package mongodb keeps responses in MongoDB, which programs on many machines can
// share, and which can be asked about them with mongosh.
//
// Operations on many keys send a chunk of them in one command: unordered bulk writes,
// and reads and deletes with $in. They use what every server of the protocol has, and
// no transactions; each entry is one document, which MongoDB changes as a whole.
//
// # Layout
//
// Each repository is a collection of its name; the collection endpointcache.tables
// tells which. A document's _id is made of its key, and the key's columns are fields
// of their own:
//
//	{
//	  _id: 'track-1|DE|0', id: 'track-1', market: 'DE', page: Long('0'),
//	  status: 200,
//	  cached_at: ISODate('2026-03-01T12:00:00.123Z'), expires_at: ISODate('2026-03-08T12:00:00.123Z'),
//	  cached_us: Long('1772366400123456'), expires_us: Long('1772971200123456'),
//	  _used_us: Long('1772366400123456'), _size: Long('412'),
//	  _meta_sum: Long('2597543271'), _payload_sum: Long('907060870'), _encoding: '',
//	  name: 'Track one', headers: '{"Content-Type":["application/json"]}', payload: '{"id":"track-1"}'
//	}
//
// Dates are to the millisecond, so the microseconds since 1970 stand beside them and
// are what counts. An entry that never expires has no expires_at, and the largest
// number as its expires_us. What is not UTF-8, or has a zero byte, stands as binary data.
// The _size is that of the document when it was saved, in bytes; a checksum of 0 is none.
// Documents of earlier versions lack the fields that begin with an underscore.
//
// In an _id, a separator or a backslash that is part of a string has a backslash
// before it, and a control character or a byte that is no UTF-8 stands as \x and two
// digits. One of more than 1,000 bytes ends with \sha256: and a digest; the fields
// have the whole key.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/gate"
)

// Store is a MongoDB database. It implements [driver.Store].
type Store struct {
	db   *mongo.Database
	own  bool // Close disconnects the client
	opts Options
	ttl  bool // the server removes what has been expired for long

	client *clientSettings // of the store's own client; nil where it is the caller's
	ferret *ferretDB       // nil where the server is another
	gate   gate.Gate
}

var _ driver.Store = (*Store)(nil)

// Open connects a client of its own to the servers at url, and Close disconnects it.
// The url is what the driver takes, "mongodb://user:password@host1,host2/database" or
// "mongodb+srv://…", with the driver's settings as parameters. A command is sent
// once, so that an error is found here. The driver looks up the name of a "mongodb+srv"
// without the context.
func Open(ctx context.Context, url string, opts *Options) (*Store, error) {
	o, err := opts.validate()
	if err == nil {
		err = gate.Usable(ctx)
	}
	if err != nil {
		return nil, openError(err)
	}
	config, err := clientOptions(url)
	if err != nil {
		return nil, openError(err)
	}
	if o.Database == "" {
		if o.Database, err = databaseIn(url); err != nil {
			return nil, openError(err)
		}
	}
	client, err := mongo.Connect(config)
	if err != nil {
		return nil, openError(urlError(err))
	}
	s, err := newStore(ctx, client.Database(o.Database), true, o)
	if err != nil {
		return nil, err
	}
	s.client = settingsOf(config)
	return s, nil
}

// New returns a store on a database of the caller's own client, which Close leaves
// connected. The database's write concern must be acknowledged. With another than
// "majority", what was saved may be lost when another server becomes the primary;
// with a read preference other than the primary, it may not be seen at once.
func New(ctx context.Context, db *mongo.Database, opts *Options) (*Store, error) {
	o, err := opts.validate()
	switch {
	case err != nil:
		return nil, openError(err)
	case db == nil:
		return nil, openError(errors.New("the database is nil"))
	case o.Database != "":
		return nil, openError(errors.New("Database is for Open: the caller's database has a name"))
	}
	return newStore(ctx, db, false, o)
}

func newStore(ctx context.Context, db *mongo.Database, own bool, o Options) (*Store, error) {
	s := &Store{db: db, own: own, opts: o}
	isFerretDB, err := s.askServer(ctx)
	if err != nil {
		return nil, errors.Join(openError(err), s.disconnect())
	}
	if isFerretDB {
		s.ferret = newFerretDB()
	}
	s.ttl = !isFerretDB && o.KeepExpired > 0
	if o.ReadOnly {
		if err := s.find(ctx); err != nil {
			return nil, errors.Join(openError(explain(ctx, err)), s.disconnect())
		}
	}
	return s, nil
}

func openError(err error) error {
	return &driver.OpError{Store: kind, Op: "open", Err: err}
}

// openPatience is how long a server may take to be found. The driver waits longer
// for one that was there.
const openPatience = 10 * time.Second

// askServer proves that a server can be reached, and reports whether it is the first
// version of FerretDB, which has no TTL indexes.
func (s *Store) askServer(ctx context.Context) (isFerretDB bool, err error) {
	limited, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	info, err := s.db.RunCommand(limited, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
	switch {
	case err == nil:
		_, features := info.LookupErr("ferretdbFeatures")
		return features == nil, nil
	case limited.Err() != nil && ctx.Err() == nil: // the caller's deadline has not passed
		return false, fmt.Errorf("no server was found in %v: %v", openPatience, err) //nolint:errorlint // see above
	default:
		return false, explain(ctx, err)
	}
}

// Traits implements [driver.Store].
func (s *Store) Traits() driver.Traits {
	return driver.Traits{Kind: kind, Vanishes: s.ttl, ReadOnly: s.opts.ReadOnly}
}

const kind = "mongodb"

// Close waits for running operations, and disconnects the client that the store has
// opened. It waits no more than two seconds for a server that is away.
func (s *Store) Close() error {
	return s.gate.Close(s.disconnect)
}

func (s *Store) disconnect() error {
	if !s.own {
		return nil
	}
	ctx, cancel := leaving(context.Background())
	defer cancel()
	if err := s.db.Client().Disconnect(ctx); err != nil {
		return &driver.OpError{Store: kind, Op: "close", Err: err}
	}
	return nil
}

// closePatience is how long the server may take to hear that something has ended.
const closePatience = 2 * time.Second

// leaving is the context for telling it, whether ctx is done or not.
func leaving(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), closePatience)
}

// run does one operation: not after Close, not with a context that is done,
// and with errors that tell what was tried.
func (s *Store) run(ctx context.Context, op, table string, do func() error) error {
	if err := s.gate.Do(ctx, do); err != nil {
		return &driver.OpError{Store: kind, Op: op, Table: table, Err: explain(ctx, err)}
	}
	return nil
}

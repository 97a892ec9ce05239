package postgres

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/endpointcache/endpointcache/driver"
)

// teller lets those who watch a schema know what a store changes in it, by NOTIFY in the
// transaction of the change. As the server commits transactions that notify one after
// another, see https://www.postgresql.org/docs/current/sql-notify.html, a transaction
// notifies only while somebody watches: whoever does holds the lock watching.
//
// A transaction finds out at its end, when it holds the lock changing, which it keeps until
// it is committed. Who begins to watch takes the one lock, and then waits for the other: what
// has not notified is committed then.
//
// As that takes as long as to save a row, a change of one row does without it where nobody
// watched shortly before. If it is not done soon, it tells afterwards, and who begins to
// watch waits that long. So a change can be missed only if it takes longer, and its process dies
// or gives it up meanwhile.
type teller struct {
	id       string // of the store, which is not told what it has changed itself
	channel  string
	watching int64 // advisory locks
	changing int64

	always   *statement // for what changes rows where it has an effect
	ifStored *statement // for what may do nothing but lock rows: it has to evaluate noteStored
	late     *statement // for what is committed already

	watched   atomic.Bool  // somebody did at the last change: it is worth saying which keys
	unwatched atomic.Int64 // when nobody did, in nanoseconds after start
	start     time.Time
}

// These count from when nobody watched.
const (
	maxQuiet  = 200 * time.Millisecond // a change of one row may begin without telling
	quietDone = 250 * time.Millisecond // it has to be done, or tells afterwards
	quietOver = 300 * time.Millisecond // none is under way any more that will not tell
)

// noteStored has ifStored tell, for the rows that it is evaluated for.
const noteStored = "set_config('endpointcache.stored', 'yes', true)"

func (t *teller) init(schema string) {
	t.id = rand.Text()
	t.channel = identifier("endpointcache " + schema)
	t.watching, t.changing = lockOf("watching\x00"+schema), lockOf("changing\x00"+schema)
	t.always = newStatement("", t.text("$1::text[]", ""))
	t.late = newStatement("", "SELECT pg_notify("+literal(t.channel)+", m) FROM unnest($1::text[]) AS m")
	t.start = time.Now()
	t.unwatched.Store(int64(-maxQuiet))
	t.ifStored = newStatement("", t.text("$1::text[]", " OR current_setting('endpointcache.stored', true) IS DISTINCT FROM 'yes'"))
}

// lockOf is the advisory lock of a name.
func lockOf(name string) int64 {
	digest := sha256.Sum256([]byte("endpointcache " + name))
	return int64(binary.BigEndian.Uint64(digest[:]))
}

// text is a statement that sends messages, unless nothing has changed, and then answers
// NULL, or nobody watches. It answers how many it has sent.
func (t *teller) text(messages, unless string) string {
	return fmt.Sprintf(`SELECT CASE WHEN txid_current_if_assigned() IS NULL%[5]s THEN NULL `+
		`WHEN pg_advisory_xact_lock_shared(%[1]d) IS NULL THEN NULL `+
		`WHEN CASE WHEN pg_try_advisory_lock(%[2]d) THEN pg_advisory_unlock(%[2]d) ELSE false END THEN 0 `+
		`ELSE (SELECT count(*) FROM (SELECT pg_notify(%[3]s, m) FROM unnest(%[4]s) AS m OFFSET 0) AS sent) END`,
		t.changing, t.watching, literal(t.channel), messages, unless)
}

// messageTypes are those of the parameters of what tells.
var messageTypes = []uint32{pgtype.TextOID}

// change is atOnce for statements that change so many entries of the table, which have these
// keys, or any where keys is nil.
func (t *table) change(ctx context.Context, c *conn, tell *statement, count int, keys iter.Seq[driver.Key], statements []*statement, send func(*transaction) error) (int, error) {
	if count == 1 {
		n, done, err := t.quietly(ctx, c, keys, func() (int, error) { return c.atOnce(ctx, statements, send) })
		if done || err != nil {
			return n, err
		}
	}
	teller := &t.store.teller
	args := t.messages(keys)
	defer args.free()
	watched, since := teller.watched.Load(), time.Since(teller.start)
	n, err := c.atOnce(ctx, append(statements, tell), func(tx *transaction) error {
		if err := send(tx); err != nil {
			return err
		}
		return tx.read(tell, args, func(row [][]byte) error {
			if row[0] == nil {
				return nil
			}
			sent, err := readInt64(row[0])
			if watched = sent > 0; !watched {
				teller.unwatched.Store(int64(since))
			}
			return err
		})
	})
	if err == nil {
		teller.watched.Store(watched)
	}
	return n, err
}

// changeAlone is change for one statement. It calls each for every row of the answer.
func (t *table) changeAlone(ctx context.Context, c *conn, count int, keys iter.Seq[driver.Key], s *statement, args *arguments, each func(row [][]byte) error) (int, error) {
	if count == 1 {
		n, done, err := t.quietly(ctx, c, keys, func() (int, error) { return c.query(ctx, s, args, each) })
		if done || err != nil {
			return n, err
		}
	}
	return t.change(ctx, c, t.store.teller.always, 0, keys, []*statement{s}, func(tx *transaction) error { return tx.read(s, args, each) })
}

// quietly makes a change of one row where nobody watched just now, and reports whether it
// has.
func (t *table) quietly(ctx context.Context, c *conn, keys iter.Seq[driver.Key], change func() (int, error)) (n int, done bool, err error) {
	teller := &t.store.teller
	unwatched := teller.start.Add(time.Duration(teller.unwatched.Load()))
	if teller.watched.Load() || time.Since(unwatched) > maxQuiet {
		return 0, false, nil
	}
	if n, err = change(); err == nil && time.Since(unwatched) > quietDone {
		args := t.messages(keys)
		defer args.free()
		_, err = c.exec(ctx, teller.late, args)
	}
	return n, true, err
}

// messages are what is told of a change: which keys, where somebody watches.
func (t *table) messages(keys iter.Seq[driver.Key]) *arguments {
	teller := &t.store.teller
	if !teller.watched.Load() {
		keys = nil
	}
	args := newArguments(1)
	for _, m := range teller.messages(t.names.name, keys) {
		args.arrays[0].string(m)
	}
	args.finish(messageTypes)
	return args
}

// message is the payload of a notification. Strings in keys stand as in a table, but are not
// shortened.
type message struct {
	By    string            `json:"by"`
	Table string            `json:"table,omitempty"` // with its prefix; empty: any
	Keys  []json.RawMessage `json:"keys,omitempty"`  // lists of values; none: any
}

const (
	maxMessage  = 7_900 // bytes: the server takes fewer than 8,000
	maxMessages = 16    // for one change, before it is told for the whole table
)

// messages are what is told of a change.
func (t *teller) messages(table string, keys iter.Seq[driver.Key]) []string {
	whole := t.message(table, nil)
	if len(whole) > maxMessage {
		whole = t.message("", nil)
	}
	if keys == nil {
		return []string{whole}
	}
	var all []string
	var pending []json.RawMessage
	size := len(whole)
	for k := range keys {
		encoded := encodeKey(k)
		if size+len(encoded) > maxMessage && len(pending) > 0 {
			all = append(all, t.message(table, pending))
			pending, size = pending[:0], len(whole)
		}
		size += len(encoded) + len(`,"keys":[]`)
		if size > maxMessage || len(all) >= maxMessages {
			return []string{whole}
		}
		pending = append(pending, encoded)
	}
	return append(all, t.message(table, pending))
}

func (t *teller) message(table string, keys []json.RawMessage) string {
	b, _ := json.Marshal(message{By: t.id, Table: table, Keys: keys}) // of strings and what is encoded
	return string(b)
}

func encodeKey(k driver.Key) json.RawMessage {
	values := make([]any, len(k))
	for i, v := range k {
		values[i] = v
		if s, ok := v.(string); ok {
			values[i] = escape(s)
		}
	}
	b, _ := json.Marshal(values) // of strings, integers and booleans
	return b
}

var errMessage = errors.New("a notification is none of this package")

func decodeKey(encoded json.RawMessage) (driver.Key, error) {
	var values []any
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, err
	}
	key := make(driver.Key, len(values))
	for i, v := range values {
		var err error
		switch v := v.(type) {
		case string:
			key[i], err = unescape([]byte(v))
		case json.Number:
			key[i], err = strconv.ParseInt(v.String(), 10, 64)
		case bool:
			key[i] = v
		default:
			err = errMessage
		}
		if err != nil {
			return nil, err
		}
	}
	return key, nil
}

// read returns the change that a notification is about, unless that is of this store or of
// a table which it does not see. Of what it cannot read it takes everything for changed.
func (t *teller) read(payload, prefix string) (c driver.Change, ok bool) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil || m.Table == "" {
		return driver.Change{}, m.By != t.id
	}
	if c.Table, ok = strings.CutPrefix(m.Table, prefix); !ok || c.Table == "" || m.By == t.id {
		return c, false
	}
	for _, encoded := range m.Keys {
		key, err := decodeKey(encoded)
		if err != nil {
			return driver.Change{Table: c.Table}, true
		}
		c.Keys = append(c.Keys, key)
	}
	return c, true
}

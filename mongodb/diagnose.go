package mongodb

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/human"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. A thorough one has the server validate each collection, in the
// background, see https://www.mongodb.com/docs/manual/reference/command/validate/, and reads all
// documents.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func() error {
		d := diagnosis{store: s}
		err := d.all(ctx, thorough)
		found = d.List
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// clientSettings are those of a client that the server does not tell.
type clientSettings struct {
	encrypted, toThisMachine bool
	writes, reads            string // concerns
	weakWrites, elsewhere    bool   // not by a majority; not from the primary
}

func settingsOf(config *options.ClientOptions) *clientSettings {
	s := &clientSettings{encrypted: config.TLSConfig != nil, writes: "the server's default", reads: "the server's default", toThisMachine: true}
	for _, host := range config.Hosts {
		s.toThisMachine = s.toThisMachine && isHere(host)
	}
	if w := config.WriteConcern; w != nil && w.W != nil {
		s.writes, s.weakWrites = fmt.Sprintf("w=%v", w.W), w.W != "majority"
	}
	if r := config.ReadConcern; r != nil && r.Level != "" {
		s.reads = r.Level
	}
	if p := config.ReadPreference; p != nil && p.Mode() != readpref.PrimaryMode {
		s.reads, s.elsewhere = s.reads+", from "+p.Mode().String(), true
	}
	return s
}

// isHere reports whether a host is this machine.
func isHere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasSuffix(host, ".sock") || ip != nil && ip.IsLoopback()
}

type diagnosis struct {
	findings.List
	store *Store
	set   string // the name of the replica set; empty for none
}

func (d *diagnosis) all(ctx context.Context, thorough bool) error {
	for _, look := range []func(context.Context) error{d.ofServer, d.ofRole, d.ofDatabase} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	d.ofClient()
	tables, err := d.tables(ctx)
	if err != nil {
		return err
	}
	d.Good("tables", "%d", len(tables))
	if err := d.ofIndexes(ctx, tables); err != nil || !thorough {
		return err
	}
	return d.check(ctx, tables)
}

// ask runs a command. ok is false if the server does not do it, or not for this user.
func (d *diagnosis) ask(ctx context.Context, command bson.D, answer any) (ok bool, err error) {
	err = repeat(ctx, func() error { return d.store.db.RunCommand(ctx, command).Decode(answer) })
	if isAnswer(err) {
		return false, nil
	}
	return err == nil, err
}

func (d *diagnosis) ofServer(ctx context.Context) error {
	var info struct {
		Version string   `bson:"version"`
		Numbers []int    `bson:"versionArray"`
		Ferret  bson.Raw `bson:"ferretdbFeatures"`
	}
	if _, err := d.ask(ctx, bson.D{{Key: "buildInfo", Value: 1}}, &info); err != nil {
		return err
	}
	switch {
	case d.store.ferret != nil:
		d.Warning("server", "FerretDB 1, as MongoDB "+info.Version, "It changes documents in two steps, removes nothing by itself, and reads whole collections: take FerretDB 2 or MongoDB for more than tests.")
	case len(info.Numbers) > 1 && (info.Numbers[0] < 4 || info.Numbers[0] == 4 && info.Numbers[1] < 4):
		d.Fault("server", "MongoDB "+info.Version, "It lacks commands that are used: take 4.4 or later.")
	case info.Version == "":
		d.Unknown("server")
	default:
		d.Good("server", "MongoDB %s", info.Version)
	}
	return nil
}

func (d *diagnosis) ofRole(ctx context.Context) error {
	var hello struct {
		Set       string    `bson:"setName"`
		Primary   string    `bson:"primary"`
		Message   string    `bson:"msg"`
		Writable  bool      `bson:"isWritablePrimary"`
		Old       bool      `bson:"ismaster"` // of servers that do not know the other name
		ReadOnly  bool      `bson:"readOnly"`
		LocalTime time.Time `bson:"localTime"`
	}
	before := time.Now()
	ok, err := d.ask(ctx, bson.D{{Key: "hello", Value: 1}}, &hello)
	after := time.Now()
	if err != nil {
		return err
	}
	if !ok {
		d.Unknown("role")
		return nil
	}
	if !hello.LocalTime.IsZero() {
		d.Clock(hello.LocalTime, before.Truncate(time.Millisecond), after)
	}
	d.set = hello.Set
	const subject = "role"
	switch {
	case hello.Message == "isdbgrid":
		d.set = "of shards"
		d.Good(subject, "a router of a sharded cluster")
	case hello.Set != "" && hello.Primary == "":
		d.Fault(subject, "the replica set "+hello.Set+" has no primary", "Saves fail until its members have chosen one: bring back those that fail.")
	case !hello.Writable && !hello.Old || hello.ReadOnly:
		d.Warning(subject, "a secondary, or a server that may only be read", "Saves fail: name the replica set in the URL (replicaSet), so that the primary is found.")
	case hello.Set != "":
		d.Good(subject, "the primary of the replica set %s", hello.Set)
	default:
		d.Good(subject, "a single server, without replicas")
	}
	return nil
}

func (d *diagnosis) ofClient() {
	c := d.store.client
	if c == nil {
		return // the caller's
	}
	d.Encryption(c.encrypted, c.toThisMachine)
	level := driver.Good
	if c.weakWrites && d.set != "" {
		level = driver.Warning
	}
	d.Judge(level, "write concern", c.writes, "What was saved may be lost when another server becomes the primary: leave out w of the URL, or set w=majority.")
	level = driver.Good
	if c.elsewhere {
		level = driver.Warning
	}
	d.Judge(level, "read concern", c.reads, "What was just saved may not be seen: leave out readPreference of the URL.")
}

func (d *diagnosis) ofDatabase(ctx context.Context) error {
	var stats struct {
		Objects   float64 `bson:"objects"`
		Data      float64 `bson:"dataSize"`
		Storage   float64 `bson:"storageSize"`
		Indexes   float64 `bson:"indexSize"`
		Disk      float64 `bson:"fsTotalSize"`
		DiskInUse float64 `bson:"fsUsedSize"`
	}
	ok, err := d.ask(ctx, bson.D{{Key: "dbStats", Value: 1}}, &stats)
	if err != nil {
		return err
	}
	const subject = "database"
	name := d.store.db.Name()
	if !ok {
		d.Unknown(subject)
		return nil
	}
	d.Good(subject, "%s, %s, %s, on the disk %s and indexes of %s", name, human.Things(int64(stats.Objects), "document", "documents"),
		human.Size(int64(stats.Data)), human.Size(int64(stats.Storage)), human.Size(int64(stats.Indexes)))
	if stats.Disk > 0 {
		free := int64(stats.Disk - stats.DiskInUse)
		level := driver.Good
		if float64(free) < stats.Disk/20 {
			level = driver.Warning
		}
		d.Judge(level, "free space of the server", human.Size(free), "Saves fail when its disk is full: make room, or give the cache a limit.")
	}
	return nil
}

// tables are those that are recorded for the store's prefix.
func (d *diagnosis) tables(ctx context.Context) (tables []*table, err error) {
	err = repeat(ctx, func() error {
		cursor, err := d.store.tables().Find(ctx, bson.D{{Key: "prefix", Value: d.store.opts.Prefix}})
		if err != nil {
			return err
		}
		var records []record
		if err := cursor.All(ctx, &records); err != nil {
			return err
		}
		tables = nil
		for _, r := range records {
			spec, err := r.spec()
			if err != nil {
				return err
			}
			if !r.Dropped {
				tables = append(tables, d.store.table(spec))
			}
		}
		return nil
	})
	return tables, err
}

// ofIndexes tells where the index of expiries is missing, and the one by which the server removes what
// has expired.
func (d *diagnosis) ofIndexes(ctx context.Context, tables []*table) error {
	var lacking, staying int
	for _, t := range tables {
		indexes, err := t.docs.Indexes().ListSpecifications(ctx)
		if isAnswer(err) {
			d.Unknown("indexes")
			return nil
		}
		if err != nil {
			return err
		}
		var fields []string
		expires := false
		for _, index := range indexes {
			elements, err := index.KeysDocument.Elements()
			if err == nil && len(elements) > 0 {
				fields = append(fields, elements[0].Key())
			}
			expires = expires || index.ExpireAfterSeconds != nil
		}
		if !slices.Contains(fields, fieldExpiresUS) {
			lacking++
		}
		if !expires {
			staying++
		}
	}
	if lacking > 0 {
		d.Warning("indexes", human.Things(lacking, "table", "tables")+" without that of expiries", "Counts and clears read whole collections: a program with the right to create indexes makes them when it opens the tables.")
	} else {
		d.Good("indexes", "as they should be")
	}
	switch {
	case d.store.ferret != nil || staying == len(tables) && d.store.opts.KeepExpired < 0:
		d.Good("expired entries", "stay until they are cleared")
	case staying > 0:
		d.Warning("expired entries", "stay in "+human.Things(staying, "table", "tables"), "They lack the TTL index: a program that has KeepExpired, and the right to create indexes, makes it when it opens them.")
	default:
		d.Good("expired entries", "are removed by the server")
	}
	return nil
}

// check validates the collections and reads their documents.
func (d *diagnosis) check(ctx context.Context, tables []*table) error {
	var entries, unread int
	var validated, invalid int
	for _, t := range tables {
		var answer struct {
			Valid bool `bson:"valid"`
		}
		ok, err := d.ask(ctx, bson.D{{Key: "validate", Value: t.docs.Name()}, {Key: "background", Value: true}}, &answer)
		if err != nil {
			return err
		}
		if ok {
			validated++
			if !answer.Valid {
				invalid++
			}
		}
		n, readable, err := t.check(ctx)
		if err != nil {
			return err
		}
		entries += n
		if !readable {
			unread++
		}
	}
	switch {
	case invalid > 0:
		d.Fault("validation", human.Things(invalid, "collection", "collections")+" damaged", "Drop these repositories, or repair the server's files, and look after its disk.")
	case validated < len(tables):
		d.Unknown("validation")
	default:
		d.Good("validation", "%s as they should be", human.Things(validated, "collection", "collections"))
	}
	if unread > 0 {
		d.Fault("documents", human.Things(unread, "table", "tables")+" with what is no entry", "Other programs have written to its collection: clear it, remove the documents that stay, which are not the cache's, and give the cache a prefix of its own.")
	} else {
		d.Good("documents", "%s can be read", human.Count(entries))
	}
	return nil
}

// check reads the documents of a table, until one that is no entry.
func (t *table) check(ctx context.Context) (entries int, readable bool, err error) {
	cursor, err := t.search(ctx, bson.Raw(emptyDocument()), t.find(driver.Payload|driver.Meta, true, firstPage))
	if err != nil {
		return 0, false, err
	}
	defer cursor.close(ctx)
	for cursor.Next(ctx) {
		e, err := t.read(cursor.Current, true)
		if err == nil {
			_, err = idOf(cursor.Current)
		}
		if err != nil || e.Key == nil || e.Unreadable() {
			return entries, false, nil //nolint:nilerr // that is what is told
		}
		entries++
	}
	return entries, true, cursor.Err()
}

func emptyDocument() []byte {
	start, b := begin(nil)
	return end(b, start)
}

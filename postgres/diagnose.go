package postgres

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/human"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. A thorough one reads all entries, and checks the indexes if
// the database has the extension amcheck and the user may use it.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func() error {
		return s.with(ctx, repeatable, func(c *conn) error {
			d := diagnosis{store: s, conn: c}
			err := d.all(ctx, thorough)
			found = d.List
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

type diagnosis struct {
	findings.List
	store  *Store
	conn   *conn
	pooler bool // stands between
}

func (d *diagnosis) all(ctx context.Context, thorough bool) error {
	looks := []look{{"server", d.ofServer}, {"schema", d.ofSchema}, {"tables", d.ofTables}}
	if thorough {
		looks = append(looks, look{"check", d.check})
	}
	for _, l := range looks {
		err := l.at(ctx)
		if err == nil {
			continue
		}
		if sqlState(err) == "" || ctx.Err() != nil {
			return err
		}
		d.Unknown(l.subject) // as servers that are like PostgreSQL lack a function
	}
	return nil
}

type look struct {
	subject string
	at      func(context.Context) error
}

// ended are the versions of PostgreSQL with the days from which on they get no fixes, see
// https://www.postgresql.org/support/versioning/.
var ended = map[string]time.Time{
	"12": time.Date(2024, 11, 21, 0, 0, 0, 0, time.UTC),
	"13": time.Date(2025, 11, 13, 0, 0, 0, 0, time.UTC),
	"14": time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC),
	"15": time.Date(2027, 11, 11, 0, 0, 0, 0, time.UTC),
	"16": time.Date(2028, 11, 9, 0, 0, 0, 0, time.UTC),
	"17": time.Date(2029, 11, 8, 0, 0, 0, 0, time.UTC),
	"18": time.Date(2030, 11, 14, 0, 0, 0, 0, time.UTC),
}

// aboutServer are in the order of the columns. The user may ask all of them.
const aboutServer = `SELECT current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
	current_setting('default_transaction_read_only'), pg_catalog.pg_backend_pid(),
	extract(epoch FROM clock_timestamp())::numeric(20, 6),
	current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),
	(SELECT count(*) FROM pg_catalog.pg_stat_activity), current_setting('max_connections'),
	current_setting('autovacuum'), pg_catalog.pg_notification_queue_usage(), current_setting('data_checksums')`

func (d *diagnosis) ofServer(ctx context.Context) error {
	if err := d.conn.Ping(ctx); err != nil { // the clock is compared with what one answer takes
		return err
	}
	before := time.Now()
	row, err := d.conn.text(ctx, aboutServer)
	if err != nil {
		return err
	}
	after := time.Now()
	version, _, _ := strings.Cut(row[0], " ")
	major, _, _ := strings.Cut(version, ".")
	if end, ok := ended[major]; ok && end.Before(after) {
		d.Warning("PostgreSQL", version, "Its makers mend it no more, since "+end.Format(time.DateOnly)+": take a later version.")
	} else {
		d.Good("PostgreSQL", "%s", version)
	}
	d.ofConnection(row[3])
	if seconds, err := strconv.ParseFloat(row[4], 64); err == nil {
		d.Clock(time.UnixMicro(int64(seconds*1e6)), before, after)
	}
	d.ofRole(row[1] == "t", row[2] == "on")
	d.ofTimeouts(row[5], row[6], row[7])
	d.ofLoad(row[8], row[9])
	if row[10] == "on" {
		d.Good("autovacuum", "on")
	} else {
		d.Warning("autovacuum", row[10], "The space of deleted entries is not used again, and plans become slow: set autovacuum = on, or compact the store now and then.")
	}
	d.ofChanges(row[1] == "t", row[11])
	d.Good("data checksums", "%s", row[12])
	return nil
}

// ofConnection knows a pooler by the number of the server's process, which it tells another of.
func (d *diagnosis) ofConnection(process string) {
	own := d.conn.PgConn()
	_, encrypted := own.Conn().(*tls.Conn)
	d.Encryption(encrypted, isHere(own.Conn().RemoteAddr()))
	d.pooler = strconv.FormatUint(uint64(own.PID()), 10) != process
	const subject = "pooler"
	switch {
	case !d.pooler:
		d.Good(subject, "none")
	case d.store.prepare:
		d.Warning(subject, "stands between, and statements are prepared",
			"If it gives each transaction another connection, set Options.NoPrepare, or default_query_exec_mode=exec in the URL; PgBouncer from 1.21 on takes prepared statements if max_prepared_statements is set.")
	default:
		d.Good(subject, "stands between, and statements are not prepared")
	}
}

// isHere reports whether an address is one of this machine.
func isHere(address net.Addr) bool {
	switch a := address.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

func (d *diagnosis) ofRole(standby, readOnly bool) {
	const subject = "role"
	switch {
	case standby:
		d.Warning(subject, "a standby, which may only be read", "Saves fail: connect to the primary, as by target_session_attrs=read-write in the URL.")
	case readOnly && !d.store.opts.ReadOnly:
		d.Warning(subject, "transactions may only read (default_transaction_read_only)", "Saves fail: set it to off for this user.")
	default:
		d.Good(subject, "a primary")
	}
}

// shortTimeout is less than a statement of a large table may take.
const shortTimeout = 5 * time.Second

func (d *diagnosis) ofTimeouts(statement, lock, idle string) {
	value := fmt.Sprintf("statement %s, lock %s, idle in transaction %s", timeoutText(statement), timeoutText(lock), timeoutText(idle))
	level := driver.Good
	if limit, ok := timeout(statement); ok && limit < shortTimeout {
		level = driver.Warning
	}
	d.Judge(level, "timeouts", value, "Listings, clears and migrations of large tables may take longer: set statement_timeout to a minute for this user.")
}

func timeoutText(setting string) string {
	if setting == "0" {
		return "none"
	}
	return setting
}

// timeout is a setting such as "30s" or "500ms".
func timeout(setting string) (time.Duration, bool) {
	if setting == "0" {
		return 0, false
	}
	d, err := time.ParseDuration(strings.Replace(setting, "min", "m", 1))
	return d, err == nil
}

func (d *diagnosis) ofLoad(used, most string) {
	u, _ := strconv.Atoi(used)
	m, err := strconv.Atoi(most)
	level := driver.Good
	if err == nil && u*10 > m*9 {
		level = driver.Warning
	}
	d.Judge(level, "connections", fmt.Sprintf("%d of %d", u, m), "Connections will be refused soon: set pool_max_conns in the URLs of the programs, or put a pooler between.")
}

// fullQueue is the part of the queue of notifications from which on it may become full.
const fullQueue = 0.5

func (d *diagnosis) ofChanges(standby bool, usage string) {
	const subject = "changes of others"
	used, _ := strconv.ParseFloat(usage, 64)
	switch {
	case standby:
		d.Warning(subject, "not told by a standby", "Memory over the store sees changes late: connect to the primary.")
	case d.pooler:
		d.Warning(subject, "may not be told through a pooler", "LISTEN needs a connection of its own: connect to the server itself, or have the pooler keep a client's connection (session mode).")
	case used > fullQueue:
		d.Fault(subject, fmt.Sprintf("the queue is full to %.0f%%", 100*used), "Saves fail when it is full: end the session that listens in a transaction which stays open.")
	default:
		d.Good(subject, "told by NOTIFY")
	}
}

// aboutSchema tells whether the user may use it and make tables in it.
const aboutSchema = `SELECT pg_catalog.has_schema_privilege(oid, 'USAGE'), pg_catalog.has_schema_privilege(oid, 'CREATE'),
	pg_catalog.has_database_privilege(current_database(), 'CREATE')
	FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_namespace ON nspname = $1`

func (d *diagnosis) ofSchema(ctx context.Context) error {
	row, err := d.conn.text(ctx, aboutSchema, d.store.opts.Schema)
	if err != nil {
		return err
	}
	subject := "schema"
	name := quote(d.store.opts.Schema)
	switch {
	case row[0] == "" && row[2] != "t":
		d.Fault(subject, name+" is absent, and this user may not create it", "GRANT CREATE ON DATABASE to the user, or create the schema for it.")
	case row[0] == "":
		d.Good(subject, "%s, which is created with the first table", name)
	case row[0] != "t":
		d.Fault(subject, name+", which this user may not use", "GRANT USAGE ON SCHEMA to the user.")
	case row[1] != "t":
		d.Warning(subject, name+", in which this user may not create tables", "New repositories fail: GRANT CREATE ON SCHEMA to the user.")
	default:
		d.Good(subject, "%s, in which this user may create tables", name)
	}
	return nil
}

// aboutTables are some sums over tables, whose numbers are given.
const aboutTables = `SELECT c.relname, pg_catalog.pg_total_relation_size(c.oid), coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0),
	c.relpersistence = 'u', has_table_privilege(c.oid, 'SELECT'),
	has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'),
	(SELECT count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND NOT i.indisvalid)
	FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
	LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON s.relid = c.oid WHERE n.nspname = $1`

// manyDead is how many dead rows are more than autovacuum leaves, if they are more than a third of
// the live ones as well.
const manyDead = 10_000

func (d *diagnosis) ofTables(ctx context.Context) error {
	ours, old, err := d.ours(ctx)
	if err != nil {
		return err
	}
	rows, err := d.conn.texts(ctx, aboutTables, d.store.opts.Schema)
	if err != nil {
		return err
	}
	var size, live, dead int64
	var unlogged, unread, unwritten, invalid []string
	for _, row := range rows {
		if !slices.Contains(ours, row[0]) {
			continue
		}
		for i, sum := range []*int64{&size, &live, &dead} {
			n, _ := strconv.ParseInt(row[1+i], 10, 64)
			*sum += n
		}
		for i, names := range []*[]string{&unlogged, &unread, &unwritten} {
			if (row[4+i] == "t") == (i == 0) {
				*names = append(*names, row[0])
			}
		}
		if row[7] != "0" {
			invalid = append(invalid, row[0])
		}
	}
	d.Good("tables", "%d, %s", len(ours), human.Size(size))
	level := driver.Good
	if dead > manyDead && dead > live/3 {
		level = driver.Warning
	}
	d.Judge(level, "dead rows", fmt.Sprintf("%s, beside %s live ones", human.Count(dead), human.Count(live)), "Autovacuum does not keep up, or a transaction that stays open is in its way: end that, and compact the store.")
	for _, finding := range []struct {
		tables                 []string
		level                  driver.Level
		subject, value, advice string
	}{
		{old, driver.Warning, "tables of an earlier version", "", "A program that opens them to write brings them up to date."},
		{unlogged, driver.Warning, "unlogged tables", "", "They are empty after a crash of the server, and on standbys: that is what Options.Unlogged is for."},
		{unread, driver.Fault, "tables that may not be read", "", "GRANT SELECT on them to the user."},
		{unwritten, driver.Warning, "tables that may not be written", "", "Saves fail: GRANT INSERT, UPDATE, DELETE on them to the user."},
		{invalid, driver.Warning, "unfinished indexes", "of ", "The next listing in their order makes them anew."},
	} {
		if len(finding.tables) > 0 {
			d.Judge(finding.level, finding.subject, finding.value+human.Things(len(finding.tables), "table", "tables"), finding.advice)
		}
	}
	return nil
}

// ours are the names of the tables of a cache, as they stand in the catalog, and those of them that an
// earlier version has created.
func (d *diagnosis) ours(ctx context.Context) (ours, old []string, err error) {
	all, err := d.store.relations(ctx, d.conn, "")
	for _, r := range all {
		_, isOld, ok := r.ours()
		if !ok || r.part {
			continue
		}
		if _, ok := r.spec(d.store.opts.TablePrefix); !ok {
			continue
		}
		ours = append(ours, r.name)
		if isOld {
			old = append(old, r.name)
		}
	}
	return ours, old, err
}

// check reads all rows with their payloads, and has amcheck look at the indexes of the primary keys.
func (d *diagnosis) check(ctx context.Context) error {
	ours, _, err := d.ours(ctx)
	if err != nil {
		return err
	}
	var rows, bytes int64
	var broken []string
	for _, name := range ours {
		table := quote(d.store.opts.Schema) + "." + quote(name)
		row, err := d.conn.text(ctx, "SELECT count(*), coalesce(sum(octet_length(t::text)), 0) FROM "+table+" AS t")
		switch {
		case sqlState(err) == "":
			if err != nil {
				return err
			}
			n, _ := strconv.ParseInt(row[0], 10, 64)
			size, _ := strconv.ParseInt(row[1], 10, 64)
			rows, bytes = rows+n, bytes+size
		case isCorrupt(err):
			broken = append(broken, sqlState(err))
		default:
			return err
		}
	}
	if len(broken) > 0 {
		d.Fault("rows", human.Things(len(broken), "table", "tables")+" cannot be read: "+strings.Join(broken, ", "), "Drop the repositories that fail, and look after the server's disk.")
	} else {
		d.Good("rows", "%s can be read, %s as text", human.Count(rows), human.Size(bytes))
	}
	return d.checkIndexes(ctx, ours)
}

// isCorrupt reports whether the server has found damage in what it keeps: of data, or of an index.
func isCorrupt(err error) bool {
	state := sqlState(err)
	return state == "XX001" || state == "XX002"
}

func (d *diagnosis) checkIndexes(ctx context.Context, ours []string) error {
	const subject = "indexes"
	row, err := d.conn.text(ctx, "SELECT n.nspname, 1 FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_extension AS e ON extname = 'amcheck' LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = extnamespace")
	if err != nil {
		return err
	}
	if row[0] == "" {
		d.Good(subject, "not checked: the database lacks the extension amcheck")
		return nil
	}
	checked := 0
	for _, name := range ours {
		indexes, err := d.conn.texts(ctx, "SELECT "+quote(row[0])+".bt_index_check(indexrelid) FROM pg_catalog.pg_index WHERE indrelid = to_regclass($1) AND indisvalid",
			quote(d.store.opts.Schema)+"."+quote(name))
		switch state := sqlState(err); {
		case isCorrupt(err):
			d.Fault(subject, "those of the table "+quote(name)+" are damaged", "REINDEX TABLE "+quote(name)+", and look after the server's disk.")
			return nil
		case state == "42501":
			d.Good(subject, "not checked: this user may not use amcheck")
			return nil
		case err != nil:
			return err
		}
		checked += len(indexes)
	}
	d.Good(subject, "%d are as they should be", checked)
	return nil
}

package postgres

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options are the settings of a store. A nil *Options means the defaults.
type Options struct {
	// Schema is the schema of the tables; the default is "public". It is
	// created with the first table if it is absent.
	Schema string

	// TablePrefix begins the names of all tables; the default is none.
	TablePrefix string

	// Tables are settings of single tables, by the names of their
	// repositories; the default is the zero TableOptions.
	Tables map[string]TableOptions

	// ReadOnly opens what is there to be read. Nothing is created or changed: neither schema
	// nor tables, nor indexes for listings, which sort what they find where these are not there.
	// Writes return [driver.ErrReadOnly]. Where the schema has no table of a cache, the error is
	// [driver.ErrAbsent].
	ReadOnly bool

	// Unlogged creates tables without a write-ahead log: saving is faster,
	// and the tables are empty after a crash of the server. Tables that are
	// there stay as they are. The default is logged tables.
	Unlogged bool

	// NoPrepare sends each statement with its text instead of preparing it
	// once for each connection. It is for poolers that give a client another
	// connection for each transaction. The default is to prepare, unless the
	// url has a default_query_exec_mode other than cache_statement.
	NoPrepare bool

	// ApplicationName is what the server's statistics call the connections;
	// the default is "endpointcache", or what the url says. Only for [Open].
	ApplicationName string

	// StatementTimeout ends a statement that runs longer, to the
	// millisecond; the default is the server's setting. Only for [Open].
	// PgBouncer does not let it pass: set it for the role instead.
	StatementTimeout time.Duration

	// ClearEvery is how often expired entries of the tables that were opened
	// are removed in the background; the default is never. Several processes
	// may do so for the same tables.
	ClearEvery time.Duration

	// OnClear is called after each table that was cleared in the background,
	// with the repository's name, how many entries were removed, and the
	// error that ended it early or nil; the next run tries again. It must
	// not close the store. The default is nil, for nobody to be told.
	OnClear func(table string, removed int, err error)
}

// TableOptions are the settings of a table.
type TableOptions struct {
	// Payload is the type of the column payload; the default is [Bytea]. A
	// table whose column has another type is refused.
	Payload PayloadType
}

// PayloadType is a type of the column payload. With each of them, payloads come
// back byte for byte.
type PayloadType uint8

const (
	// Bytea holds any bytes. It is the fastest.
	Bytea PayloadType = iota

	// Text can be read in SQL. A payload that is not UTF-8 or has a zero byte
	// stands in the column _bytes instead, and payload is NULL.
	Text

	// JSONB can be queried in SQL. As it keeps no spaces, no order of names
	// and no repeated ones, the bytes stand in the column _bytes as well.
	// Where they are no JSON that JSONB can hold, such as the HTML of an
	// error, payload is NULL.
	JSONB
)

func (p PayloadType) String() string {
	switch p {
	case Bytea:
		return "bytea"
	case Text:
		return "text"
	case JSONB:
		return "jsonb"
	default:
		return fmt.Sprintf("PayloadType(%d)", uint8(p))
	}
}

const defaultName = "endpointcache"

func (o *Options) validate() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Schema == "" {
		opts.Schema = "public"
	}
	switch {
	case len(opts.Schema) > maxIdentifier:
		return opts, fmt.Errorf("Schema %q is longer than PostgreSQL's %d bytes", opts.Schema, maxIdentifier)
	case !utf8.ValidString(opts.Schema) || strings.Contains(opts.Schema, "\x00"):
		return opts, fmt.Errorf("Schema %q is no text", opts.Schema)
	case !utf8.ValidString(opts.TablePrefix) || strings.Contains(opts.TablePrefix, "\x00"):
		return opts, fmt.Errorf("TablePrefix %q is no text", opts.TablePrefix)
	case opts.StatementTimeout < 0 || opts.StatementTimeout > 0 && opts.StatementTimeout < time.Millisecond:
		return opts, fmt.Errorf("StatementTimeout is %v: it is 1ms at least, or 0 for the server's setting", opts.StatementTimeout)
	case opts.ClearEvery < 0:
		return opts, fmt.Errorf("ClearEvery is %v: it cannot be negative", opts.ClearEvery)
	case opts.ReadOnly && opts.ClearEvery > 0:
		return opts, errors.New("ClearEvery is set with ReadOnly")
	case opts.OnClear != nil && opts.ClearEvery == 0:
		return opts, errors.New("OnClear is set without ClearEvery")
	}
	for name, t := range opts.Tables {
		if t.Payload > JSONB {
			return opts, fmt.Errorf("Tables[%q].Payload is %d: it is Bytea, Text or JSONB", name, t.Payload)
		}
	}
	return opts, nil
}

// Waits for a server that does not answer. They matter to calls whose context
// has no deadline; the url's connect_timeout takes precedence.
const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 5 * time.Second
)

// keepAlive finds out within a minute that a peer is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// configure sets what the url leaves open.
func (o Options) configure(config *pgxpool.Config) {
	params := config.ConnConfig.RuntimeParams
	params["client_encoding"] = "UTF8" // the form in which keys are sent
	if o.ApplicationName != "" {
		params["application_name"] = o.ApplicationName
	} else if params["application_name"] == "" {
		params["application_name"] = defaultName
	}
	if o.StatementTimeout > 0 {
		params["statement_timeout"] = strconv.FormatInt(o.StatementTimeout.Milliseconds(), 10)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.PingTimeout == 0 {
		config.PingTimeout = pingTimeout
	}
	dialer := &net.Dialer{Timeout: config.ConnConfig.ConnectTimeout, KeepAliveConfig: keepAlive}
	config.ConnConfig.DialFunc = dialer.DialContext
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/store"
)

const usage = `Usage: modproxy [flags]

Fetches the list of versions, the .info and the .mod file of all modules that a
go.mod requires, and keeps them in a database. What it has is not fetched again.

`

var errHelp = flag.ErrHelp

// options are what the flags say.
type options struct {
	goMod       string
	store       string   // the URL of where to keep the responses
	proxy       *url.URL // nil: serve the module download cache
	zip         bool
	expire      time.Duration // 0: as the endpoints say
	concurrency int
	rate        float64
	refresh     bool
	verbose     bool
}

func newFlagSet(o *options) *flag.FlagSet {
	flags := flag.NewFlagSet("modproxy", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the errors
	flags.StringVar(&o.goMod, "mod", "", "the go.mod `file`; by default that of the working folder or the nearest folder above it")
	o.store = "sqlite:modproxy.db"
	flags.Func("store", "where to keep the responses: a SQLite `file`, or one of\n"+strings.Join(store.Forms(), ", ")+"\n(default modproxy.db in the working folder)", o.setStore)
	flags.Func("proxy", "fetch from the module proxy at this `URL`, of the form https://host;\nby default from this machine's own module download cache", func(text string) (err error) {
		o.proxy, err = parseProxy(text)
		return err
	})
	flags.BoolVar(&o.zip, "zip", false, "fetch the .zip files, too")
	flags.DurationVar(&o.expire, "expire", 0, "the `duration` that what is fetched lives, such as 12h; by default\na list a day, an info a week, mod and zip for ever")
	flags.IntVar(&o.concurrency, "concurrency", 8, "the `number` of requests at once")
	flags.Float64Var(&o.rate, "rate", 0, "the `number` of requests in a second; 0 is no limit")
	flags.BoolVar(&o.refresh, "refresh", false, "fetch also what is there already")
	flags.BoolVar(&o.verbose, "v", false, "tell what became of each key")
	return flags
}

func printUsage(w io.Writer) {
	flags := newFlagSet(new(options))
	flags.SetOutput(w)
	fmt.Fprint(w, usage)
	flags.PrintDefaults()
}

func parseFlags(args []string) (*options, error) {
	o := new(options)
	flags := newFlagSet(o)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	case o.concurrency < 1:
		return nil, fmt.Errorf("-concurrency is %d: it is at least 1", o.concurrency)
	case !(o.rate >= 0) || math.IsInf(o.rate, 1):
		return nil, fmt.Errorf("-rate is %v: it is a number of requests in a second, or 0", o.rate)
	case o.expire < 0:
		return nil, fmt.Errorf("-expire is %v: it cannot be negative", o.expire)
	}
	return o, nil
}

func (o *options) setStore(text string) error {
	switch {
	case store.Kind(text) != "":
		o.store = text
	case text == "", strings.Contains(text, "://"):
		return errors.New("it is a file, or one of " + strings.Join(store.Forms(), ", "))
	default:
		o.store = "sqlite:" + text
	}
	return nil
}

func parseProxy(text string) (*url.URL, error) {
	proxy, err := url.Parse(text)
	if err != nil || proxy.Host == "" || proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, errors.New("it is not of the form https://host")
	}
	return proxy, nil
}

// name keeps the tables apart on a server that others use as well. In PostgreSQL it is
// their schema.
const name = "modproxy"

func (o *options) openStore(ctx context.Context) (driver.Store, error) {
	return store.Open(ctx, o.store, &store.Options{Name: name})
}

// query is a command that shows what was fetched, or empty where no shell of a
// database does.
func (o *options) query() string {
	const selectFrom = "SELECT module, version, name, cached_at, expires_at FROM "
	switch store.Kind(o.store) {
	case "postgres":
		return fmt.Sprintf("psql '%s' -c '%s%s.info'", withoutPassword(o.store), selectFrom, name)
	case "sqlite":
		return fmt.Sprintf("sqlite3 '%s' '%sinfo'", strings.TrimPrefix(o.store, "sqlite:"), selectFrom)
	}
	return ""
}

func withoutPassword(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return "postgres://…"
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	if query := u.Query(); query.Has("password") || query.Has("sslpassword") {
		query.Del("password")
		query.Del("sslpassword")
		u.RawQuery = query.Encode()
	}
	return u.String()
}

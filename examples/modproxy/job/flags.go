package job

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"time"

	"github.com/endpointcache/endpointcache/examples/internal/program"
)

// name is that of the program, and keeps its tables apart on a server that others use
// as well.
const name = "modproxy"

const usage = `Fetches the list of versions, the .info and the .mod file of all modules that a
go.mod requires, or those of a go.work, and keeps them in a database. What is stored
already is not fetched again.
`

// options are what the flags say.
type options struct {
	goMod       string
	store       program.Store // where to keep the responses
	proxyURL    string
	proxy       *url.URL // that of proxyURL; nil: serve the module download cache
	zip         bool
	expire      time.Duration // 0: as the endpoints say
	concurrency int
	rate        float64
	refresh     bool
	verbose     bool
}

func (o *options) flags() *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&o.goMod, "mod", "", "the go.mod or go.work `file`; by default that of the working folder or the nearest folder above it")
	o.store.Flag(flags)
	flags.StringVar(&o.proxyURL, "proxy", "", "fetch from the module proxy at this `URL`, of the form https://host;\nby default from this machine's own module download cache")
	flags.BoolVar(&o.zip, "zip", false, "fetch the .zip files, too")
	flags.DurationVar(&o.expire, "expire", 0, "how long responses live, a `duration` such as 12h; by default\na list a day, an info a week, mod and zip for ever")
	flags.IntVar(&o.concurrency, "concurrency", 8, "the `number` of requests at once")
	flags.Float64Var(&o.rate, "rate", 0, "the `number` of requests in a second; 0 is no limit")
	flags.BoolVar(&o.refresh, "refresh", false, "also fetch what is stored already")
	flags.BoolVar(&o.verbose, "v", false, "tell what became of each key")
	return flags
}

func (o *options) check() (err error) {
	if o.proxyURL != "" {
		if o.proxy, err = parseProxy(o.proxyURL); err != nil {
			return err
		}
	}
	switch {
	case o.concurrency < 1:
		return fmt.Errorf("-concurrency is %d: it is at least 1", o.concurrency)
	case o.expire < 0:
		return fmt.Errorf("-expire is %v: it cannot be negative", o.expire)
	}
	return errors.Join(program.CheckRate(o.rate), o.store.Check())
}

// parseProxy returns an error without the URL, which may have a password.
func parseProxy(text string) (*url.URL, error) {
	proxy, err := url.Parse(text)
	if err != nil || proxy.Host == "" || proxy.Scheme != "http" && proxy.Scheme != "https" {
		return nil, errors.New("-proxy is not of the form https://host")
	}
	return proxy, nil
}

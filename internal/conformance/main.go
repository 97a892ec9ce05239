// The conformance program runs the public suite of tests for HTTP caches against
// the library's transport, and tells how many of those that apply to it pass.
//
//	go run .                      the suite's npm release
//	go run . -suite DIR           a checkout of the suite's repository
//	go run . -run '^304-'         some tests, with what went over the wire
//	go run . -rt none             no cache at all
//
// It needs node and npm. It exits with 1 where a required test that applies is
// not passed, or where not as many tests apply as should; with 2 where it could
// not run the suite.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

type options struct {
	suite     string
	pattern   string
	transport string
	store     string
	json      string
	verbose   bool
}

// errNotConforming means that the suite ran and that its outcome is not good.
var errNotConforming = errors.New("not conforming")

func main() {
	var o options
	flag.StringVar(&o.suite, "suite", "", "`folder` of a checkout of the suite's repository; the default is the npm release")
	flag.StringVar(&o.pattern, "run", "", "run only the tests whose id matches `regexp`, and what they depend on; print their requests and responses")
	flag.StringVar(&o.transport, "rt", "ours", "the `transport` to test: ours, none, gregjones")
	flag.StringVar(&o.store, "store", "sqlite", "the `store` of ours: sqlite, memory")
	flag.StringVar(&o.json, "json", "", "write what became of each test to `file`")
	flag.BoolVar(&o.verbose, "v", false, "print every test and what the suite prints")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	switch {
	case errors.Is(err, errNotConforming):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, o options) (err error) {
	if _, err := regexp.Compile(o.pattern); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	base := http.RoundTripper(newBase())
	var record *wire
	if o.pattern != "" {
		record = newWire()
		base = record.around(base)
	}
	rt, closeStore, err := newTransport(ctx, o.transport, o.store, base)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	s, err := openSuite(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	origin, err := s.startOrigin(ctx)
	if err != nil {
		return err
	}
	proxy, err := listen(ctx, &front{origin: origin, transport: rt, wire: record})
	if err != nil {
		return err
	}
	defer proxy.close()

	results, err := s.runClient(ctx, proxy.url, o.pattern)
	if err != nil {
		return err
	}
	outcome := judge(results, s.edition)
	if o.json != "" {
		if err := writeJSON(o.json, results); err != nil {
			return err
		}
	}
	if record != nil {
		record.print(os.Stdout, results)
	}
	report(os.Stdout, results, o.verbose || o.pattern != "")
	return outcome.check(s.edition, o.pattern != "")
}

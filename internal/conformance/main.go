// The conformance program runs the public suite of tests for HTTP caches against
// the library's transport, and tells how many of those that apply to it pass: with each
// of three keys, and in two forms, see keys.go and strict.go.
//
//	go run .                      the suite's npm release
//	go run . -suite DIR           a checkout of the suite's repository
//	go run . -key vary -form plain
//	go run . -run '^304-'         some tests, with what went over the wire
//	go run . -rt none             no cache at all
//
// It needs node and npm. It exits with 1 where a required test that applies is
// not passed, or where not as many tests apply, or optional ones pass, as should; with 2
// where it could not run the suite.
package main

import (
	"cmp"
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
	key       string
	form      string
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
	flag.StringVar(&o.key, "key", "", "the `key` of ours: default, declared, vary; the default is each, and vary with -run")
	flag.StringVar(&o.form, "form", "", "the `form` of the suite: plain, strict; the default is each, and strict with -run")
	flag.StringVar(&o.json, "json", "", "write what became of each test to `file`")
	flag.BoolVar(&o.verbose, "v", false, "print every test and what the suite prints")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := all(ctx, o)
	stop()
	switch {
	case errors.Is(err, errNotConforming):
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
}

// all runs the suite with each key, in each form.
func all(ctx context.Context, o options) error {
	if _, err := regexp.Compile(o.pattern); err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	keys, forms, err := o.choose()
	if err != nil {
		return err
	}
	var runs []run
	var failed error
	for _, form := range forms {
		of, err := inForm(ctx, o, keys, form)
		if runs = append(runs, of...); err != nil && !errors.Is(err, errNotConforming) {
			return err
		}
		failed = errors.Join(failed, err)
	}
	if o.json != "" {
		failed = errors.Join(failed, writeJSON(o.json, runs))
	}
	return failed
}

const (
	plainForm  = "plain"
	strictForm = "strict"
)

// choose returns the keys and forms that are asked for.
func (o options) choose() (keys []keying, forms []string, err error) {
	if o.pattern != "" { // whoever looks at single tests need not see them six times
		o.key, o.form = cmp.Or(o.key, "vary"), cmp.Or(o.form, strictForm)
	}
	for _, k := range keyings {
		if o.key == "" || o.key == k.name {
			keys = append(keys, k)
		}
	}
	for _, f := range []string{plainForm, strictForm} {
		if o.form == "" || o.form == f {
			forms = append(forms, f)
		}
	}
	switch {
	case len(keys) == 0:
		return nil, nil, fmt.Errorf("no key %q: default, declared or vary", o.key)
	case len(forms) == 0:
		return nil, nil, fmt.Errorf("no form %q: plain or strict", o.form)
	case o.transport != "ours":
		keys = []keying{{}} // the peers have keys of their own
	}
	return keys, forms, nil
}

// inForm runs one form of the suite with the keys.
func inForm(ctx context.Context, o options, keys []keying, form string) (runs []run, err error) {
	s, err := openSuite(ctx, o, form == strictForm)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	origin, err := s.startOrigin(ctx)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, key := range keys {
		fmt.Printf("%s form", form)
		if key.name != "" {
			fmt.Printf(", key %q: %s", key.name, key.why)
		}
		fmt.Println()
		results, err := withKey(ctx, o, s, origin, key)
		if results != nil {
			runs = append(runs, run{key.name, form, results})
		}
		if err != nil && !errors.Is(err, errNotConforming) {
			return runs, err
		}
		failed = errors.Join(failed, err)
	}
	return runs, failed
}

// withKey runs the suite once.
func withKey(ctx context.Context, o options, s *suite, origin string, key keying) (results []*result, err error) {
	base := http.RoundTripper(newBase())
	var record *wire
	if o.pattern != "" {
		record = newWire()
		base = record.around(base)
	}
	rt, closeStore, err := newTransport(ctx, o.transport, o.store, key, base)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	proxy, err := listen(ctx, &front{origin: origin, transport: rt, wire: record})
	if err != nil {
		return nil, err
	}
	defer proxy.close()

	results, err = s.runClient(ctx, proxy.url, o.pattern)
	if err != nil {
		return nil, err
	}
	outcome := judge(results, s.edition)
	if record != nil {
		record.print(os.Stdout, results)
	}
	report(os.Stdout, results, o.verbose || o.pattern != "")
	return results, outcome.check(s.edition, key.name, o.pattern != "")
}

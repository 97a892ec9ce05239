// Music uses the SDK of this folder: it lists the new releases of a music API, the
// tracks of the newest albums and their artists, and fetches a library of tracks by
// their ids. What it has in its store is not fetched again:
//
//	$ go run ./examples/musicsdk/cmd/music    # fetches all
//	$ go run ./examples/musicsdk/cmd/music    # fetches nothing
//	$ sqlite3 music.db 'SELECT id, market, name, expires_at FROM tracks LIMIT 5'
//
// With -store it keeps them elsewhere, as in -store postgres://user:password@host/database.
//
// It needs no network: unless -api names another, it serves the API itself, on a
// loopback port, with answers that take 5 ms and a failure now and then. With -offline
// it serves and asks nobody, and shows what is there.
//
// The exit code is 0 if all that the API has is in the store, 1 if something failed,
// 2 for wrong flags and 130 after an interrupt. After each of them, what was fetched is
// in the store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program. Its result goes to stdout, all else to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	o, err := parseFlags(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stdout)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "music: %v\nmusic -h lists the flags.\n", err)
		return 2
	}
	failed, err := fetchAll(ctx, o, stdout, stderr)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(stderr, "music: interrupted. What was fetched is stored; the next run fetches the rest.")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "music:", err)
		return 1
	case failed > 0:
		return 1
	}
	return 0
}

// fetchAll does the job with a client of its own. It returns how many tracks could not
// be fetched.
func fetchAll(ctx context.Context, o *options, stdout, stderr io.Writer) (failed int, err error) {
	if o.api == "" && o.offline {
		o.api = "http://localhost" // nobody asks it
	}
	if o.api == "" {
		api, startErr := startLocalAPI(ctx, o.delay)
		if startErr != nil {
			return 0, startErr
		}
		defer func() { err = errors.Join(err, api.Close()) }()
		o.api, o.id, o.secret = api.URL, clientID, clientSecret
	}
	base := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: inFlight}
	defer base.CloseIdleConnections()
	counted := &counter{base: base}
	client, err := newClient(ctx, o, counted, stderr)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	j := &job{options: o, client: client, requests: &counted.requests, stdout: stdout, stderr: stderr, start: time.Now()}
	return j.do(ctx)
}

func newClient(ctx context.Context, o *options, base http.RoundTripper, stderr io.Writer) (*musicsdk.Client, error) {
	opts := &musicsdk.Options{
		Market:    o.market,
		Transport: base,
		InFlight:  inFlight,
		Rate:      o.rate,
		Offline:   o.offline,
	}
	if o.id != "" {
		opts.Token = musicsdk.ClientCredentials(o.api, o.id, o.secret, base)
	}
	if o.verbose {
		opts.OnWait = func(d time.Duration) { fmt.Fprintf(stderr, "the API is busy: waiting %v\n", d.Round(time.Millisecond)) }
	}
	if o.store != "" {
		opened, err := store.Open(ctx, o.store, &store.Options{Name: "music"})
		if err != nil {
			return nil, err
		}
		opts.Store = opened
	}
	return musicsdk.New(ctx, o.api, opts)
}

// inFlight is how many requests are under way at once.
const inFlight = 8

// counter counts the requests that reach the network.
type counter struct {
	base     http.RoundTripper
	requests atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.base.RoundTrip(req)
}

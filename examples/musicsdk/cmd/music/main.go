// Music uses the SDK of this folder: it lists the new releases of a music API, the
// tracks of the newest albums and their artists, and fetches a library of tracks by
// their ids. What it has in its store is not fetched again:
//
//	$ go run ./examples/musicsdk/cmd/music    # fetches all
//	$ go run ./examples/musicsdk/cmd/music    # fetches nothing
//	$ sqlite3 music.db 'SELECT id, market, name, expires_at FROM tracks LIMIT 5'
//
// With -store it keeps them elsewhere; a store that has a server needs its client:
//
//	$ go run -tags allstores ./examples/musicsdk/cmd/music -store postgres://user:password@host/database
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
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/examples/internal/anystore"
	"github.com/endpointcache/endpointcache/examples/internal/program"
	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/settings"
)

func main() { program.Main(newCommand()) }

func newCommand() *program.Command {
	o := &options{store: anystore.New("sqlite:music.db")}
	return &program.Command{
		Name: name, Usage: usage, Flags: o.flags(), Check: o.check,
		Do: func(ctx context.Context, stdout, stderr io.Writer) (int, error) {
			return fetchAll(ctx, o, stdout, stderr)
		},
	}
}

// fetchAll does the job with a client of its own. It returns how many tracks could not
// be fetched.
func fetchAll(ctx context.Context, o *options, stdout, stderr io.Writer) (failed int, err error) {
	o.local = o.api == ""
	if o.local && o.offline {
		o.api = "http://localhost" // nobody asks it
	}
	if o.api == "" {
		api, startErr := startLocalAPI(ctx, o.delay)
		if startErr != nil {
			return 0, startErr
		}
		defer func() { err = errors.Join(err, api.Close()) }()
		o.api, o.id, o.secret = api.URL.String(), clientID, clientSecret
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
	if o.local {
		opts.StoredFrom = settings.AnyBaseURL // each run serves the API on another port
	}
	if o.id != "" {
		opts.Token = musicsdk.ClientCredentials(o.api, o.id, o.secret, base)
	}
	if o.verbose {
		opts.OnWait = func(d time.Duration) { fmt.Fprintf(stderr, "the API is busy: waiting %v\n", d.Round(time.Millisecond)) }
	}
	if !o.noStore {
		opened, err := o.store.Open(ctx, name)
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

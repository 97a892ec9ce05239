package fetch

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/origin"
)

// Client sends requests, for any number of endpoints. Many goroutines may use it
// at once.
type Client struct {
	base    *url.URL
	doer    Doer
	retrier *origin.Retrier
	timeout time.Duration // of an attempt; 0: none
	maxBody int
	offline bool              // nothing is sent
	signer  credential.Signer // what adds credentials below the cache; may be nil
	closing closing

	closeTransport func()
}

// NewClient returns a client, which is to be closed.
func NewClient(opts *Options) (*Client, error) {
	s, err := opts.settle()
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	c := &Client{
		base:           s.base,
		doer:           s.Client,
		retrier:        s.retrier,
		timeout:        s.Timeout,
		maxBody:        s.MaxBody,
		offline:        s.Offline,
		signer:         signerOf(s.Client),
		closeTransport: s.close,
	}
	c.closing.init()
	return c, nil
}

// signerOf finds what adds credentials to the requests of a client, as far as it is known.
func signerOf(doer Doer) credential.Signer {
	client, _ := doer.(*http.Client)
	if guarded, ok := doer.(redirect.Client); ok {
		client = guarded.Client
	}
	if client == nil || client.Transport == nil {
		return nil
	}
	return credential.SignerOf(client.Transport)
}

// Base is the URL of the API that the endpoints' requests are built with, nil where
// none is known. It belongs to the caller.
func (c *Client) Base() *url.URL {
	if c.base == nil {
		return nil
	}
	base := *c.base
	return &base
}

// Close ends all requests and everything that goes on in the background, and waits
// for it. Calls that wait for an answer get [ErrClosed], as does every call from
// then on. Answers that have already come are still saved, so the stores are to be
// closed afterwards. Closing twice is not an error.
func (c *Client) Close() error {
	c.closing.close()
	c.closeTransport()
	return nil
}

// closing lets what a client does be ended together.
type closing struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	ctx     context.Context // done when the client is closed
	cancel  context.CancelFunc
	flights map[*exchange.Flight]bool // that ask for one key
}

func (c *closing) init() {
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.flights = make(map[*exchange.Flight]bool)
}

// enter is false where nothing may begin any more. Otherwise, leave is due.
func (c *closing) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

func (c *closing) leave() { c.running.Done() }

// begin counts a flight that is begun by what has entered, until it has landed. It ends
// when the client is closed.
func (c *closing) begin(f *exchange.Flight) {
	c.running.Add(1)
	c.mu.Lock()
	c.flights[f] = true
	closed := c.closed
	c.mu.Unlock()
	if closed {
		f.End(ErrClosed)
	}
}

// expect counts n flights that have boarded a request, until they have landed.
func (c *closing) expect(n int) { c.running.Add(n) }

func (c *closing) landed(f *exchange.Flight) {
	c.mu.Lock()
	delete(c.flights, f)
	c.mu.Unlock()
	c.leave()
}

func (c *closing) close() {
	c.mu.Lock()
	c.closed = true
	flights := slices.Collect(maps.Keys(c.flights))
	c.mu.Unlock()
	for _, f := range flights {
		f.End(ErrClosed)
	}
	c.cancel()
	c.running.Wait()
}

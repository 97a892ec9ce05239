package fetch

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/go-resty/resty/v2"
)

// Client sends requests, for any number of endpoints. Many goroutines may use it
// at once.
type Client struct {
	*sender
	budget *budget // nil: no limit
}

// NewClient returns a client, which is to be closed.
func NewClient(opts *Options) (*Client, error) {
	s, err := opts.settle()
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return &Client{sender: newSender(s)}, nil
}

// WithRetryBudget returns a client that shares everything with c, except that its
// own requests have n retries together, at most. When these are used up, a request
// that fails has failed at once, with an error that wraps [ErrRetryBudget]. To
// close either closes both.
//
// A client has no budget by default: how often a request is tried does then not
// depend on what became of others.
func (c *Client) WithRetryBudget(n int) *Client {
	b := &budget{}
	b.left.Store(int64(max(0, n)))
	return &Client{sender: c.sender, budget: b}
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
// for it. Whoever waits for an answer gets [ErrClosed], as does every call from
// then on. Answers that have already come are still saved, so the stores are to be
// closed afterwards. Closing twice is not an error.
func (c *Client) Close() error {
	c.closing.close()
	c.closeTransport()
	return nil
}

// budget is a number of retries. Nil is without limit.
type budget struct{ left atomic.Int64 }

// take reports whether there was a retry left, which there then is no more.
func (b *budget) take() bool { return b == nil || b.left.Add(-1) >= 0 }

// closing lets what a client does be ended together.
type closing struct {
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	ctx     context.Context // done when the client is closed
	cancel  context.CancelFunc
}

func (c *closing) init() { c.ctx, c.cancel = context.WithCancel(context.Background()) }

// enter is false where nothing may begin any more. Otherwise, leave is due.
func (c *closing) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.running.Add(1)
	}
	return !c.closed
}

// enterAlso is enter for one more thing that is begun by what has entered.
func (c *closing) enterAlso() { c.running.Add(1) }

func (c *closing) leave() { c.running.Done() }

// bind returns a context that is also done when the client is closed, with
// [ErrClosed] as its cause.
func (c *closing) bind(ctx context.Context) (context.Context, context.CancelFunc) {
	bound, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(c.ctx, func() { cancel(ErrClosed) })
	return bound, func() {
		forget()
		cancel(context.Canceled)
	}
}

func (c *closing) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
}

// newSender has resty make one attempt at a time, with nothing logged of those
// that fail. What repeats them is resty, too, see [resty.Backoff].
func newSender(o *settled) *sender {
	client := o.Client.Clone()
	client.RetryCount = 0
	if client.RetryAfter == nil {
		client.RetryAfter = retryAfter
	}
	client.ResponseBodyLimit = o.MaxBody
	client.SetDoNotParseResponse(false)
	// The request is the endpoint's: these would change its URL and its body.
	client.PathParams, client.RawPathParams, client.FormData = nil, nil, nil
	client.SetUnescapeQueryParams(false)
	client.AllowGetMethodPayload = false // costs each GET without a body a goroutine
	getBody := client.Clone()
	getBody.AllowGetMethodPayload = true
	s := &sender{
		base:       o.base,
		client:     client,
		getBody:    getBody,
		retries:    o.Retries,
		conditions: retryConditions(client),
		backoff: []resty.Option{
			resty.Retries(o.Retries),
			resty.WaitTime(client.RetryWaitTime),
			resty.MaxWaitTime(o.MaxRetryWait),
			resty.RetryHooks(client.RetryHooks),
		},
		offline:        o.Offline,
		timeout:        o.Timeout,
		closeTransport: o.close,
	}
	s.closing.init()
	return s
}

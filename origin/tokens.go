package origin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// ErrClosed is the error of requests that need a new token when the transport has been
// closed.
var ErrClosed = errors.New("origin: the transport is closed")

// tokens are one after another the tokens of the credentials. A request whose token was
// refused tells the token's number, so that of many such requests only the first begins a
// refresh, and none does after that has ended.
type tokens struct {
	name      string // of the identity that they are for; may be empty
	hosts     map[string]bool
	ask       func(ctx context.Context, old string) (Token, error)
	set       func(*http.Request, string) // nil: bearer
	cleartext bool
	told      func(error)
	refreshes atomic.Int64

	mu      sync.Mutex
	token   Token
	number  int       // the token's; 0 is none yet
	doubted bool      // whether it is to be replaced before the next request
	kept    time.Time // until when it stays, though it was refused
	refresh *refresh  // that can be joined, nil: none
	closed  bool
	turn    chan struct{} // taken by the goroutine that calls ask: one at a time
	running sync.WaitGroup
}

// keepFor is how long a token stays that was refused when it was new: then the token is
// not the reason, and there would be a refresh for each request.
const keepFor = 10 * time.Second

func newTokens(c *Credentials) *tokens {
	t := &tokens{
		name:      c.Identity,
		hosts:     make(map[string]bool, len(c.Hosts)),
		ask:       c.Token,
		set:       c.Set,
		cleartext: c.Cleartext,
		told:      c.OnRefresh,
		turn:      make(chan struct{}, 1),
	}
	for _, text := range c.Hosts {
		name, _ := parseHost(text) // which was checked
		t.hosts[name] = true
	}
	return t
}

// sign puts the token into a request and returns its number. The error is a panic of the
// user's function.
func (c *tokens) sign(req *http.Request) (number int, err error) {
	c.mu.Lock()
	value, number := c.token.Value, c.number
	c.mu.Unlock()
	if c.set == nil {
		bearer(req, value)
		return number, nil
	}
	return number, caught("Set", func() { c.set(req, value) }, value)
}

// ready returns when there is a token that may be good.
func (c *tokens) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &waitError{"for a token", err}
	}
	c.mu.Lock()
	expired := !c.token.Expires.IsZero() && !time.Now().Before(c.token.Expires)
	if c.number > 0 && !c.doubted && !expired {
		c.mu.Unlock()
		return nil
	}
	return c.wait(ctx, c.join())
}

// renew returns when there is another token than the one that was refused, or when there
// will be none: with an error, or because it stays the same.
func (c *tokens) renew(ctx context.Context, refused int) (bool, error) {
	c.mu.Lock()
	switch {
	case c.number != refused:
		c.mu.Unlock()
		return true, nil
	case time.Now().Before(c.kept):
		c.mu.Unlock()
		return false, nil
	}
	if err := c.wait(ctx, c.join()); err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.number != refused, nil
}

// doubt has a token replaced before the next request.
func (c *tokens) doubt(refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.number == refused && !time.Now().Before(c.kept) {
		c.doubted = true
	}
}

// keep is for a token that was refused when it was new.
func (c *tokens) keep(refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.number == refused {
		c.kept = time.Now().Add(keepFor)
	}
}

// refresh is one call of Token, for all requests that wait for it.
type refresh struct {
	cancel  context.CancelFunc
	waiting int
	done    chan struct{}
	err     error // set when done
}

// refreshing is the key of the context's value in a refresh: the tokens.
type refreshing struct{}

// join counts the caller among those that wait for a refresh, the one that is under way
// or a new one. It keeps the lock for wait.
func (c *tokens) join() *refresh {
	if c.refresh == nil {
		c.begin()
	}
	c.refresh.waiting++
	return c.refresh
}

func (c *tokens) begin() {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), refreshing{}, c))
	r := &refresh{cancel: cancel, done: make(chan struct{})}
	c.refresh = r
	if c.closed {
		cancel()
		r.err = Permanent(ErrClosed)
		close(r.done)
		return
	}
	number := c.number
	c.running.Go(func() {
		defer cancel()
		err := errExited
		defer func() { c.end(r, err) }()
		err = c.next(ctx, number)
	})
}

// errExited is the error of a refresh in which Token or OnRefresh has called
// [runtime.Goexit], as a test's Fatal does.
var errExited = Permanent(errors.New("origin: get the token: Token or OnRefresh has ended its goroutine"))

// end tells the requests that wait for a refresh how it ended.
func (c *tokens) end(r *refresh, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refresh == r {
		c.refresh = nil
	}
	if err != nil && c.closed {
		err = Permanent(ErrClosed)
	}
	r.err = err
	close(r.done)
}

// next asks for the token after the one of that number. One that others have given up
// and that goes on nevertheless is waited for, and its token used.
func (c *tokens) next(ctx context.Context, number int) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	old, come := c.token.Value, c.number != number
	c.mu.Unlock()
	if come {
		return nil
	}
	c.refreshes.Add(1)
	token, err := c.call(ctx, old)
	if err == nil && token.Value == "" {
		err = errors.New("it is empty")
	}
	if err == nil {
		c.replace(token)
	} else {
		err = fmt.Errorf("origin: get the token: %w", secret.Error(err))
	}
	if panicked := c.tell(err, old, token.Value); panicked != nil {
		err = errors.Join(err, fmt.Errorf("origin: get the token: %w", panicked))
	}
	return err
}

// call calls Token.
func (c *tokens) call(ctx context.Context, old string) (token Token, err error) {
	if panicked := caught("Token", func() { token, err = c.ask(ctx, old) }, old); panicked != nil {
		return Token{}, panicked
	}
	return token, err
}

// tell calls OnRefresh.
func (c *tokens) tell(outcome error, secrets ...string) error {
	if c.told == nil {
		return nil
	}
	return caught("OnRefresh", func() { c.told(outcome) }, secrets...)
}

func (c *tokens) replace(token Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.number == 0 || token.Value != c.token.Value {
		c.number++
	}
	c.token, c.doubted, c.kept = token, false, time.Time{}
}

// wait waits for a refresh, with the lock held that join has kept.
func (c *tokens) wait(ctx context.Context, r *refresh) error {
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.waiting--; r.waiting == 0 {
		r.cancel()
		if c.refresh == r {
			c.refresh = nil
		}
	}
	return &waitError{"for a token", ctx.Err()}
}

func (c *tokens) close() {
	c.mu.Lock()
	c.closed = true
	if c.refresh != nil {
		c.refresh.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}

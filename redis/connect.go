package redis

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/internal/gate"
)

// connect makes a client. rueidis does not ask a context while it connects: when that
// is done, its connections are closed under it.
func connect(ctx context.Context, option rueidis.ClientOption) (rueidis.Client, error) {
	if err := gate.Usable(ctx); err != nil {
		return nil, err
	}
	o := &opening{dial: option.DialCtxFn}
	if o.dial == nil {
		o.dial = dial
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	defer o.cancel()
	option.DialCtxFn = o.connect
	stop := context.AfterFunc(ctx, o.abort)
	client, err := rueidis.NewClient(option)
	if !stop() {
		if err == nil {
			client.Close()
		}
		return nil, ctx.Err()
	}
	o.end()
	return client, err
}

type dialFunc = func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error)

// opening knows the connections of a client that is being made.
type opening struct {
	dial   dialFunc
	ctx    context.Context // done when the client is not wanted any more
	cancel context.CancelFunc

	mu    sync.Mutex
	made  bool // the client
	conns []net.Conn
}

func (o *opening) connect(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	o.mu.Lock()
	made := o.made
	o.mu.Unlock()
	if made {
		return o.dial(ctx, address, dialer, config)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(o.ctx, cancel)()
	conn, err := o.dial(ctx, address, dialer, config)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.made && o.ctx.Err() != nil {
		return nil, closing(conn, o.ctx.Err())
	}
	if !o.made {
		o.conns = append(o.conns, conn)
	}
	return conn, nil
}

func (o *opening) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancel()
	for _, c := range slices.Concat(o.conns) {
		_ = closing(c, nil)
	}
}

func (o *opening) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.made, o.conns = true, nil
}

// closing closes a connection that nobody uses and returns the error that it was given.
func closing(c net.Conn, err error) error {
	_ = c.Close()
	return err
}

func dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return dialer.DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
}

package testserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePort returns a loopback port that nobody listens on. It is below those that
// systems give to outgoing connections, or a client could get it while the server
// restarts, and even be connected to itself. So is the one 10,000 above it, at which a
// node of a Redis cluster listens to the others.
func freePort(ctx context.Context) (int, error) {
	var errs []error
	for range 100 {
		port := 15_000 + rand.IntN(7_500)
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", address(port))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("no free port: %w", errors.Join(errs...))
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// onFreePort starts a server on a free port, and on another where that one was
// taken meanwhile.
func onFreePort(ctx context.Context, start func(port int) error) error {
	var err error
	for range 5 {
		var port int
		if port, err = freePort(ctx); err != nil {
			return err
		}
		if err = start(port); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

var errPortTaken = errors.New("the port is taken")

package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

// listening says where a command serves HTTP.
type listening struct {
	Listen      string `help:"The address to listen at; port 0 is any free one." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
	AllowRemote bool   `help:"Let other machines connect: --listen may be an address of the network."`
}

// check reports what is wrong with the flags.
func (l *listening) check() error {
	host, _, err := net.SplitHostPort(l.Listen)
	if err != nil {
		return usagef("--listen: %w", err)
	}
	if !l.AllowRemote && !hostname.IsLoopback(host) {
		return usagef("--listen %s could be reached from other machines: --allow-remote lets it", l.Listen)
	}
	return nil
}

// listen serves until use returns or the context ends. use gets the base URL.
func (l *listening) listen(ctx context.Context, s *session, handler http.Handler, use func(ctx context.Context, base string) error) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.Listen)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return serving },
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		stop(server.Serve(listener))
	}()
	base := "http://" + listener.Addr().String()
	err = use(serving, base)
	if cause := context.Cause(serving); err == nil && ctx.Err() == nil && cause != nil {
		err = cause // it does not serve any more
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(end) != nil {
		err = errors.Join(err, server.Close())
	}
	<-served
	return err
}

// announceAt tells where it serves, and waits for the end.
func (s *session) announceAt(ctx context.Context, url string) error {
	if s.JSON {
		if err := s.out.JSON(map[string]string{"url": url}); err != nil {
			return err
		}
	} else {
		s.out.Printf("%s\n", url)
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

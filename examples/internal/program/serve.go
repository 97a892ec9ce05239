package program

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Server is an HTTP server on a loopback port.
type Server struct {
	URL    *url.URL
	server *http.Server
}

// Serve starts a server, which the caller closes.
func Serve(ctx context.Context, handler http.Handler) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) // until Close, of which its error tells
	return &Server{URL: &url.URL{Scheme: "http", Host: listener.Addr().String()}, server: server}, nil
}

// Close stops the server.
func (s *Server) Close() error { return s.server.Close() }

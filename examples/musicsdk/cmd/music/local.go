package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
)

// What the API that is served is like, for the client to have something to cope with.
const (
	clientID     = "music"
	clientSecret = "not a secret: it is for this server"
	failEvery    = 40 // of its requests, one is answered with 503
)

// localAPI is a music API on a loopback port.
type localAPI struct {
	URL    string
	server *http.Server
}

// startLocalAPI starts an API that runs until Close.
func startLocalAPI(ctx context.Context, delay time.Duration) (*localAPI, error) {
	api, err := musicapi.New(&musicapi.Options{
		ClientID: clientID, ClientSecret: clientSecret, Delay: delay, FailEvery: failEvery,
	})
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) // until Close, of which its error tells
	return &localAPI{URL: "http://" + listener.Addr().String(), server: server}, nil
}

// Close stops the API.
func (a *localAPI) Close() error { return a.server.Close() }

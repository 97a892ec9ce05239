package main

import (
	"context"
	"time"

	"github.com/endpointcache/endpointcache/examples/internal/program"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
)

// What the API that is served is like, for the client to have something to cope with.
const (
	clientID     = "music"
	clientSecret = "not a secret: it is for this server"
	failEvery    = 40 // of its requests, one is answered with 503
)

// startLocalAPI starts a music API on a loopback port, which the caller closes.
func startLocalAPI(ctx context.Context, delay time.Duration) (*program.Server, error) {
	api, err := musicapi.New(&musicapi.Options{
		ClientID: clientID, ClientSecret: clientSecret, Delay: delay, FailEvery: failEvery,
	})
	if err != nil {
		return nil, err
	}
	return program.Serve(ctx, api)
}

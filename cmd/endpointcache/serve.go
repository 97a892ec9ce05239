package main

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/inspector"
)

type serveCommand struct {
	target
	listening
	Base         string   `help:"The origin to compare entries with whose origin the store does not know: https://host." placeholder:"URL"`
	AllowChanges bool     `help:"Let whoever sees the pages expire and delete entries."`
	Host         []string `help:"A name, without a port, by which the pages may be reached besides those of this machine; with --allow-remote its addresses and the name of this machine, if none is given; * is any." placeholder:"NAME"`
}

// Help is what --help tells besides.
func (serveCommand) Help() string {
	return `Shows the cache in a browser: repositories, search, each entry with its headers, freshness and body. It prints the address, and serves until an interrupt. Nothing can be changed without --allow-changes, and nobody on another machine can see it without --allow-remote.

  endpointcache serve sqlite:music.db`
}

// Run serves the inspector's pages.
func (c *serveCommand) Run(ctx context.Context, s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	hosts := c.Host
	if c.AllowRemote && len(hosts) == 0 {
		hosts = []string{"0.0.0.0"} // any address: by a name, other sites could read the pages
		if name, err := os.Hostname(); err == nil && name != "" {
			hosts = append(hosts, name, name+".local")
		}
	}
	origin := s.origin
	if origin == nil {
		origin = http.DefaultTransport
	}
	return c.with(ctx, s, c.AllowChanges, func(rc *cache.ResponseCache) error {
		pages, err := inspector.Handler(rc, &inspector.Options{Origin: origin, BaseURL: c.Base, AllowChanges: c.AllowChanges, Hosts: hosts, Now: s.now})
		if err != nil {
			return err
		}
		err = c.listen(ctx, s, pages, func(ctx context.Context, base string) error {
			return s.announceAt(ctx, base+"/")
		})
		return errors.Join(err, pages.Close())
	})
}

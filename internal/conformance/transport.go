package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gregjones/httpcache"
)

// newTransport returns the transport of that name on base, and what closes it.
// That of a peer shows that the harness does not let everything pass.
func newTransport(ctx context.Context, name, store string, key keying, base http.RoundTripper) (http.RoundTripper, func() error, error) {
	switch name {
	case "ours":
		return ours(ctx, store, key, base)
	case "none":
		return base, func() error { return nil }, nil
	case "gregjones":
		t := httpcache.NewMemoryCacheTransport()
		t.Transport = base
		return t, func() error { return nil }, nil
	default:
		return nil, nil, fmt.Errorf("no transport %q: ours, none or gregjones", name)
	}
}

package storeurl

import (
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
)

// A client gets the scheme as it knows it, and the rest as it is.
func TestSchemeInCapitals(t *testing.T) {
	var got string
	set := Set{{Name: "some", Schemes: []string{"some+tls"}, Open: func(_ context.Context, address string, _ Options) (driver.Store, error) {
		got = address
		return nil, nil
	}}}
	if _, err := set.Open(t.Context(), "SOME+Tls://User:Secret@Host", Options{}); err != nil || got != "some+tls://User:Secret@Host" {
		t.Errorf("%q, %v", got, err)
	}
}

//go:build !allstores

package anystore

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/storeurl"
)

// moreStores tells how to get the others.
const moreStores = ";\nfor those with a server, build with -tags allstores"

var storeForms = storeurl.Embedded.Forms

func openStore(ctx context.Context, address, name string) (driver.Store, error) {
	return storeurl.Embedded.Open(ctx, address, storeurl.Options{Name: name})
}

func storeKind(address string) string {
	if kind := storeurl.Embedded.Kind(address); kind != nil {
		return kind.Name
	}
	return ""
}

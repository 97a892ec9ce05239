//go:build allstores

package anystore

import (
	"context"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/store"
)

const moreStores = ""

var (
	storeForms = store.Forms
	storeKind  = store.Kind
)

func openStore(ctx context.Context, address, name string) (driver.Store, error) {
	return store.Open(ctx, address, &store.Options{Name: name})
}

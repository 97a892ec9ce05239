//go:build !allstores

package anystore

import "github.com/endpointcache/endpointcache/internal/storeurl"

// moreStores tells how to get the others.
const moreStores = ";\nfor those with a server, build with -tags allstores"

var (
	storeForms = storeurl.Embedded.Forms
	openStore  = storeurl.Embedded.Open
)

func storeKind(address string) string {
	if kind := storeurl.Embedded.Kind(address); kind != nil {
		return kind.Name
	}
	return ""
}

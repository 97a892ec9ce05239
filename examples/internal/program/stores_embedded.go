//go:build !allstores

package program

import "github.com/endpointcache/endpointcache/internal/storeurl"

// A program is built with the stores that need no server, which takes a third of the
// time, and with the clients of all others where it is asked to:
//
//	go run -tags allstores ./examples/modproxy -store redis://localhost
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

package endpoint

import (
	"context"
	"net/http"
	"net/url"

	"github.com/endpointcache/endpointcache/driver"
)

// Recipe is what a store remembers of an endpoint beside its [Text], so that programs which do
// not have its key type can take keys from requests, and make requests for keys: lines, as package
// request writes and reads them.
func Recipe(endpoint any) []string {
	if e, ok := endpoint.(interface{ Recipe() []string }); ok {
		return e.Recipe()
	}
	return []string{NoneLine}
}

// NoneLine is the recipe of an endpoint that does not tell.
const NoneLine = "none"

// ByVaryLine is the line of a recipe for a repository that keeps the responses of a key by their
// Vary header, see [ByVary].
const ByVaryLine = "by-vary"

// Untyped is an endpoint whose keys are the values of their columns. It also tells what other
// endpoints tell.
type Untyped interface {
	KeyValues(req *http.Request) (key driver.Key, ok bool, err error)
	RequestFor(ctx context.Context, base *url.URL, key driver.Key) (*http.Request, error)
}

// Remembered makes an endpoint of what a store remembers of it: its text, its recipe, nil where
// an earlier version has stored it, the columns of its keys, and whether keys have an identity
// before these. Package request sets it.
var Remembered func(text string, recipe []string, key []driver.Column, byIdentity bool) (Untyped, error)

package openapi_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/examples/openapi/librarycache"
	"github.com/endpointcache/endpointcache/examples/openapi/oapiclient"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/request"
)

// The request for a key is that which a generated client makes of the same values, so that it
// is answered by what a typed call has stored. One value with a comma has another key.
func TestListsOfAClientHaveTheKeysOfTypedCalls(t *testing.T) {
	library := start(t.Context())
	defer library.Close()
	client := must(fetch.NewClient(&fetch.Options{BaseURL: library.URL}))
	defer client.Close()
	books := must(librarycache.Fetcher(library.Cache, client, librarycache.GetBooks, nil))
	isbns := []string{"9780141439518", "9780141439587"}
	if _, err := books.Fetch(t.Context(), librarycache.GetBooksKey{ISBN: request.JoinList(isbns...)}); err != nil {
		t.Fatal(err)
	}
	if asked := library.Requests(); len(asked) != 1 {
		t.Fatalf("the typed call made the requests %q", asked)
	}
	c := must(oapiclient.NewClientWithResponses(library.URL, oapiclient.WithHTTPClient(librarycache.Client(library.Cache, nil))))
	for want, isbns := range [][]string{isbns, {isbns[0] + "," + isbns[1]}} {
		if _, err := c.GetBooksWithResponse(t.Context(), &oapiclient.GetBooksParams{Isbn: isbns}); err != nil {
			t.Fatal(err)
		}
		if asked := library.Requests(); len(asked) != want {
			t.Errorf("for %q, the client made the requests %q", isbns, asked)
		}
	}
}

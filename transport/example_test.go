package transport_test

import (
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/transport"
)

func ExampleNew() {
	api, c := newAPI(), newCache()
	defer api.Close()
	defer c.Close() // waits for what goes on in the background

	client := &http.Client{Transport: transport.New(c, nil)}
	show(client.Get(api.URL + "/tracks/1"))
	show(client.Get(api.URL + "/tracks/1"))
	fmt.Println("hits:", c.Stats().Hits)
	// Output:
	// the API is asked for /tracks/1
	// {"title": "Blue"}, from the cache: false
	// {"title": "Blue"}, from the cache: true
	// hits: 1
}

package openapi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"

	"github.com/microsoft/kiota-abstractions-go/authentication"
	nethttplibrary "github.com/microsoft/kiota-http-go"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/examples/openapi/kiotaclient"
	"github.com/endpointcache/endpointcache/examples/openapi/libraryapi"
	"github.com/endpointcache/endpointcache/examples/openapi/librarycache"
	"github.com/endpointcache/endpointcache/examples/openapi/oapiclient"
	"github.com/endpointcache/endpointcache/examples/openapi/ogenclient"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/pages"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/transport"
)

// Library is the API, and a cache with the tables for it.
type Library struct {
	*libraryapi.Server
	URL   string
	Cache *cache.ResponseCache
	api   *httptest.Server
}

func start(ctx context.Context) *Library {
	api := libraryapi.New()
	server := httptest.NewServer(api)
	c := must(cache.New(must(memory.New(nil)), nil)) // or sqlite.Open, or any other store
	if err := librarycache.Create(ctx, c); err != nil {
		log.Fatal(err)
	}
	return &Library{api, server.URL, c, server}
}

func (l *Library) Close() {
	if err := l.Cache.Close(); err != nil {
		log.Fatal(err)
	}
	l.api.Close()
}

func Example_oapiCodegen() {
	ctx := context.Background()
	library := start(ctx)
	defer library.Close()

	client := must(oapiclient.NewClientWithResponses(library.URL, oapiclient.WithHTTPClient(librarycache.Client(library.Cache, nil))))
	for range 2 {
		book := must(client.GetBookWithResponse(ctx, "9780141439518", nil))
		fmt.Println(book.JSON200.Title, library.Requests())
	}
	// Output:
	// Pride and Prejudice [GET /v1/books/9780141439518]
	// Pride and Prejudice []
}

func Example_ogen() {
	ctx := context.Background()
	library := start(ctx)
	defer library.Close()

	client := must(ogenclient.NewClient(library.URL, reader("a-token"), ogenclient.WithClient(librarycache.Client(library.Cache, nil))))
	for range 2 {
		book := must(client.GetBook(ctx, ogenclient.GetBookParams{Isbn: "9780141439518"}))
		fmt.Println(book.(*ogenclient.Book).Title, library.Requests())
	}
	// Output:
	// Pride and Prejudice [GET /v1/books/9780141439518]
	// Pride and Prejudice []
}

// reader is the token of a reader, for ogen.
type reader string

func (r reader) Token(context.Context, ogenclient.OperationName) (ogenclient.Token, error) {
	return ogenclient.Token{Token: string(r)}, nil
}

// The cache goes around the client of kiota's middlewares, which retry and redirect below it.
func Example_kiota() {
	ctx := context.Background()
	library := start(ctx)
	defer library.Close()

	client := kiotaclient.NewLibraryClient(adapter(library))
	for range 2 {
		book := must(client.Books().ByIsbn("9780141439518").Get(ctx, nil))
		fmt.Println(*book.Title, library.Requests())
	}
	// Output:
	// Pride and Prejudice [GET /v1/books/9780141439518]
	// Pride and Prejudice []
}

func adapter(library *Library) *nethttplibrary.NetHttpRequestAdapter {
	base := nethttplibrary.GetDefaultClient()
	a := must(nethttplibrary.NewNetHttpRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, nil, nil, librarycache.Client(library.Cache, base)))
	a.SetBaseUrl(library.URL)
	return a
}

// Any other client takes the transport, which is an http.RoundTripper and has a method Do.
func Example_transport() {
	ctx := context.Background()
	library := start(ctx)
	defer library.Close()

	client := &http.Client{Transport: transport.New(library.Cache, nil)}
	for range 2 {
		resp := must(client.Get(library.URL + "/v1/authors?per_page=1"))
		fmt.Print(string(must(io.ReadAll(resp.Body))), library.Requests(), "\n")
		resp.Body.Close()
	}
	// Output:
	// [{"id":"austen","name":"Jane Austen"}]
	// [GET /v1/authors?per_page=1]
	// [{"id":"austen","name":"Jane Austen"}]
	// []
}

// Without a generated client, the declarations are enough: for typed calls, for listings and
// for prefetch.
func Example_declarations() {
	ctx := context.Background()
	library := start(ctx)
	defer library.Close()

	client := must(fetch.NewClient(&fetch.Options{BaseURL: library.URL}))
	books := must(librarycache.Fetcher(library.Cache, client, librarycache.GetBook, nil))
	result := must(prefetch.Run(ctx, books, slices.Values([]librarycache.GetBookKey{
		{ISBN: "9780141439518"}, {ISBN: "9780141439587"}, {ISBN: "9780141439556"},
	}), nil))
	fmt.Println(result.Fetched, "fetched by", library.Requests())

	byAuthor := must(librarycache.Fetcher(library.Cache, client, librarycache.ListBooksOfAuthor, nil))
	first := librarycache.NewListBooksOfAuthorKey("austen")
	first.Limit = 2
	for page, err := range pages.Walk(ctx, byAuthor, first, librarycache.ListBooksOfAuthorNext, nil) {
		if err != nil {
			log.Fatal(err)
		}
		for _, book := range page.Value.Books {
			fmt.Println(book.Title)
		}
	}
	fmt.Println(len(library.Requests()), "pages")
	// Output:
	// 3 fetched by [GET /v1/books?isbn=9780141439518,9780141439587,9780141439556]
	// Emma
	// Pride and Prejudice
	// Sense and Sensibility
	// 2 pages
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

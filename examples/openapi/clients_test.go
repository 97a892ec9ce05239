package openapi_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	abstractions "github.com/microsoft/kiota-abstractions-go"

	"github.com/endpointcache/endpointcache/examples/openapi/kiotaclient"
	"github.com/endpointcache/endpointcache/examples/openapi/librarycache"
	"github.com/endpointcache/endpointcache/examples/openapi/oapiclient"
	"github.com/endpointcache/endpointcache/examples/openapi/ogenclient"
)

// client is what the tests do with each of the generated clients.
type client interface {
	title(ctx context.Context, isbn string) (string, error)
	rename(ctx context.Context, token, isbn, title string) error
	borrow(ctx context.Context, token, isbn string) error
	loans(ctx context.Context, token string) ([]string, error)
}

var clients = map[string]func(l *Library) client{
	"oapi-codegen": func(l *Library) client {
		return oapi{must(oapiclient.NewClientWithResponses(l.URL, oapiclient.WithHTTPClient(librarycache.Client(l.Cache, nil))))}
	},
	"ogen":  func(l *Library) client { return ogen{l} },
	"kiota": func(l *Library) client { return kiota{kiotaclient.NewLibraryClient(adapter(l))} },
}

const (
	emma  = "9780141439587"
	pride = "9780141439518"
)

func TestClients(t *testing.T) {
	for name, of := range clients {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			library := start(ctx)
			defer library.Close()
			client := of(library)
			title := func(isbn, want string, requests ...string) {
				t.Helper()
				got, err := client.title(ctx, isbn)
				if err != nil || got != want {
					t.Errorf("the title of %s is %q: %v", isbn, got, err)
				}
				library.asked(t, requests...)
			}
			loans := func(token string, want []string, requests ...string) {
				t.Helper()
				got, err := client.loans(ctx, token)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%s has borrowed %v, not %v: %v", token, got, want, err)
				}
				library.asked(t, requests...)
			}

			title(emma, "Emma", "GET /v1/books/"+emma)
			title(emma, "Emma")
			title(pride, "Pride and Prejudice", "GET /v1/books/"+pride)

			// A write makes the book old, and no other.
			if err := client.rename(ctx, "ann", emma, "Emma, annotated"); err != nil {
				t.Fatal(err)
			}
			library.asked(t, "PUT /v1/books/"+emma)
			title(emma, "Emma, annotated", "GET /v1/books/"+emma)
			title(emma, "Emma, annotated")
			title(pride, "Pride and Prejudice")

			// Each reader's loans are the reader's own.
			if err := client.borrow(ctx, "ann", emma); err != nil {
				t.Fatal(err)
			}
			library.asked(t, "POST /v1/loans")
			loans("ann", []string{emma}, "GET /v1/loans")
			loans("ann", []string{emma})
			loans("bob", []string{}, "GET /v1/loans")
			loans("ann", []string{emma})
			if err := client.borrow(ctx, "ann", pride); err != nil {
				t.Fatal(err)
			}
			library.asked(t, "POST /v1/loans")
			loans("ann", []string{emma, pride}, "GET /v1/loans")
			loans("ann", []string{emma, pride})
		})
	}
}

// A POST that only reads is cached by what is asked in its body.
func TestSearch(t *testing.T) {
	ctx := t.Context()
	library := start(ctx)
	defer library.Close()
	client := must(oapiclient.NewClientWithResponses(library.URL, oapiclient.WithHTTPClient(librarycache.Client(library.Cache, nil))))
	search := func(words string, want int, requests ...string) {
		t.Helper()
		resp, err := client.SearchBooksWithResponse(ctx, oapiclient.Search{Words: words})
		if err != nil || resp.JSON200 == nil || len(resp.JSON200.Books) != want {
			t.Errorf("the search for %q gives %v: %v", words, resp, err)
		}
		library.asked(t, requests...)
	}
	search("sense", 1, "POST /v1/search")
	search("sense", 1)
	search("height", 1, "POST /v1/search")
	search("sense", 1)
}

// asked checks which requests the API has got since the last time.
func (l *Library) asked(t *testing.T, want ...string) {
	t.Helper()
	if got := l.Requests(); !slices.Equal(got, want) {
		t.Errorf("the API was asked for %v, not %v", got, want)
	}
}

type oapi struct {
	*oapiclient.ClientWithResponses
}

func (c oapi) title(ctx context.Context, isbn string) (string, error) {
	resp, err := c.GetBookWithResponse(ctx, isbn, nil)
	if err != nil || resp.JSON200 == nil {
		return "", fmt.Errorf("%v: %w", resp, err)
	}
	return resp.JSON200.Title, nil
}

func (c oapi) rename(ctx context.Context, token, isbn, title string) error {
	_, err := c.PutBookWithResponse(ctx, isbn, oapiclient.Book{Isbn: isbn, Title: title, Author: "austen", Copies: 1}, bearer(token))
	return err
}

func (c oapi) borrow(ctx context.Context, token, isbn string) error {
	_, err := c.BorrowBookWithResponse(ctx, oapiclient.BorrowBookJSONRequestBody{Isbn: isbn}, bearer(token))
	return err
}

func (c oapi) loans(ctx context.Context, token string) ([]string, error) {
	resp, err := c.ListLoansWithResponse(ctx, bearer(token))
	if err != nil || resp.JSON200 == nil {
		return nil, fmt.Errorf("%v: %w", resp, err)
	}
	isbns := []string{}
	for _, loan := range *resp.JSON200 {
		isbns = append(isbns, loan.Isbn)
	}
	return isbns, nil
}

func bearer(token string) oapiclient.RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// ogen has a client for each reader, as its clients have one token.
type ogen struct{ library *Library }

func (c ogen) as(token string) (*ogenclient.Client, error) {
	return ogenclient.NewClient(c.library.URL, reader(token), ogenclient.WithClient(librarycache.Client(c.library.Cache, nil)))
}

func (c ogen) title(ctx context.Context, isbn string) (string, error) {
	client, err := c.as("nobody")
	if err != nil {
		return "", err
	}
	book, err := client.GetBook(ctx, ogenclient.GetBookParams{Isbn: isbn})
	if err != nil {
		return "", err
	}
	return book.(*ogenclient.Book).Title, nil
}

func (c ogen) rename(ctx context.Context, token, isbn, title string) error {
	client, err := c.as(token)
	if err != nil {
		return err
	}
	_, err = client.PutBook(ctx, &ogenclient.Book{Isbn: isbn, Title: title, Author: "austen", Copies: 1}, ogenclient.PutBookParams{Isbn: isbn})
	return err
}

func (c ogen) borrow(ctx context.Context, token, isbn string) error {
	client, err := c.as(token)
	if err != nil {
		return err
	}
	_, err = client.BorrowBook(ctx, &ogenclient.BorrowBookReq{Isbn: isbn})
	return err
}

func (c ogen) loans(ctx context.Context, token string) ([]string, error) {
	client, err := c.as(token)
	if err != nil {
		return nil, err
	}
	loans, err := client.ListLoans(ctx)
	isbns := []string{}
	for _, loan := range loans {
		isbns = append(isbns, loan.Isbn)
	}
	return isbns, err
}

type kiota struct {
	*kiotaclient.LibraryClient
}

type configuration = abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]

func (c kiota) title(ctx context.Context, isbn string) (string, error) {
	book, err := c.Books().ByIsbn(isbn).Get(ctx, nil)
	if err != nil {
		return "", err
	}
	return *book.Title, nil
}

func (c kiota) rename(ctx context.Context, token, isbn, title string) error {
	copies, author := int32(1), "austen"
	_, err := c.Books().ByIsbn(isbn).Put(ctx, &kiotaclient.Book{Isbn: &isbn, Title: &title, Author: &author, Copies: &copies}, with(token))
	return err
}

func (c kiota) borrow(ctx context.Context, token, isbn string) error {
	_, err := c.Loans().Post(ctx, &kiotaclient.Loan{Isbn: &isbn}, with(token))
	return err
}

func (c kiota) loans(ctx context.Context, token string) ([]string, error) {
	loans, err := c.Loans().Get(ctx, with(token))
	isbns := []string{}
	for _, loan := range loans {
		isbns = append(isbns, *loan.Isbn)
	}
	return isbns, err
}

func with(token string) *configuration {
	headers := abstractions.NewRequestHeaders()
	headers.Add("Authorization", "Bearer "+token)
	return &configuration{Headers: headers}
}

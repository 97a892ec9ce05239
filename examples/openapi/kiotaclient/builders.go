package kiotaclient

import (
	"context"

	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
)

// BooksRequestBuilder makes the requests of /v1/books.
type BooksRequestBuilder struct {
	abstractions.BaseRequestBuilder
}

// ByIsbn is the path of one book.
func (b *BooksRequestBuilder) ByIsbn(isbn string) *WithIsbnItemRequestBuilder {
	item := abstractions.NewBaseRequestBuilder(b.RequestAdapter, "{+baseurl}/v1/books/{isbn}", b.PathParameters)
	item.PathParameters["isbn"] = isbn
	return &WithIsbnItemRequestBuilder{*item}
}

// WithIsbnItemRequestBuilder makes the requests of /v1/books/{isbn}.
type WithIsbnItemRequestBuilder struct {
	abstractions.BaseRequestBuilder
}

// Get asks for the book.
func (b *WithIsbnItemRequestBuilder) Get(ctx context.Context, config *abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]) (*Book, error) {
	info := newInformation(abstractions.GET, &b.BaseRequestBuilder, config)
	answer, err := b.RequestAdapter.Send(ctx, info, newBook, problems)
	return as[*Book](answer), err
}

// Put changes the book.
func (b *WithIsbnItemRequestBuilder) Put(ctx context.Context, book *Book, config *abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]) (*Book, error) {
	info := newInformation(abstractions.PUT, &b.BaseRequestBuilder, config)
	if err := info.SetContentFromParsable(ctx, b.RequestAdapter, "application/json", book); err != nil {
		return nil, err
	}
	answer, err := b.RequestAdapter.Send(ctx, info, newBook, problems)
	return as[*Book](answer), err
}

// LoansRequestBuilder makes the requests of /v1/loans.
type LoansRequestBuilder struct {
	abstractions.BaseRequestBuilder
}

// Get asks for what the reader has borrowed.
func (b *LoansRequestBuilder) Get(ctx context.Context, config *abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]) ([]*Loan, error) {
	info := newInformation(abstractions.GET, &b.BaseRequestBuilder, config)
	answers, err := b.RequestAdapter.SendCollection(ctx, info, newLoan, problems)
	loans := make([]*Loan, len(answers))
	for i, answer := range answers {
		loans[i] = as[*Loan](answer)
	}
	return loans, err
}

// Post borrows a book.
func (b *LoansRequestBuilder) Post(ctx context.Context, loan *Loan, config *abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]) (*Loan, error) {
	info := newInformation(abstractions.POST, &b.BaseRequestBuilder, config)
	if err := info.SetContentFromParsable(ctx, b.RequestAdapter, "application/json", loan); err != nil {
		return nil, err
	}
	answer, err := b.RequestAdapter.Send(ctx, info, newLoan, problems)
	return as[*Loan](answer), err
}

func newInformation(method abstractions.HttpMethod, b *abstractions.BaseRequestBuilder, config *abstractions.RequestConfiguration[abstractions.DefaultQueryParameters]) *abstractions.RequestInformation {
	info := abstractions.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(method, b.UrlTemplate, b.PathParameters)
	abstractions.ConfigureRequestInformation(info, config)
	info.Headers.TryAdd("Accept", "application/json")
	return info
}

// as is nil where there is no answer.
func as[T serialization.Parsable](answer serialization.Parsable) (value T) {
	value, _ = answer.(T)
	return value
}

package kiotaclient

import (
	abstractions "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
)

// Book is what the catalogue has of a book.
type Book struct {
	Isbn, Title, Author *string
	Copies              *int32
}

func newBook(serialization.ParseNode) (serialization.Parsable, error) { return new(Book), nil }

// GetFieldDeserializers implements [serialization.Parsable].
func (b *Book) GetFieldDeserializers() map[string]func(serialization.ParseNode) error {
	return map[string]func(serialization.ParseNode) error{
		"isbn":   text(&b.Isbn),
		"title":  text(&b.Title),
		"author": text(&b.Author),
		"copies": number(&b.Copies),
	}
}

// Serialize implements [serialization.Parsable].
func (b *Book) Serialize(w serialization.SerializationWriter) error {
	for _, field := range []struct {
		name  string
		value *string
	}{{"isbn", b.Isbn}, {"title", b.Title}, {"author", b.Author}} {
		if err := w.WriteStringValue(field.name, field.value); err != nil {
			return err
		}
	}
	return w.WriteInt32Value("copies", b.Copies)
}

// Loan is a book that a reader has borrowed.
type Loan struct {
	Id        *int32 //nolint:revive,staticcheck // as kiota writes it
	Isbn, Due *string
}

func newLoan(serialization.ParseNode) (serialization.Parsable, error) { return new(Loan), nil }

// GetFieldDeserializers implements [serialization.Parsable].
func (l *Loan) GetFieldDeserializers() map[string]func(serialization.ParseNode) error {
	return map[string]func(serialization.ParseNode) error{
		"id":   number(&l.Id),
		"isbn": text(&l.Isbn),
		"due":  text(&l.Due),
	}
}

// Serialize implements [serialization.Parsable].
func (l *Loan) Serialize(w serialization.SerializationWriter) error {
	return w.WriteStringValue("isbn", l.Isbn)
}

// Problem is what the API answers where it cannot do what was asked.
type Problem struct {
	abstractions.ApiError
}

func newProblem(serialization.ParseNode) (serialization.Parsable, error) {
	return &Problem{*abstractions.NewApiError()}, nil
}

// GetFieldDeserializers implements [serialization.Parsable].
func (p *Problem) GetFieldDeserializers() map[string]func(serialization.ParseNode) error {
	return map[string]func(serialization.ParseNode) error{
		"message": func(n serialization.ParseNode) error {
			message, err := n.GetStringValue()
			if message != nil {
				p.Message = *message
			}
			return err
		},
	}
}

// Serialize implements [serialization.Parsable].
func (p *Problem) Serialize(w serialization.SerializationWriter) error {
	return w.WriteStringValue("message", &p.Message)
}

var problems = abstractions.ErrorMappings{"4XX": newProblem, "5XX": newProblem}

func text(field **string) func(serialization.ParseNode) error {
	return func(n serialization.ParseNode) (err error) {
		*field, err = n.GetStringValue()
		return err
	}
}

func number(field **int32) func(serialization.ParseNode) error {
	return func(n serialization.ParseNode) (err error) {
		*field, err = n.GetInt32Value()
		return err
	}
}

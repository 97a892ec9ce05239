package musicsdk

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/endpointcache/endpointcache/fetch"
)

// Errors that a caller can act on. They come wrapped, together with what caused
// them: use [errors.Is].
var (
	// ErrNotFound means that the API has nothing of that id in the client's
	// market, or is remembered to have had nothing.
	ErrNotFound = errors.New("not found")

	// ErrInvalid means that the API has refused what was asked for, such as an
	// id that cannot be one.
	ErrInvalid = errors.New("invalid")

	// ErrUnauthorized means that there is no token, or one that the API does
	// not take, also after it was renewed.
	ErrUnauthorized = errors.New("unauthorized")

	// ErrForbidden means that the API is not offered in the client's market.
	ErrForbidden = errors.New("forbidden")

	// ErrUnavailable means that the API could not be reached, or gave no whole
	// answer, or was too busy, after all attempts. It may do later.
	ErrUnavailable = errors.New("unavailable")

	// ErrOffline means that an offline client has nothing stored for what it
	// was asked.
	ErrOffline = errors.New("offline and not stored")

	// ErrNoStore means that a call needs a store, and the client has none.
	ErrNoStore = errors.New("the client has no store")
)

// describe is the error of a method: what was asked for, what a caller can do about
// it, and the cause. It is nil where err is.
func describe(err error, what string) error {
	if err == nil {
		return nil
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("musicsdk: %s: %w: %w", what, kind, err)
	}
	return fmt.Errorf("musicsdk: %s: %w", what, err)
}

// kindOf is which of the errors above err is, nil where it is none or is told by
// itself, as [context.Canceled] is.
func kindOf(err error) error {
	var failed *fetch.RequestError
	var status *fetch.StatusError
	switch {
	case errors.Is(err, fetch.ErrOffline), errors.Is(err, fetch.ErrNotCached):
		return ErrOffline
	case errors.Is(err, fetch.ErrAbsent):
		return ErrNotFound
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrUnavailable):
		return nil // the token source's
	case errors.As(err, &failed):
		return ErrUnavailable
	case !errors.As(err, &status):
		return nil
	}
	switch code := status.Code; {
	case code == http.StatusBadRequest:
		return ErrInvalid
	case code == http.StatusUnauthorized:
		return ErrUnauthorized
	case code == http.StatusForbidden:
		return ErrForbidden
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError:
		return ErrUnavailable
	}
	return nil
}

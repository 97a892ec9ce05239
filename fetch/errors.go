package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-resty/resty/v2"
)

// Errors that a caller can act on. They come wrapped: use [errors.Is].
var (
	// ErrAbsent means that the origin has nothing for a key: it answered 404 or
	// 410, which is a [StatusError], or left the key out of a batch's answer,
	// or is remembered to have done so.
	ErrAbsent = errors.New("the origin has nothing for the key")

	// ErrRetryBudget means that a request failed which would have been tried
	// again, had the budget of [Client.WithRetryBudget] not been used up.
	ErrRetryBudget = errors.New("the budget of retries is used up")

	// ErrOffline is why a request was not sent, with [Options.Offline].
	ErrOffline = errors.New("the client is offline")

	// ErrClosed is the error of every call after [Client.Close], and of those
	// that it has ended.
	ErrClosed = errors.New("the client is closed")
)

// StatusError tells that the origin did not answer with status 200, which is the
// only one that is kept, on any attempt.
type StatusError struct {
	Code   int
	Method string
	URL    string // without user, query and fragment, which may be secret
	Err    error  // what the client's middleware or redirect policy said of it, if anything
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("fetch: %s %s: status %d %s", e.Method, e.URL, e.Code, http.StatusText(e.Code))
	text = strings.TrimSuffix(text, " ")
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

// RequestError tells that the last attempt had no answer that is of use, of any status: the
// host was not found, the connection was refused or broke, it took too long, the body was
// too large, there was no token, or a middleware of the client refused it.
type RequestError struct {
	Method string
	URL    string // without user, query and fragment, which may be secret
	Err    error
}

func (e *RequestError) Error() string { return fmt.Sprintf("fetch: %s %s: %v", e.Method, e.URL, e.Err) }

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// Permanent marks an error that a transport, a middleware or a source of tokens returns:
// the request is not tried again, whatever the client's conditions say. [errors.Is] and
// [errors.As] find err in what a call returns. It is nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Is reports whether target is [ErrAbsent] and the status 404 or 410.
func (e *StatusError) Is(target error) bool {
	return target == ErrAbsent && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
}

// ended is the error of a call whose context is done, nil before that.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(cause, ErrClosed), errors.Is(cause, err):
		return fmt.Errorf("fetch: %w", cause)
	}
	return fmt.Errorf("fetch: %w: %w", err, cause)
}

// batchError is that of a batch whose request cannot be built, or whose answer
// cannot be split.
type batchError struct{ err error }

func (e *batchError) Error() string { return e.err.Error() }
func (e *batchError) Unwrap() error { return e.err }

// fault is what a request for many keys may have failed for.
type fault uint8

const (
	noKey   fault = iota // fewer keys would not help
	aKey                 // there may be one that is refused
	tooMany              // there may be too many, or one that is too large
)

// faultOf tells what the error of a batch was about. Other statuses are about
// whoever asks, or about the origin.
func faultOf(err error) fault {
	var batch *batchError
	var status *StatusError
	switch {
	case errors.As(err, &batch):
		return aKey
	case errors.Is(err, resty.ErrResponseBodyTooLarge):
		return tooMany
	case !errors.As(err, &status):
		return noKey
	}
	switch status.Code {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusUnprocessableEntity, http.StatusUnavailableForLegalReasons:
		return aKey
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return tooMany
	}
	return noKey
}

// withoutURL is the error of a request without the URL, which may have secrets.
func withoutURL(err error) error {
	for {
		inner, ok := err.(*url.Error)
		if !ok {
			return err
		}
		err = inner.Err
	}
}

func withoutSecrets(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return bare.String()
}

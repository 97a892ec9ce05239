package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/gate"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// Errors that a caller can act on. They come wrapped: use [errors.Is].
var (
	// ErrAbsent means that the origin has nothing for a key: it answered 404 or
	// 410, which is a [StatusError], or left the key out of a batch's answer,
	// or is remembered to have done so.
	ErrAbsent = errors.New("the origin has nothing for the key")

	// ErrBodyTooLarge means that the body of an answer is larger than
	// [Options.MaxBody]. It is not asked for again.
	ErrBodyTooLarge = errors.New("the body is too large")

	// ErrNotCached means that the repository has no answer for a key, and the
	// policy forbids to ask the origin.
	ErrNotCached = errors.New("the repository has no answer for the key, and the policy does not let the origin be asked")

	// ErrOffline is why a request was not sent, with [Options.Offline].
	ErrOffline = errors.New("the client is offline")

	// ErrClosed is the error of every call after [Client.Close], and of those
	// that it has ended.
	ErrClosed = errors.New("the client is closed")
)

// StatusError tells that the last answer of the origin had a status that comes with no
// value: any but those of class 2xx, and 204, 205 and 206.
type StatusError struct {
	Code   int
	Method string
	URL    string // without user, query and fragment, which may be secret

	// RetryAfter is how long the origin asks to wait with the next request, as
	// origin.RetryAfter reads it; 0 where it does not say. It counts from the answer.
	RetryAfter time.Duration

	Err error // what else is wrong with the answer, such as a redirect that is not followed; may be nil
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("fetch: %s %s: status %d %s", e.Method, e.URL, e.Code, http.StatusText(e.Code))
	text = strings.TrimSuffix(text, " ")
	if e.Err != nil {
		text += ": " + secret.Mask(e.Err.Error())
	}
	return text
}

// Unwrap returns Err.
func (e *StatusError) Unwrap() error { return e.Err }

// RequestError tells that the last attempt had no answer that is of use, of any status: the
// host was not found, the connection was refused or broke, it took too long, the body was
// too large, there was no token, or the client refused it. It wraps origin.ErrRetryBudget
// where another attempt was due and none was left.
type RequestError struct {
	Method string
	URL    string // without user, query and fragment, which may be secret
	Err    error
}

func (e *RequestError) Error() string {
	return fmt.Sprintf("fetch: %s %s: %s", e.Method, e.URL, secret.Mask(e.Err.Error()))
}

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrAbsent] and the status 404 or 410.
func (e *StatusError) Is(target error) bool {
	return target == ErrAbsent && (e.Code == http.StatusNotFound || e.Code == http.StatusGone)
}

// ended is the error of a call whose context is done, nil before that.
func ended(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("fetch: %w", gate.ErrNoContext)
	}
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
// the user, or about the origin.
func faultOf(err error) fault {
	var batch *batchError
	var status *StatusError
	switch {
	case errors.As(err, &batch):
		return aKey
	case errors.As(err, &status):
		return faultOfStatus(status.Code)
	case errors.Is(err, ErrBodyTooLarge):
		return tooMany
	}
	return noKey
}

func faultOfStatus(code int) fault {
	switch code {
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
	return secret.Mask(bare.String()) // parameters of its path
}

package origin

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Permanent marks an error that a transport, a middleware or a source of tokens returns:
// a [Retrier] does not send the request again, whatever [RetryOptions.Retry] says.
// [errors.Is] and [errors.As] still find err. It is nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Timeout is for [net/url.Error], which asks its error alone.
func (e *permanentError) Timeout() bool { return isTimeout(e.err) }

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// isTransient reports whether a response may be another a little later.
func isTransient(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return isRefusal(resp) || resp.StatusCode/100 == 5
}

// isRefusedRedirect recognises the one error that an [http.Client] returns with a response.
func isRefusedRedirect(resp *http.Response, err error) bool {
	var client *url.Error
	return resp != nil && errors.As(err, &client)
}

// isFinal reports whether an error would be the same next time.
func isFinal(err error) bool {
	var permanent *permanentError
	return errors.As(err, &permanent) || isAboutCertificate(err)
}

func isAboutCertificate(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		name         x509.HostnameError
		invalid      x509.CertificateInvalidError
		remote       *net.OpError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		return true
	case errors.As(err, &remote) && remote.Op == "remote error":
		// The server's alert about the client's certificate has no type that is exported.
		return strings.Contains(remote.Error(), "certificate")
	}
	return false
}

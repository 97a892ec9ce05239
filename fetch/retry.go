package fetch

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-resty/resty/v2"
)

// retryConditions are those on which there is another attempt: ours, then the
// client's. Without a response, there was no request to repeat: the client's
// middleware refused it, or the context is done.
func retryConditions(client *resty.Client) []resty.RetryConditionFunc {
	conditions := []resty.RetryConditionFunc{isTransient}
	for _, condition := range client.RetryConditions {
		conditions = append(conditions, func(resp *resty.Response, err error) bool {
			return resp != nil && condition(resp, err)
		})
	}
	return conditions
}

// isTransient tells whether another attempt may go better.
func isTransient(resp *resty.Response, err error) bool {
	switch {
	case resp == nil:
		return false
	case resp.RawResponse != nil && resp.StatusCode() != http.StatusOK:
		return isTransientStatus(resp.StatusCode())
	case resp.RawResponse != nil && resp.Size() > 0:
		// The body was read, so another error is the client's own opinion.
		return errors.Is(err, io.ErrUnexpectedEOF)
	}
	var certificate *tls.CertificateVerificationError
	return err != nil && !errors.Is(err, resty.ErrResponseBodyTooLarge) && !errors.As(err, &certificate)
}

func isTransientStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return code >= 500
}

// retryAfter is how long the server says to wait, 0 where it does not say, which
// means to resty that it is to choose.
func retryAfter(_ *resty.Client, resp *resty.Response) (time.Duration, error) {
	text := resp.Header().Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		const longest = 1 << 30 // it cannot overflow, and is cut to MaxRetryWait
		return max(0, min(time.Duration(seconds), longest)) * time.Second, nil
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0, nil //nolint:nilerr // the server does not say
	}
	// Both times are of the server's clock, if it tells.
	now, err := http.ParseTime(resp.Header().Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(0, until.Sub(now)), nil
}

package restyfetch

import (
	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
)

// Options returns options of package fetch to send with a clone of the client, which is
// left as it is; nobody may change it meanwhile. Nil is resty.New(). What else is to be
// set can be set in the result:
//
//	opts := restyfetch.Options(client)
//	opts.Offline = true
//
// BaseURL is the client's. MaxBody is its ResponseBodyLimit, or where it has none the
// default of package fetch: a larger one is set in the client, as resty reads the body.
// What resty unpacks is kept unpacked, and its ErrResponseBodyTooLarge is a
// [fetch.ErrBodyTooLarge].
//
// Retries are resty's: its RetryCount, waits, conditions and hooks apply, and fetch
// does not repeat what resty has given up. So without SetRetryCount there is one attempt;
// with it, resty repeats what has failed with an error, and a response of status 503
// if a condition says so. It knows neither origin.Permanent nor a budget of retries. A
// request counts once in fetch.Fetcher.Requests, however often resty has sent it, and the Timeout
// of the options, which is none, is one for all of that. Instead, fetch repeats
// requests of a client without a RetryCount if the options say so:
//
//	opts.Retry = nil // the default of package fetch
//
// Its redirect policies apply. Beside them, no secrets go along with a redirect to another
// host, or from https to http: none of the headers and the cookies that the client or the
// endpoint sets, see docs/fetch.md. The client itself is not changed by that.
//
// What the endpoint sets is sent as the endpoint says, so the client's FormData and path
// parameters do not apply, nor does it unescape queries. resty sends no body with HEAD and
// OPTIONS. SetDigestAuth changes the transport for each request, so it is only for
// requests that are made one after another.
func Options(client *resty.Client) *fetch.Options {
	if client == nil {
		client = resty.New()
	}
	return &fetch.Options{
		Client:  newDoer(client),
		BaseURL: client.BaseURL,
		MaxBody: max(0, client.ResponseBodyLimit),
		Retry:   &origin.RetryOptions{Retries: origin.NoRetries},
	}
}

// Package origin keeps a client's requests to the limits of the API that they go to. A
// [Transport] is an [http.RoundTripper] that
//
//   - limits the requests in a second, and those in flight, for each host;
//   - pauses all requests to a host that has answered 429, 503, or 403 with
//     Retry-After, for as long as its Retry-After says;
//   - sends credentials, and has them refreshed after a 401, once for all requests.
//
// A [Retrier] is an http.RoundTripper that sends a request again after a temporary failure.
// It belongs above a Transport, so that each attempt keeps to the limits. Both belong below
// a cache, so that hits use up no limits:
//
//	retrier, err := origin.NewRetrier(origin.New(nil, opts), nil)
//	cached := transport.New(c, &transport.Options{Base: retrier})
//	client := &http.Client{Transport: cached}
//
// A Transport alone does not retry: the caller gets a 429 or 503. The one exception is a
// request that is sent again with a new token.
package origin

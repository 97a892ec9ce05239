// Package origin keeps the requests of a client to what the API that they go to
// asks for. A [Transport] is an [http.RoundTripper] that
//
//   - limits the requests in a second, and those in flight, for each host;
//   - pauses all requests to a host that has answered 429, 503, or 403 with
//     Retry-After, for as long as its Retry-After says;
//   - sends credentials, and has them refreshed on 401, once for all requests.
//
// A [Retrier] is one that sends a request again when it has failed for a while. It belongs
// over a Transport, so that each attempt keeps to the limits, and both belong below a cache, so
// that what is cached costs nothing:
//
//	retrier, err := origin.NewRetrier(origin.New(nil, opts), nil)
//	cached := transport.New(c, &transport.Options{Base: retrier})
//	client := &http.Client{Transport: cached}
//
// A Transport alone does not retry: an answer of 429 or 503 is the caller's. The one
// exception is the request that is sent again with a new token.
package origin

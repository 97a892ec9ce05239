// Package origin keeps the requests of a client to what the API that they go to
// asks for. A [Transport] is an [http.RoundTripper] that
//
//   - limits the requests in a second, and those in flight, for each host;
//   - pauses all requests to a host that has answered 429 or 503, for as long as
//     its Retry-After says;
//   - sends credentials, and has them refreshed on 401, once for all requests.
//
// It belongs below a cache and below what retries, so that neither what is cached
// counts, nor any attempt goes uncounted:
//
//	cached := transport.New(c, &transport.Options{Base: origin.New(nil, opts)})
//	client := resty.New().SetTransport(cached)
//
// It does not retry by itself: an answer of 429 or 503 is the caller's. The one
// exception is the request that is sent again with a new token.
package origin

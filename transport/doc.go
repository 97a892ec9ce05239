// Package transport puts a cache under any HTTP client: an [http.RoundTripper]
// that answers from the repositories of a cache.ResponseCache what it can, and
// saves there what it has to fetch.
//
//	client := &http.Client{Transport: transport.New(c, nil)}
//
// A request belongs to the repository whose endpoint matches it, under the key
// that the endpoint takes from it: responses that typed code or a prefetch has
// saved are hits here, and the other way round. Requests that match none pass
// through; settings.CatchAll makes a repository for these.
//
// # What is promised
//
//   - A hit has the status, headers, protocol and body of the response that was
//     saved, byte for byte. It is marked with Cache-Status (RFC 9211) and
//     X-From-Cache: 1. Hop-by-hop headers are not stored, nor is Set-Cookie unless a
//     policy's Cookies is on.
//   - The request is never changed.
//   - A body streams to the caller while it is being recorded. Only a response with a
//     complete body is saved, before the caller sees its end. The rest of a body that is
//     closed early is read in the background, within limits.
//   - Equal requests at the same time reach the origin once, as long as the response may be
//     stored. The request goes on if one of the callers gives up. Requests that are not
//     cached never wait for others.
//   - If the store fails or hangs, no request fails, and none is held up beyond
//     cache.Options.StoreTimeout: what happened is logged and counted, and the origin
//     answers.
//
// Two requests are equal where they have one repository, key and origin. What the key does
// not have makes no difference, except who is asking: where requests carry credentials, the
// Scope of the settings says who may be given the response. Without one, a request whose
// credentials are not part of its key is not cached.
//
// A policy.Policy, of the cache, the repository or the call, says how long a response is
// used and which are kept; where its CacheControl is on, the response itself says it, by
// the rules of RFC 9111.
package transport

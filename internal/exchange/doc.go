// Package exchange answers what a door asks: from a table where that may be used, and
// from the origin otherwise. All doors share it, so that one declaration has one
// behaviour: the RoundTripper of package transport, the typed calls of package fetch,
// and what stands on these.
//
// The way of one answer is the same for every door:
//
//	Ask -> lookup -> judge -> flight (join or begin) -> Send -> keep -> save -> answer
//
// judge.go decides whether a stored response may be used, keep.go whether and until
// when a new one is stored. Both are pure functions. The lookup finds the response that
// is for the request: its variant, its coding, and what the policy's Serve lets pass.
//
// A flight is one request to the origin for one key, on behalf of all callers that want
// it; at any time there is one for each table and key that callers can join. A door
// brings no more than how the origin is asked.
package exchange

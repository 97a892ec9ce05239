// Package request takes keys out of requests and builds the requests for keys.
//
// An [Endpoint] does both for one endpoint of an API. Most are a [Pattern],
// where the key's fields say which part of the request they hold:
//
//	type TrackKey struct {
//		ID     string `path:"id"`
//		Market string `query:"market"`
//	}
//
//	var endpoint = request.Pattern[TrackKey]("GET /v1/tracks/{id}")
//
// Any other endpoint, such as a search whose key is in the body, is a [Func].
// [Any] is all that no endpoint was declared for.
//
// Where an API answers for many keys at once, a [Batch] makes such requests:
//
//	request.BatchPattern[TrackKey]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil)
//
// # Patterns
//
// A pattern is "[METHOD ][HOST]/PATH[?QUERY]".
//
// METHOD is a method in upper case, or several separated by "|"; then the key
// has a method field, so that they do not share keys. Without one the pattern
// is for GET, or for any method where the key has a method field.
//
// HOST is compared without regard to case, to a trailing dot and to a port
// that is the default of the request's scheme. A request whose Host differs
// from its URL's must match with both. A pattern without a host matches every
// host, whose requests then share keys; the scheme is never part of a key.
//
// PATH is the whole path as [Endpoint.Key] sees it. Each segment is literal
// text, a wildcard "{name}", or a wildcard with text before or after it, as in
// "@{user}" or "{id}.json". One wildcard may be "{name...}" and stands for one
// or more whole segments, anywhere: "/{module...}/@v/{version}.info". Text may
// be percent-encoded, and braces, "?", "#" and spaces have to be. A trailing
// slash counts. The path of a request is split first and unescaped after that,
// once, so an escaped slash is part of the value of "{name}"; to "{name...}"
// it does not match, because the value could not be told from two segments. No
// wildcard matches nothing, or the segments "." and "..".
//
// QUERY holds parameters that every request has, with these values.
//
// # Fields
//
// The tag of a field says what it holds. A key that is no struct but a single
// string or integer holds the pattern's only wildcard.
//
//	path:"name"            the wildcard of that name
//	query:"name"           the query parameter
//	query:"name,list"      all values of the parameter, in their order; see [JoinList]
//	query:"name,set"       all values of the parameter, sorted and each once
//	header:"Name"          the header, its lines joined by ", "
//	header:"Name,hash"     the hexadecimal SHA-256 of the header's value
//	method:""              the method
//
// A query or header field without a value in the request holds the text of its
// default tag, or else its type's zero value. With the option required, as in
// query:"q,required", the request does not match instead.
//
// A hash tells users apart by their Authorization without storing it, although
// it hides no value that is easily guessed. [Endpoint.Request] cannot set such
// a header: the caller's client does. [HeaderHash] makes the text for a key.
//
// # Equal requests
//
// Two requests have one key only if they differ in nothing but:
//
//   - the scheme, the fragment, headers without a field (so the user in a URL,
//     of which a client makes a header), and the host where the pattern has
//     none;
//   - the order of the parameters; the order of a set's values and how often
//     each is there; parameters that [IgnoreQuery] names;
//   - a parameter or header that is absent or has its default (or zero) value;
//   - spelling: how the host is written, how a byte is escaped, "?a" for
//     "?a=", header lines apart or joined, spaces around a header's value.
//
// What a key cannot hold does not match: parameters that the key does not have,
// a parameter given twice that is no list or set, a malformed query, text such
// as "007" for an integer, and a body, unless [IgnoreBody] is given.
//
// # Several endpoints
//
// Of endpoints that match one request, a cache asks the most specific. A pattern
// that matches only some of the requests of another because of its host, path,
// method or fixed or required parameters is more specific. In this order, the
// more specific one has
//
//   - a host; a host with a port;
//   - more literal segments;
//   - more text beside wildcards, as in "{id}.json";
//   - no wildcard that spans segments;
//   - more segments;
//   - more wildcards that are not for any text: integers, bools, types with a
//     text of their own;
//   - fewer methods;
//   - more fixed parameters;
//   - more fields that are required;
//   - fewer kinds of ignored parameters: none, some, any.
//
// Every pattern is more specific than a [Func] or an endpoint of your own, and
// all are more than [Any].
package request

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
// A search by POST, whose question is in a JSON body, can also be a Pattern:
//
//	type SearchKey struct {
//		Sector string `body:"filter.sector,required"`
//		Page   int    `body:"page" default:"1"`
//	}
//
//	var search = request.Pattern[SearchKey]("POST /v1/search")
//
// Any other endpoint is a [Func]. [Any] is all that no endpoint was declared for.
//
// If an API answers for many keys at once, a [Batch] makes such requests:
//
//	request.BatchPattern[TrackKey]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil)
//
// # Patterns
//
// A pattern is "[METHOD ][HOST]/PATH[?QUERY]".
//
// METHOD is a method in upper case, or several separated by "|"; then the key
// has a method field, so that they do not share keys. Without one the pattern
// is for GET, or for any method where the key has a method field; a key with a
// body field needs one. A transport serves GET, HEAD and the methods that are
// named here.
//
// HOST is localhost, an address, a name with a dot, or any name with a port. So
// "v1/tracks" and "v1.0/tracks", which were meant for paths, are errors. Another
// name without a dot is written with one at its end: "backend./v1/tracks". HOST is compared
// without regard to case, to a trailing dot and to a port that is the default of the
// request's scheme. A request whose Host differs from its URL's must match with both. A
// pattern without a host matches every host. Neither host nor scheme is part of a key; but
// a repository has a table for each origin, which keeps their responses apart.
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
// The tag of a field says what it holds. A key that is a single value and not a struct
// holds the pattern's only wildcard; one that is a struct without fields is for a pattern
// without any.
//
//	path:"name"            the wildcard of that name
//	query:"name"           the query parameter
//	query:"name,list"      all values of the parameter, in their order; see [JoinList]
//	query:"name,set"       all values of the parameter, sorted and each once
//	query:"name,list,comma"  the values in one parameter, as in "ids=a,b"; also with set
//	query:"name,list,space"  the same with "%20" between them; query:"name,list,pipe": "%7C"
//	path:"name,list,comma"   the values in one segment, as in "/a,b"; also with set
//	header:"Name"          the header, its lines joined by ", "
//	header:"Name,hash"     the hexadecimal SHA-256 of the header's value
//	body:"a.b"             the member b of the member a of a JSON body
//	body:"a,list"          the strings of an array; body:"a,set": sorted and each once
//	body:"a,number"        a number as it is written, also with list or set
//	method:""              the method
//
// Values in one text are taken apart before they are unescaped: "ids=a,b" has two, and
// "ids=a%2Cb" is one with a comma in it. So it is with "+" and "|" where the separators are
// "%20" and "%7C", which are those of the table of styles in OpenAPI 3.0.4. If your client
// escapes commas, its requests have the key JoinList("a,b"). A field without the option list
// or set is one value, whatever it has in it.
//
// A field of a type that has MarshalText and UnmarshalText, such as a UUID, holds what they
// make of the text. Text that the type would write differently does not match.
//
// A member is a string, a number or a bool, as the type of its field is; a list's
// field is a string, see [JoinList]. In a member's name, a dot, a comma or a
// backslash has a backslash before it, of which a tag needs two: body:"a\\.b".
// A request for a key has the members in the order of the fields.
//
// A query, header or body field without a value in the request holds the text of its
// default tag, or else its type's zero value, which an [Optional] tells from values. With the option required, as in
// query:"q,required", the request does not match instead.
//
// A hash tells users apart by their Authorization without storing it. It is a plain SHA-256:
// whoever can read the table finds a short value, such as a PIN or a basic password, by
// trying. A scope for each identity is the better way to keep users apart.
// [Endpoint.Request] cannot set such a header: the caller's client does. [HeaderHash] makes
// the text for a key.
//
// # Equal requests
//
// Two requests have the same key only if they differ in nothing but:
//
//   - the scheme, the fragment, headers without a field (so the user in a URL,
//     of which a client makes a header), and the host where the pattern has
//     none;
//   - the order of the parameters; the order of a set's values and how often
//     each is there; parameters that [IgnoreQuery] names;
//   - the order of the members of a body; members that [IgnoreMembers] names;
//   - a parameter, header or member that is absent or has its default (or zero)
//     value;
//   - spelling: how the host is written, how a byte is escaped (but not a list's separator), "?a" for
//     "?a=", header lines apart or joined, spaces around a header's value, white
//     space and escapes in JSON.
//
// A request does not match if the key cannot hold all of it: if it has parameters that the
// key does not have, a parameter given twice that is not a list or set, a malformed query,
// or text such as "007" for an integer. Without a body field, a body does not match, unless
// [IgnoreBody] is given. With one, these do not: no body, one that is not a JSON object by
// its text or its Content-Type, is compressed, or is larger than [DefaultBodyLimit]; a
// member that the key does not have, that is there twice, null or of another kind; an
// object in the body that has no members; text with U+FFFD, which stands for what is no
// Unicode.
//
// # Several endpoints
//
// If several endpoints match a request, a cache uses the most specific one. A pattern that
// matches only some of the requests of another because of its host, path, method or fixed
// or required parameters is more specific. In this order, the more specific one has
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
//   - fewer kinds of ignored parameters: none, some, any; of ignored members, or
//     an ignored body.
//
// Every pattern is more specific than a [Func] or an endpoint of your own, and
// all are more than [Any].
package request

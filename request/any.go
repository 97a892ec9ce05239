package request

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/endpoint"
)

// AnyKey is the key of a request of [Any]. Its text is ASCII of bounded length
// and holds no secret that a name gives away, see [AnyOptions.Secret]: what is
// secret, or too long, stands there as a digest, "{hmac:…}", or as "{sha256:…}"
// without a key, see [AnyOptions.DigestKey].
type AnyKey struct {
	// Method is the method, "GET" where the request has none.
	Method string

	// URL is the normalized URL, with its query and without its fragment.
	URL string

	// Headers are the headers that count, as "Accept: text/html | Range: …",
	// sorted by name. A Host that is not the URL's comes first.
	Headers string `column:"request_headers"`

	// Body is a digest of the body and its content type, empty where there is
	// no body: letters, digits, "-" and "_", or hexadecimal without a key.
	Body string `column:"request_body"`
}

// AnyOptions say what makes requests of [Any] different. The zero value is the careful
// choice: everything that may change the response counts.
//
// A name that ends in "*" stands for all names that begin like that, except in Secret.
// Names of headers are compared without regard to case, others as they are.
type AnyOptions struct {
	// Headers are the headers that count, besides Range, those that are known to carry
	// credentials, and with a body its Content-Type and Content-Encoding. If it is nil, all
	// headers count except those that make no difference to most APIs, such as User-Agent,
	// Cache-Control, If-None-Match and those of tracing. Where a repository's responses
	// decide by their headers, see policy.Policy.CacheControl, Accept-Encoding does not
	// count either: their Vary says whether it makes a difference. In a repository that is
	// settings.PerIdentity, headers that carry credentials count only if they are named
	// here: the identity stands for them.
	Headers []string

	// IgnoreHeaders are headers that do not count in any case. With Authorization or others
	// that carry credentials among them, requests that have these are only cached if the
	// Scope of the settings says who may be given the responses.
	IgnoreHeaders []string

	// IgnoreQuery are parameters of the query that do not count.
	IgnoreQuery []string

	// SortQuery makes requests equal that differ in the order of the query's
	// parameters, but not of those with one name, or with names that differ in
	// their case or behind "[" or ".". The same goes for forms whose fields
	// IgnoreBody names. Without it the order counts, since some servers heed it:
	// "crop=5&resize=10" may be another picture than "resize=10&crop=5".
	SortQuery bool

	// IgnoreBody are parts of the body that do not count: fields of a form and
	// members of a JSON object, by name. A JSON Pointer such as
	// "/variables/now" is for members further in; "*" stands there for any
	// name or index. With the name "*" no body counts, and none is read.
	IgnoreBody []string

	// Secret are parameters of the query whose values are not to be stored,
	// besides those with names such as token, user_key, password, code, sig and
	// email. Case, "_" and "-" make no difference.
	Secret []string

	// DigestKey is the secret that digests are made with, of 16 bytes or more:
	// then nobody who does not know it can find a short secret by trying all.
	// Without one, a cache and a repository use their own; otherwise, as where
	// the endpoint is used alone, digests are SHA-256.
	DigestKey []byte

	// MaxBody is the size of the largest body, in bytes: a request with a
	// larger one does not match. Zero stands for [DefaultBodyLimit].
	MaxBody int64
}

// Any is the endpoint of all requests to an http or https URL, with any method.
// It is the least specific of all: a cache asks it last. nil options are the
// zero value.
//
// Two requests have one key only if they differ in nothing but what the options
// ignore and
//
//   - how the scheme, the host and its default port are written, an empty path
//     for "/", and the fragment;
//   - how a byte of the URL is escaped, if it is an unreserved one, and the
//     case of hexadecimal digits. A plus is not a space, an escaped dot of the
//     path not a dot, and dot segments stay: servers differ in these;
//   - with SortQuery, the order of query parameters. A query with a semicolon
//     or a malformed escape stays as it is;
//   - the order and case of header names, spaces around their values, and the
//     user in a URL, of which a client makes an Authorization header;
//   - the Content-Type of no body; the boundary of a multipart body, what is
//     outside its parts, and how the names of their headers are ordered and
//     written; where IgnoreBody is set, also the white space and the order of
//     members of JSON, and the escapes of a form, as in a query.
//
// Request builds the request for a key with method GET or HEAD, without a body,
// and nothing in it that is only known by its digest. For others the error is
// [ErrNoRequest]. It needs no base, since the key has the whole URL.
func Any(opts *AnyOptions) Endpoint[AnyKey] {
	if opts == nil {
		opts = &AnyOptions{}
	}
	e := &anyEndpoint{opts: *opts, ownKey: len(opts.DigestKey) > 0}
	e.opts.DigestKey = nil
	if err := e.set(opts); err != nil {
		e.err = fmt.Errorf("request: Any: %w", err)
	}
	e.setDigests(newDigests(opts.DigestKey))
	return e
}

type anyEndpoint struct {
	query   anyQuery
	headers anyHeaders
	body    anyBody
	digests digests
	opts    AnyOptions // for the recipe, without the key of digests
	ownKey  bool       // of digests
	foreign bool       // its digests cannot be made here
	err     error
}

func (e *anyEndpoint) setDigests(d digests) {
	e.digests, e.query.digests, e.headers.digests, e.body.digests = d, d, d, d
}

// WantsDigestKey reports whether the endpoint has no key for its digests.
func (e *anyEndpoint) WantsDigestKey() bool { return !e.digests.keyed }

// WithDigestKey is the endpoint whose digests are made with key.
func (e *anyEndpoint) WithDigestKey(key []byte) any {
	keyed := *e
	keyed.setDigests(newDigests(key))
	return &keyed
}

func (e *anyEndpoint) set(opts *AnyOptions) error {
	if opts.MaxBody < 0 {
		return errors.New("MaxBody is negative")
	}
	if n := len(opts.DigestKey); n > 0 && n < minDigestKey {
		return fmt.Errorf("DigestKey has %d bytes of at least %d", n, minDigestKey)
	}
	for _, names := range []struct {
		option string
		list   []string
	}{
		{"Headers", opts.Headers},
		{"IgnoreHeaders", opts.IgnoreHeaders},
		{"IgnoreQuery", opts.IgnoreQuery},
	} {
		if err := checkNames(names.option, names.list); err != nil {
			return err
		}
	}
	var err error
	if e.query.secret, err = newSecrets(opts.Secret); err != nil {
		return err
	}
	e.query.ignored, e.query.sort = slices.Clone(opts.IgnoreQuery), opts.SortQuery
	if e.headers, err = newAnyHeaders(opts); err != nil {
		return err
	}
	e.body, err = newAnyBody(opts, &e.headers)
	return err
}

// ByIdentity is the endpoint for a repository whose keys have an identity.
func (e *anyEndpoint) ByIdentity() Endpoint[AnyKey] {
	own := *e
	own.headers.byIdentity = true
	return &own
}

// ByVary is the endpoint for a repository that keeps the responses of a key by their Vary.
func (e *anyEndpoint) ByVary() Endpoint[AnyKey] {
	own := *e
	own.headers.byVary = true
	return &own
}

func (e *anyEndpoint) Key(req *http.Request) (key AnyKey, ok bool, err error) {
	if e.err != nil {
		return key, false, e.err
	}
	if req == nil || req.URL == nil {
		return key, false, nil
	}
	method := methodOf(req)
	if method != http.MethodGet && !isToken(method) {
		return key, false, nil
	}
	var buf [512]byte
	u, ok := e.query.appendURL(buf[:0], req.URL)
	if !ok {
		return key, false, nil
	}
	location := e.digests.short(u, maxAnyURL)
	headers := e.digests.short(e.headers.append(buf[:0], req), maxAnyHeaders)
	body, ok, err := e.body.digest(req)
	if !ok || err != nil {
		return key, false, err
	}
	return AnyKey{method, location, headers, body}, true, nil
}

func (e *anyEndpoint) Request(ctx context.Context, _ *url.URL, key AnyKey) (*http.Request, error) {
	if e.err != nil {
		return nil, e.err
	}
	switch {
	case key.Method != http.MethodGet && key.Method != http.MethodHead:
		return nil, fmt.Errorf("%w for the method %s", ErrNoRequest, key.Method)
	case key.Body != "":
		return nil, fmt.Errorf("%w with a body", ErrNoRequest)
	case strings.Contains(key.URL+key.Headers, "{"):
		return nil, fmt.Errorf("%w for a key with a digest", ErrNoRequest)
	}
	req, err := http.NewRequestWithContext(ctx, key.Method, key.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("request: Any: %w", err)
	}
	if err := setAnyHeaders(req, key.Headers); err != nil {
		return nil, err
	}
	if read, ok, err := e.Key(req); err != nil || !ok || read != key {
		return nil, errors.New("request: Any: no request has that key")
	}
	return req, nil
}

func (e *anyEndpoint) Validate() error { return e.err }

func (e *anyEndpoint) String() string { return anyText }

// Specificity is less than that of any other endpoint.
func (e *anyEndpoint) Specificity() endpoint.Specificity { return endpoint.Specificity{-1} }

// Covers tells whether another endpoint matches no request that e does not.
func (e *anyEndpoint) Covers(other any) bool {
	o, ok := other.(*anyEndpoint)
	return ok && (e.body.none || !o.body.none && e.body.limit >= o.body.limit)
}

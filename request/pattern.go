package request

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

// Pattern is the endpoint of the requests that pattern describes, in the syntax
// that the package documentation tells. It can stand in a declaration: what is
// wrong with the pattern or with K is the error of Validate and of every call.
//
// Request refuses a key that could not be read back from the request it makes,
// so that what is saved under a key is what was asked for with it. Where base
// has a scheme or host it replaces "https" and the pattern's host. A path in
// base is for a proxy or gateway that takes it off again: Key does not match a
// request with such a prefix, so what belongs to the API, like "/v1", is part
// of the pattern. A query in base may have only parameters that the pattern
// ignores, such as an API key.
func Pattern[K comparable](pattern string, opts ...PatternOption) Endpoint[K] {
	return newPattern[K](pattern, opts)
}

// ParsePattern is [Pattern] for a pattern that is not known to be right.
func ParsePattern[K comparable](pattern string, opts ...PatternOption) (Endpoint[K], error) {
	e := newPattern[K](pattern, opts)
	if e.err != nil {
		return nil, e.err
	}
	return e, nil
}

// PatternOption lets a pattern match more requests.
type PatternOption func(*patternOptions)

type patternOptions struct {
	ignoreQuery   []string
	ignoreMembers []string
	ignoreBody    bool
	shareMethods  bool
}

// IgnoreQuery names parameters that make no difference to the answer. A name
// that ends in "*" stands for all that begin so, except those that the pattern
// or the key has.
func IgnoreQuery(names ...string) PatternOption {
	return func(o *patternOptions) { o.ignoreQuery = append(o.ignoreQuery, names...) }
}

// IgnoreAnyQuery ignores all parameters that neither the pattern nor the key
// has.
func IgnoreAnyQuery() PatternOption { return IgnoreQuery("*") }

// IgnoreMembers names members of a JSON body that make no difference to the
// answer, where the key has fields for others: by their paths, as in a body tag.
// A path that ends in "*" stands for all that begin so, except those that the key
// has: "trace", "filter.debug", "filter.*", and "*" for all.
func IgnoreMembers(paths ...string) PatternOption {
	return func(o *patternOptions) { o.ignoreMembers = append(o.ignoreMembers, paths...) }
}

// IgnoreBody lets requests with a body match, whatever is in it: where it makes
// no difference, or where a [Func] around the pattern adds it to the key. The
// requests that the pattern builds have no body.
func IgnoreBody() PatternOption {
	return func(o *patternOptions) { o.ignoreBody = true }
}

// ShareMethods lets the methods that the pattern names share keys, where a key tells what
// requests change and not what they return. The requests that the pattern builds have the
// first of them.
func ShareMethods() PatternOption {
	return func(o *patternOptions) { o.shareMethods = true }
}

// pattern is the typed side of a plan.
type pattern[K comparable] struct {
	text string
	plan *plan // nil if err is not
	err  error
}

func newPattern[K comparable](text string, opts []PatternOption) *pattern[K] {
	e := &pattern[K]{text: text}
	kt, err := keytype.Of[K]()
	if err == nil {
		e.plan, err = planOf(text, opts, kt, reflect.TypeFor[K]())
	}
	e.err = wrapPattern(text, err)
	return e
}

// planOf is the plan of a pattern with keys of type key.
func planOf(text string, opts []PatternOption, kt *keytype.Type, key reflect.Type) (*plan, error) {
	var options patternOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&options)
		}
	}
	return newPlan(text, options, kt, reflect.New(key).Elem())
}

func (e *pattern[K]) Key(req *http.Request) (key K, ok bool, err error) {
	if e.err != nil {
		return key, false, e.err
	}
	if !e.plan.admits(req) {
		return key, false, nil
	}
	read := new(K)
	if ok, err := e.plan.key(req, reflect.ValueOf(read).Elem()); err != nil || !ok {
		return key, false, err
	}
	return *read, true, nil
}

func (e *pattern[K]) Request(ctx context.Context, base *url.URL, key K) (*http.Request, error) {
	if e.err != nil {
		return nil, e.err
	}
	req, err := e.plan.build(ctx, base, reflect.ValueOf(key))
	if err != nil {
		return nil, wrapPattern(e.text, err)
	}
	return req, nil
}

func (e *pattern[K]) Validate() error { return e.err }

// Specificity is for package endpoint, as are Covers, Methods and ReadsHeaders.
func (e *pattern[K]) Specificity() endpoint.Specificity {
	if e.err != nil {
		return endpoint.Specificity{}
	}
	return e.plan.specificity()
}

func (e *pattern[K]) Covers(other any) bool {
	o, ok := other.(interface{ bound() *plan })
	return ok && e.plan != nil && o.bound() != nil && e.plan.covers(o.bound())
}

func (e *pattern[K]) bound() *plan { return e.plan }

func (e *pattern[K]) Methods() []string {
	if e.err != nil {
		return nil
	}
	return e.plan.named
}

func (e *pattern[K]) ReadsHeaders() bool { return e.err != nil || len(e.plan.headers) > 0 }

func (e *pattern[K]) String() string { return e.text }

func wrapPattern(text string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("request: pattern %q: %w", text, err)
}

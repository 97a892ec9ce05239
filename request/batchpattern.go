package request

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

// BatchOptions are the settings of a [BatchPattern]. Nil means the defaults.
type BatchOptions struct {
	// Separator stands between the values of a list, a space as "%20". The default is a comma.
	// A key whose value has it in it is not asked for in a batch, nor one whose
	// value ends in the beginning of a longer one.
	Separator string

	// Repeat has the parameter stand once for each value, as in "id=a&id=b".
	Repeat bool

	// IgnoreQuery names parameters that a base URL may have, as the option of
	// a [Pattern] does.
	IgnoreQuery []string
}

// BatchPattern is the batch of the requests that a pattern describes, in which
// one wildcard stands for the values of many keys:
//
//	request.BatchPattern[TrackKey]("GET /v1/tracks?ids={id}", 50, payload.SplitArray("tracks"), nil)
//
// The wildcard is the value of a query parameter, or else the only one of the path. It is
// for the field of K with a path, query, header or body tag of that name, or for the key
// itself where it is a single value. The other fields have their places as in a [Pattern], and
// only keys that are equal in them go together.
//
// split takes the answer apart: it is given its body and the values that the wildcard
// stands for, in the order of the keys, and returns a body for each of
// them, nil where there is none. Package payload has such functions.
//
// A mistake in the pattern is the error of Validate and of every call.
func BatchPattern[K comparable](pattern string, size int, split func(body []byte, values []string) ([][]byte, error), opts *BatchOptions) Batch[K] {
	b := &batchPattern[K]{text: pattern, size: size, split: split}
	if opts != nil {
		b.options = *opts
	}
	if err := b.parse(); err != nil {
		b.err = fmt.Errorf("request: batch %q: %w", pattern, err)
	}
	return b
}

// batchPattern is a pattern without its list, which is put into what it builds.
type batchPattern[K comparable] struct {
	text    string
	size    int
	split   func([]byte, []string) ([][]byte, error)
	options BatchOptions
	err     error // why the rest may not be set

	plan      *plan
	field     *keytype.Field // what the wildcard is for
	parameter string         // the name of the query parameter that is the list
	segment   *segment       // the segment of the path that is the list; nil: it is in the query
}

func (b *batchPattern[K]) parse() error {
	if b.split == nil {
		return errors.New("split is nil")
	}
	if err := checkBatchSize(b.size); err != nil {
		return err
	}
	b.options.Separator = cmp.Or(b.options.Separator, ",")
	kt, err := keytype.Of[K]()
	if err != nil {
		return err
	}
	text, wildcard, err := b.cutParameter(b.text)
	if err != nil {
		return err
	}
	p := &plan{keyType: kt}
	if err := p.parse(text); err != nil {
		return err
	}
	if b.parameter == "" {
		if b.options.Repeat {
			return errors.New("a list in the path cannot be repeated")
		}
		if b.segment, err = p.path.list(); err != nil {
			return err
		}
		wildcard = b.segment.name
	}
	if b.field, err = fieldNamed(kt, wildcard); err != nil {
		return err
	}
	if b.segment != nil {
		b.segment.field = b.field
	}
	if err := p.bindBatch(b.field, reflect.New(reflect.TypeFor[K]()).Elem()); err != nil {
		return err
	}
	if b.parameter != "" && p.query.owns(b.parameter) {
		return fmt.Errorf("query parameter %q is there twice", b.parameter)
	}
	if err := p.query.setIgnored(b.options.IgnoreQuery); err != nil {
		return err
	}
	if b.parameter != "" && p.query.ignores(b.parameter) {
		return fmt.Errorf("IgnoreQuery: parameter %q is the list", b.parameter)
	}
	b.plan = p
	return nil
}

// cutParameter takes the parameter that is the list out of the query of a pattern.
func (b *batchPattern[K]) cutParameter(text string) (rest, wildcard string, err error) {
	before, raw, _ := strings.Cut(text, "?")
	var kept []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(pair, "=")
		inner, opened := strings.CutPrefix(value, "{")
		inner, closed := strings.CutSuffix(inner, "}")
		if !opened || !closed {
			kept = append(kept, pair)
			continue
		}
		if wildcard != "" {
			return "", "", errors.New("the query has two wildcards")
		}
		wildcard = inner
		if b.parameter, err = url.QueryUnescape(name); err != nil {
			return "", "", err
		}
		if b.parameter == "" || wildcard == "" {
			return "", "", fmt.Errorf("parameter %q: it has no name, or its wildcard has none", pair)
		}
	}
	if query := strings.Join(kept, "&"); query != "" {
		before += "?" + query
	}
	return before, wildcard, nil
}

// list is the only wildcard of the path.
func (p *path) list() (*segment, error) {
	var found *segment
	for i := range p.segments {
		s := &p.segments[i]
		switch {
		case s.name == "":
		case found != nil:
			return nil, errors.New("the path has several wildcards: one that is the value of a query parameter can be the list")
		case s.span:
			return nil, errors.New("a wildcard that spans segments cannot be the list")
		default:
			found = s
		}
	}
	if found == nil {
		return nil, errors.New("it has no wildcard for the values of many keys")
	}
	return found, nil
}

// fieldNamed is the field whose tag has that name, or a key that is a single value.
func fieldNamed(kt *keytype.Type, name string) (*keytype.Field, error) {
	for i := range kt.Fields {
		f := &kt.Fields[i]
		if f.Name == "" && !f.Empty() {
			return f, nil
		}
		tag, err := parseTag(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if tag.name == name && !tag.option("hash") && !tag.option("list") && !tag.option("set") {
			return f, nil
		}
	}
	return nil, fmt.Errorf("wildcard {%s}: the key has no field with a tag of that name", name)
}

// bindBatch binds all fields but list, which has its place.
func (p *plan) bindBatch(list *keytype.Field, scratch reflect.Value) error {
	for i := range p.keyType.Fields {
		f := &p.keyType.Fields[i]
		if f == list {
			continue
		}
		if err := p.bindField(f, scratch); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	return p.bindRest()
}

func (b *batchPattern[K]) Size() int { return b.size }

func (b *batchPattern[K]) Validate() error { return b.err }

// Group is the key without the value in the list. A key that has no text is the error
// of the request for it alone.
func (b *batchPattern[K]) Group(key K) (any, bool) {
	if b.err != nil {
		return nil, false
	}
	text, err := b.value(key)
	if err != nil {
		return nil, false
	}
	// A value that ends in a part of the separator would move where it is found.
	joined := !b.options.Repeat && strings.Index(text+b.options.Separator, b.options.Separator) < len(text)
	if text == "" || joined || b.segment != nil && isDots(text) {
		return nil, false
	}
	v := reflect.ValueOf(&key).Elem()
	b.field.Of(v).SetZero()
	if b.plan.keyType.Comparable() {
		return key, true
	}
	shared, err := b.plan.keyType.AppendValues(nil, v)
	if err != nil {
		return nil, false
	}
	return string(driver.AppendKey(nil, shared)), true
}

func (b *batchPattern[K]) value(key K) (string, error) {
	return b.field.Text(reflect.ValueOf(&key).Elem())
}

func (b *batchPattern[K]) values(keys []K) ([]string, error) {
	values := make([]string, len(keys))
	for i, key := range keys {
		var err error
		if values[i], err = b.value(key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (b *batchPattern[K]) Request(ctx context.Context, base *url.URL, keys []K) (*http.Request, error) {
	req, err := b.build(ctx, base, keys)
	if err != nil {
		return nil, fmt.Errorf("request: batch %q: %w", b.text, err)
	}
	return req, nil
}

func (b *batchPattern[K]) build(ctx context.Context, base *url.URL, keys []K) (*http.Request, error) {
	if b.err != nil {
		return nil, errors.Unwrap(b.err)
	}
	if len(keys) == 0 || len(keys) > b.size {
		return nil, fmt.Errorf("%d keys: a request is for 1 to %d", len(keys), b.size)
	}
	group, ok := b.Group(keys[0])
	for _, key := range keys {
		if other, can := b.Group(key); !ok || !can || other != group {
			return nil, fmt.Errorf("key %s cannot be asked for together with %s", keytype.Show(key), keytype.Show(keys[0]))
		}
	}
	first := reflect.ValueOf(keys[0])
	values, err := b.values(keys)
	if err != nil {
		return nil, err
	}
	// The request for one of them shows that the parts that they share can be
	// read back.
	req, err := b.plan.build(ctx, base, first)
	if err != nil {
		return nil, err
	}
	query, err := b.plan.query.build(first)
	if err != nil {
		return nil, err
	}
	list := ""
	if b.segment != nil {
		list = joinEscaped(values, b.options.Separator, url.PathEscape)
	} else {
		query = b.addList(query, values)
	}
	path, err := b.plan.path.buildList(first, b.segment, list)
	if err != nil {
		return nil, err
	}
	req.URL, err = b.plan.resolve(base, path, query)
	return req, err
}

// addList adds the parameter that is the list to a raw query.
func (b *batchPattern[K]) addList(query string, values []string) string {
	name := url.QueryEscape(b.parameter) + "="
	list := name + joinEscaped(values, b.options.Separator, url.QueryEscape)
	if b.options.Repeat {
		pairs := make([]string, len(values))
		for i, value := range values {
			pairs[i] = name + url.QueryEscape(value)
		}
		list = strings.Join(pairs, "&")
	}
	if query == "" {
		return list
	}
	return list + "&" + query
}

// joinEscaped leaves a comma between values as it is, and writes others as [separator] does.
func joinEscaped(values []string, separator string, escape func(string) string) string {
	if separator != "," {
		separator = strings.ReplaceAll(url.QueryEscape(separator), "+", "%20")
	}
	escaped := make([]string, len(values))
	for i, value := range values {
		escaped[i] = escape(value)
	}
	return strings.Join(escaped, separator)
}

func (b *batchPattern[K]) Split(body []byte, keys []K) ([][]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	values, err := b.values(keys)
	if err != nil {
		return nil, fmt.Errorf("request: batch %q: %w", b.text, err)
	}
	bodies, err := b.split(body, values)
	if err == nil && len(bodies) != len(keys) {
		err = fmt.Errorf("%d bodies for %d keys", len(bodies), len(keys))
	}
	if err != nil {
		return nil, fmt.Errorf("request: batch %q: split the answer: %w", b.text, err)
	}
	return slices.Clip(bodies), nil
}

func (b *batchPattern[K]) String() string { return b.text }

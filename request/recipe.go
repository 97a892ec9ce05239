package request

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

func init() { endpoint.Remembered = remembered }

// The lines of a recipe begin with one of these words. That of a field goes on with the kind of its
// values and its tag, as `field string path:"id"`; the others with a name, or nothing.
const (
	fieldLine         = "field"
	ignoreQueryLine   = "ignore-query"
	ignoreMembersLine = "ignore-members"
	ignoreBodyLine    = "ignore-body"
	shareMethodsLine  = "share-methods"

	// Of Any.
	headersLine       = "headers" // without a name: no others than those that are named
	ignoreHeadersLine = "ignore-headers"
	sortQueryLine     = "sort-query"
	secretLine        = "secret"
	maxBodyLine       = "max-body"
	digestKeyLine     = "digest-key" // there is one that the store does not have
)

// absentTag is the tag of a field, in a recipe alone, for the text that it has in a key where a
// request lacks it.
const absentTag = "absent"

// sources are the tags that say which part of a request a field holds.
var sources = []string{"path", "query", "header", "body", "method"}

// Recipe is for package endpoint.
func (e *pattern[K]) Recipe() []string {
	if e.err != nil {
		return nil
	}
	return e.plan.recipe()
}

func (p *plan) recipe() (lines []string) {
	for i := range p.keyType.Fields {
		f := &p.keyType.Fields[i]
		line := fieldLine + " " + f.Word()
		for _, name := range append(slices.Clone(sources), "default") {
			if text, ok := f.Tag.Lookup(name); ok {
				line += " " + name + ":" + strconv.Quote(text)
			}
		}
		if absent, ok := p.absentOf(f); ok && !f.Plain() && f.Kind == driver.String {
			line += " " + absentTag + ":" + strconv.Quote(absent)
		}
		lines = append(lines, line)
	}
	lines = appendLines(lines, ignoreQueryLine, p.query.ignored)
	if p.members != nil {
		lines = appendLines(lines, ignoreMembersLine, p.members.ignored)
	}
	if p.ignoreBody {
		lines = append(lines, ignoreBodyLine)
	}
	if p.shareMethods {
		lines = append(lines, shareMethodsLine)
	}
	return lines
}

func appendLines(lines []string, word string, names []string) []string {
	for _, name := range names {
		lines = append(lines, word+" "+name)
	}
	return lines
}

// inputs are the fields that may be absent from a request.
func (p *plan) inputs(yield func(*input) bool) {
	for i := range p.query.fields {
		if !yield(&p.query.fields[i].input) {
			return
		}
	}
	for i := range p.headers {
		if !yield(&p.headers[i].input) {
			return
		}
	}
	for _, f := range p.memberFields() {
		if !yield(&f.input) {
			return
		}
	}
}

func (p *plan) absentOf(f *keytype.Field) (text string, ok bool) {
	for in := range p.inputs {
		if in.field == f {
			return in.absent, true
		}
	}
	return "", false
}

var errNoRecipe = errors.New("the store does not remember how keys are taken from its requests")

// remembered is [endpoint.Remembered].
func remembered(text string, recipe []string, key []driver.Column, byIdentity bool) (endpoint.Untyped, error) {
	if text == anyText {
		return rememberedAny(recipe, key, byIdentity)
	}
	if recipe == nil {
		recipe = guessed(text, key)
	}
	read, err := readRecipe(recipe)
	if err != nil {
		return nil, err
	}
	kt, err := read.keyType(key)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(text, read.pattern, kt, kt.New())
	if err != nil {
		return nil, fmt.Errorf("request: pattern %q, as it is remembered: %w", text, err)
	}
	for in := range p.inputs {
		if absent, ok := in.field.Tag.Lookup(absentTag); ok {
			in.absent = absent
		}
	}
	return &untypedPattern{&pattern[struct{}]{text: text, plan: p}}, nil
}

// guessed is the recipe of a pattern whose columns are all wildcards, and which an earlier version
// has stored without it.
func guessed(text string, key []driver.Column) (recipe []string) {
	var p plan
	if p.parse(text) != nil {
		return nil
	}
	for _, column := range key {
		tag := ""
		if len(key) > 1 || column.Name != keytype.ScalarColumn {
			at := slices.IndexFunc(p.path.segments, func(s segment) bool { return s.name != "" && keytype.Column(s.name) == column.Name })
			if at < 0 {
				return nil
			}
			tag = " path:" + strconv.Quote(p.path.segments[at].name)
		}
		recipe = append(recipe, fieldLine+" "+keytype.WordOf(column.Kind)+tag)
	}
	return recipe
}

// recipe is one whose lines were read.
type recipe struct {
	fields  []string // their kinds and tags
	pattern patternOptions
	any     AnyOptions
	byVary  bool
	digests bool // made with a key that is not known
}

func readRecipe(lines []string) (r recipe, err error) {
	if lines == nil {
		return r, errNoRecipe
	}
	for _, line := range lines {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case fieldLine:
			r.fields = append(r.fields, rest)
		case ignoreQueryLine:
			r.pattern.ignoreQuery = append(r.pattern.ignoreQuery, rest)
			r.any.IgnoreQuery = append(r.any.IgnoreQuery, rest)
		case ignoreMembersLine:
			r.pattern.ignoreMembers = append(r.pattern.ignoreMembers, rest)
		case ignoreBodyLine:
			r.pattern.ignoreBody = true
			r.any.IgnoreBody = append(r.any.IgnoreBody, rest)
		case shareMethodsLine:
			r.pattern.shareMethods = true
		case headersLine:
			if r.any.Headers = append([]string{}, r.any.Headers...); rest != "" {
				r.any.Headers = append(r.any.Headers, rest)
			}
		case ignoreHeadersLine:
			r.any.IgnoreHeaders = append(r.any.IgnoreHeaders, rest)
		case sortQueryLine:
			r.any.SortQuery = true
		case secretLine:
			r.any.Secret = append(r.any.Secret, rest)
		case maxBodyLine:
			r.any.MaxBody, err = strconv.ParseInt(rest, 10, 64)
		case digestKeyLine:
			r.digests = true
		case endpoint.ByVaryLine:
			r.byVary = true
		case endpoint.NoneLine:
			err = errNoRecipe
		default:
			err = fmt.Errorf("%w in a form that is known here: a newer version may have stored it", errNoRecipe)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// keyType is that of the fields, with the columns of the store.
func (r *recipe) keyType(key []driver.Column) (*keytype.Type, error) {
	if len(r.fields) != len(key) {
		return nil, errNoRecipe
	}
	fields := make([]keytype.Remembered, len(key))
	for i, text := range r.fields {
		word, tag, _ := strings.Cut(text, " ")
		fields[i] = keytype.Remembered{Column: key[i].Name, Word: word, Tag: reflect.StructTag(tag)}
	}
	return keytype.OfRemembered(fields)
}

// untypedPattern is a pattern whose key type is not there: its plan has another one, with the
// same columns.
type untypedPattern struct{ *pattern[struct{}] }

// KeyValues implements [endpoint.Untyped].
func (e *untypedPattern) KeyValues(req *http.Request) (driver.Key, bool, error) {
	if !e.plan.admits(req) {
		return nil, false, nil
	}
	key := e.plan.keyType.New()
	if ok, err := e.plan.key(req, key); err != nil || !ok {
		return nil, false, err
	}
	values, err := e.plan.keyType.AppendValues(nil, key)
	return values, err == nil, err
}

// RequestFor implements [endpoint.Untyped].
func (e *untypedPattern) RequestFor(ctx context.Context, base *url.URL, key driver.Key) (*http.Request, error) {
	typed := e.plan.keyType.New()
	if err := e.plan.keyType.Set(typed, key); err != nil {
		return nil, wrapPattern(e.text, err)
	}
	req, err := e.plan.build(ctx, base, typed)
	return req, wrapPattern(e.text, err)
}

// anyText is what Any tells of itself.
const anyText = "any request"

// Recipe is for package endpoint.
func (e *anyEndpoint) Recipe() []string {
	if e.err != nil {
		return nil
	}
	o := &e.opts
	lines := []string{}
	if o.Headers != nil {
		lines = appendLines(append(lines, headersLine), headersLine, o.Headers)
	}
	lines = appendLines(lines, ignoreHeadersLine, o.IgnoreHeaders)
	lines = appendLines(lines, ignoreQueryLine, o.IgnoreQuery)
	if o.SortQuery {
		lines = append(lines, sortQueryLine)
	}
	lines = appendLines(lines, ignoreBodyLine, o.IgnoreBody)
	lines = appendLines(lines, secretLine, o.Secret)
	if o.MaxBody > 0 {
		lines = append(lines, maxBodyLine+" "+strconv.FormatInt(o.MaxBody, 10))
	}
	if e.ownKey {
		lines = append(lines, digestKeyLine)
	}
	return lines
}

func rememberedAny(recipe []string, key []driver.Column, byIdentity bool) (endpoint.Untyped, error) {
	kt, err := keytype.Of[AnyKey]()
	if err != nil || !slices.Equal(kt.Columns(), key) {
		return nil, errNoRecipe
	}
	if recipe == nil {
		recipe = []string{}
	}
	read, err := readRecipe(recipe)
	if err != nil {
		return nil, err
	}
	e := Any(&read.any).(*anyEndpoint)
	if e.err != nil {
		return nil, e.err
	}
	e.foreign, e.headers.byVary, e.headers.byIdentity = read.digests, read.byVary, byIdentity
	return &untypedAny{e, kt}, nil
}

// untypedAny is a catch-all.
type untypedAny struct {
	*anyEndpoint
	keyType *keytype.Type
}

// WithDigestKey is for package endpoint.
func (e *untypedAny) WithDigestKey(key []byte) any {
	return &untypedAny{e.anyEndpoint.WithDigestKey(key).(*anyEndpoint), e.keyType}
}

// errForeignDigests means that requests have digests in their keys which cannot be made.
var errForeignDigests = errors.New("its key has digests, which were made with a key that only the program has")

// KeyValues implements [endpoint.Untyped].
func (e *untypedAny) KeyValues(req *http.Request) (driver.Key, bool, error) {
	key, ok, err := e.Key(req)
	if err != nil || !ok {
		return nil, false, err
	}
	if e.foreign && (key.Body != "" || strings.Contains(key.URL+key.Headers, "{")) {
		return nil, false, errForeignDigests
	}
	values, err := e.keyType.AppendValues(nil, reflect.ValueOf(key))
	return values, err == nil, err
}

// RequestFor implements [endpoint.Untyped].
func (e *untypedAny) RequestFor(ctx context.Context, base *url.URL, key driver.Key) (*http.Request, error) {
	var typed AnyKey
	if err := e.keyType.Set(reflect.ValueOf(&typed).Elem(), key); err != nil {
		return nil, err
	}
	return e.Request(ctx, base, typed)
}

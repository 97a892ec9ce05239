package gen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// plan is what the package is going to have.
type plan struct {
	doc    *document
	config Config
	names  *names
	types  imports

	operations []*operation // of the document, in the order of their paths
	endpoints  []*endpoint
	byPath     map[string][]*endpoint // by the places of their paths
	writes     []*write
	enums      map[string]*enum // by the names of their schemas
	prefix     string           // of the paths of all patterns
	hosts      []string         // of the document's servers

	securityTold bool // some operation, or the document, says what credentials it needs

	needsMember, needsWhose bool // the functions of these names
}

// operation is an operation of the document with what was decided about it.
type operation struct {
	*openapi3.Operation
	method, path string
	item         *openapi3.PathItem
	pointer      string
	config       Operation
	parameters   []*openapi3.Parameter

	skipped  string // the reason
	endpoint *endpoint
	write    *write
	notes    []string
}

// note adds what a reader of the report is to know.
func (o *operation) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(o.notes, text) {
		o.notes = append(o.notes, text)
	}
}

// endpoint is a declaration.
type endpoint struct {
	*operation
	name       string // in Go
	repository string
	template   template
	server     *url.URL // of an operation that the document's first server does not answer
	hosted     bool     // the pattern has its host
	key        key
	payload    payload
	security   security
	expire     Duration
	absent     Duration
	statuses   []int
	pages      *paging
	batch      *batch
	tags       string // the expression of the tag, where writes have tags
}

// method names in the order in which operations of a path are told.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

func (p *plan) make(ctx context.Context) error {
	if err := p.config.validate(); err != nil {
		return err
	}
	if err := p.readServer(); err != nil {
		return err
	}
	if err := p.readOperations(); err != nil {
		return err
	}
	p.securityTold = p.saysSecurity()
	p.enums = make(map[string]*enum)
	if err := p.chooseReads(ctx); err != nil {
		return err
	}
	if err := p.nameEndpoints(); err != nil {
		return err
	}
	for _, e := range p.endpoints {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.fill(e)
	}
	p.byPath = make(map[string][]*endpoint)
	for _, e := range p.endpoints {
		path := e.template.place()
		p.byPath[path] = append(p.byPath[path], e)
	}
	p.findBatches()
	p.findWrites()
	return nil
}

func (p *plan) readOperations() error {
	matched := make(map[string]bool)
	if p.doc.Paths == nil {
		return nil
	}
	paths := p.doc.Paths.Map()
	for _, path := range sortedKeys(paths) {
		item := paths[path]
		if item == nil {
			continue
		}
		if !strings.HasPrefix(path, "/") {
			return p.doc.failed("/paths/"+escapePointer(path), errors.New("a path begins with a slash"))
		}
		all := item.Operations()
		if item.Ref != "" && len(all) == 0 {
			return p.doc.failed("/paths/"+escapePointer(path), fmt.Errorf("the reference %q leads to no operations", item.Ref))
		}
		if err := p.checkParameters("/paths/"+escapePointer(path), item.Parameters); err != nil {
			return err
		}
		for _, method := range append(methods, extra(all)...) {
			op := all[method]
			if op == nil {
				continue
			}
			o := &operation{
				Operation: op, method: method, path: path, item: item,
				pointer: "/paths/" + escapePointer(path) + "/" + strings.ToLower(method),
			}
			if err := p.checkOperation(o); err != nil {
				return err
			}
			o.config = p.configOf(o, matched)
			o.parameters = o.allParameters()
			p.operations = append(p.operations, o)
		}
	}
	for name := range p.config.Operations {
		if !matched[name] {
			return &ConfigError{Err: fmt.Errorf("operations: the document has no operation %q", name)}
		}
	}
	for _, rule := range p.config.Rules {
		if !matched["rule "+rule.Match] {
			return &ConfigError{Err: fmt.Errorf("rules: no operation matches %q", rule.Match)}
		}
	}
	return nil
}

// checkOperation reports an operation that is none, and parameters and responses that are none.
func (p *plan) checkOperation(o *operation) error {
	if ref, ok := o.Extensions["$ref"]; ok {
		return p.doc.failed(o.pointer+"/$ref", fmt.Errorf("the operation is a reference, %q, which OpenAPI has for whole paths only: bundle the document's files first", fmt.Sprint(ref)))
	}
	if err := p.checkParameters(o.pointer, o.Operation.Parameters); err != nil {
		return err
	}
	if o.Responses == nil {
		return nil
	}
	responses := o.Responses.Map()
	for _, code := range sortedKeys(responses) {
		pointer, ref := o.pointer+"/responses/"+escapePointer(code), responses[code]
		if ref == nil || ref.Value == nil {
			return p.doc.failed(pointer, errors.New("the reference leads to no response"))
		}
		pointer = target(ref.Ref, pointer)
		for _, name := range sortedKeys(ref.Value.Content) {
			if content := ref.Value.Content[name]; content != nil && leadsNowhere(content.Schema) {
				return p.doc.failed(pointer+"/content/"+escapePointer(name)+"/schema", errNoSchema)
			}
		}
	}
	return nil
}

// target is the pointer that a reference within the document leads to, or else the given one.
func target(ref, pointer string) string {
	if within, ok := strings.CutPrefix(ref, "#/"); ok {
		return "/" + within
	}
	return pointer
}

var errNoSchema = errors.New("the reference leads to no schema")

func leadsNowhere(ref *openapi3.SchemaRef) bool {
	return ref != nil && ref.Ref != "" && ref.Value == nil
}

// checkParameters reports parameters that are none.
func (p *plan) checkParameters(pointer string, refs openapi3.Parameters) error {
	for i, ref := range refs {
		var err error
		pointer := pointer + "/parameters/" + strconv.Itoa(i)
		if ref != nil && ref.Value != nil {
			pointer = target(ref.Ref, pointer)
		}
		switch {
		case ref == nil:
			err = errors.New("the parameter is empty")
		case ref.Value == nil:
			err = fmt.Errorf("the reference %q leads to no parameter", ref.Ref)
		case ref.Value.Name == "":
			err = errors.New("the parameter has no name")
		case !slices.Contains([]string{"path", "query", "header", "cookie"}, ref.Value.In):
			err = fmt.Errorf(`the parameter %q is in %q, which is none of path, query, header and cookie`, ref.Value.Name, ref.Value.In)
			pointer += "/in"
		case leadsNowhere(ref.Value.Schema):
			err = errNoSchema
			pointer += "/schema"
		default:
			continue
		}
		return p.doc.failed(pointer, err)
	}
	return nil
}

// extra are methods that are not known.
func extra(all map[string]*openapi3.Operation) []string {
	var others []string
	for _, method := range sortedKeys(all) {
		if !slices.Contains(methods, method) {
			others = append(others, method)
		}
	}
	return others
}

// configOf is what the configuration says of an operation. What applies is noted in matched.
func (p *plan) configOf(o *operation, matched map[string]bool) Operation {
	var found Operation
	names := []string{o.method + " " + o.path}
	if o.OperationID != "" {
		names = append(names, o.OperationID)
	}
	of := slices.Clone(names)
	for _, tag := range o.Tags {
		of = append(of, "tag:"+tag)
	}
	for _, rule := range p.config.Rules {
		if slices.ContainsFunc(of, func(name string) bool { return matches(rule.Match, name) }) {
			matched["rule "+rule.Match] = true
			found = rule.Operation.over(found)
		}
	}
	for _, name := range names {
		if c, ok := p.config.Operations[name]; ok {
			matched[name] = true
			found = c.over(found)
		}
	}
	return found
}

// matches tells whether a text is of a pattern, in which "*" stands for any text.
func matches(pattern, text string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == text
	}
	parts := strings.Split(pattern, "*")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	ok, err := regexp.MatchString("(?s)^"+strings.Join(parts, ".*")+"$", text)
	return ok && err == nil
}

// allParameters are the operation's and those of its path, which it may replace.
func (o *operation) allParameters() []*openapi3.Parameter {
	var all []*openapi3.Parameter
	add := func(refs openapi3.Parameters) {
		for _, ref := range refs {
			same := slices.IndexFunc(all, func(q *openapi3.Parameter) bool {
				return q.Name == ref.Value.Name && q.In == ref.Value.In
			})
			if same >= 0 {
				all[same] = ref.Value
				continue
			}
			all = append(all, ref.Value)
		}
	}
	add(o.item.Parameters)
	add(o.Parameters)
	return all
}

// chooseReads finds which operations have a declaration.
func (p *plan) chooseReads(ctx context.Context) error {
	var candidates []*endpoint
	for _, o := range p.operations {
		if err := ctx.Err(); err != nil {
			return err
		}
		switch o.method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			if !o.config.Cache {
				continue
			}
		case http.MethodPut, http.MethodPatch, http.MethodDelete:
			if o.config.Cache {
				return &ConfigError{Err: fmt.Errorf("operations: %s %s: only a POST can be cached besides GET and HEAD", o.method, o.path)}
			}
			continue
		default:
			o.skipped = "requests by " + o.method + " are not cached"
			continue
		}
		if o.config.Skip {
			o.skipped = "the configuration skips it"
			continue
		}
		e := &endpoint{operation: o}
		if reason := p.prepare(e); reason != "" {
			o.skipped = reason
			continue
		}
		candidates = append(candidates, e)
	}
	p.chooseAmong(candidates)
	return nil
}

// chooseAmong leaves one of those whose requests are the same. A path with several parameters
// in one segment comes after those with one, as its field has all of the segment in either case.
func (p *plan) chooseAmong(candidates []*endpoint) {
	chosen := make(map[string]*endpoint) // by what requests are for
	for _, e := range candidates {
		like := e.requests()
		if other := chosen[like]; other == nil || other.template.joins() && !e.template.joins() {
			chosen[like] = e
		}
	}
	for _, e := range candidates {
		if other := chosen[e.requests()]; other != e {
			e.skipped = fmt.Sprintf("its requests are those of %s %s: the paths differ only in the names of parameters", other.method, other.path)
			if e.template.joins() || other.template.joins() {
				e.skipped = fmt.Sprintf("its requests are among those of %s %s: several parameters in a segment of the path are as one", other.method, other.path)
			}
			continue
		}
		e.operation.endpoint = e
		p.endpoints = append(p.endpoints, e)
	}
}

// requests is the same for declarations whose requests are.
func (e *endpoint) requests() string { return e.method + " " + e.host() + e.template.normal() }

// pattern is that of the requests.
func (e *endpoint) pattern() string { return e.method + " " + e.host() + e.template.String() }

// prepare finds out whether an operation can have a declaration, and returns the reason if
// it cannot.
func (p *plan) prepare(e *endpoint) (reason string) {
	if e.template, reason = p.templateOf(e.operation); reason != "" {
		return reason
	}
	if reason = p.readOwnServer(e); reason != "" {
		return reason
	}
	e.security = p.securityOf(e.operation)
	return p.readPayload(e)
}

// nameEndpoints gives all declarations their names, in an order in which a new operation
// changes few others.
func (p *plan) nameEndpoints() error {
	order := slices.Clone(p.endpoints)
	slices.SortStableFunc(order, func(a, b *endpoint) int {
		return cmp.Or(
			-cmp.Compare(len(a.config.Name), len(b.config.Name)), // who has a name of the user's own, gets it
			cmp.Compare(a.OperationID, b.OperationID), cmp.Compare(a.path, b.path), cmp.Compare(a.method, b.method),
		)
	})
	for _, e := range order {
		byPath := goName(strings.ToLower(e.method) + " " + e.path)
		if byPath == goName(strings.ToLower(e.method)) {
			byPath += "Root"
		}
		e.name = p.names.take(endpointForms, e.config.Name, goName(e.OperationID), byPath)
		if given := e.config.Name; given != "" && given != e.name {
			return e.misnamed("name", given)
		}
	}
	return p.nameRepositories(order)
}

// nameRepositories gives all declarations the names of their tables, those of the user's own
// first.
func (p *plan) nameRepositories(order []*endpoint) error {
	taken := make(map[string]bool)
	for _, e := range order {
		if given := e.config.Repository; given != "" {
			name := shorten(p.config.Prefix + given)
			if e.repository = unique(taken, name); e.repository != name {
				return e.misnamed("repository", given)
			}
		}
	}
	for _, e := range order {
		if e.repository == "" {
			table := strings.TrimLeft(keytype.Column("x" + e.name)[1:], "_")
			e.repository = unique(taken, shorten(p.config.Prefix+table))
		}
	}
	return nil
}

// misnamed is the error that a name is not the only one of its kind.
func (e *endpoint) misnamed(field, name string) error {
	return &ConfigError{Err: fmt.Errorf("operations: %s %s: %s: %q is taken", e.method, e.path, field, name)}
}

// endpointForms are the names that a declaration has.
func endpointForms(name string) []string {
	return []string{name, name + "Key", "New" + name + "Key", name + "Next", "pageOf" + name}
}

// maxName is a length of tables' names that all stores take.
const maxName = 60

func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	return fmt.Sprintf("%s_%08x", strings.ToValidUTF8(name[:maxName-9], ""), hash32(name))
}

// fill works out the parts of a declaration.
func (p *plan) fill(e *endpoint) {
	if reason := p.readKey(e); reason != "" {
		e.skipped = reason
	}
	if e.skipped == "" {
		p.readExpiry(e)
		p.readPages(e)
		return
	}
	e.operation.endpoint = nil
	p.endpoints = slices.DeleteFunc(slices.Clone(p.endpoints), func(other *endpoint) bool { return other == e })
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

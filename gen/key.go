package gen

import (
	"cmp"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// key is a type of keys.
type key struct {
	fields []*field
	ignore []string // parameters that make no difference
}

// field is a field of a key.
type field struct {
	name    string // in Go
	goType  string
	source  string // path, query, header, body
	param   string // the name in the request
	options []string
	column  string // where it is not the one of the name

	hasDefault   bool
	defaultValue string // its text
	doc          string
	enum         *enum
	json         bool // it is an Accept header that may ask for JSON
}

// enum is a type with constants.
type enum struct {
	name     string
	kind     string // string or int
	doc      string
	values   []string // their texts
	constant []string // their names
	first    *endpoint
	written  bool
}

func (f *field) required() bool {
	return f.source == "path" || slices.Contains(f.options, "required")
}

// tag is the field's tag, without the quotes around it.
func (f *field) tag() string {
	name := strings.Join(append([]string{f.param}, f.options...), ",")
	tag := f.source + ":" + strconv.Quote(name)
	if f.hasDefault {
		tag += " default:" + strconv.Quote(f.defaultValue)
	}
	if f.column != "" {
		tag += " column:" + strconv.Quote(f.column)
	}
	return tag
}

// readKey makes the key of an endpoint, or tells why it has none.
func (p *plan) readKey(e *endpoint) (reason string) {
	for _, s := range e.template.wildcards() {
		if reason := p.addPath(e, s); reason != "" {
			return reason
		}
	}
	for _, param := range e.parameters {
		if reason := p.addParameter(e, param); reason != "" {
			return reason
		}
	}
	p.addAccept(e)
	for _, name := range p.config.Headers {
		if name = textproto.CanonicalMIMEHeaderKey(name); !e.has("header", name) {
			e.addField(&field{source: "header", param: name, goType: "string"})
		}
	}
	if reason := p.addBody(e); reason != "" {
		return reason
	}
	e.key.ignore = p.ignored(e)
	return nameFields(e)
}

// ignored are the parameters that make no difference to an endpoint, which it does not have.
func (p *plan) ignored(e *endpoint) []string {
	all := slices.Concat(e.key.ignore, e.config.Ignore, p.config.IgnoreQuery, e.security.query)
	all = slices.DeleteFunc(all, func(name string) bool {
		return slices.ContainsFunc(e.key.fields, func(f *field) bool { return f.source == "query" && f.param == name }) ||
			e.template.hasFixed(name) || name == ""
	})
	slices.Sort(all)
	return slices.Compact(all)
}

// addPath adds the field of a wildcard.
func (p *plan) addPath(e *endpoint, s segment) (reason string) {
	f := &field{source: "path", param: s.wildcard, goType: "string"}
	if len(s.parameters) > 1 {
		f.doc = "The part of the path with " + joinWords(s.parameters) + ", as " + describeSegment(s) + "."
		e.note("%s are one field, as they stand in one segment of the path", joinWords(s.parameters))
		e.addField(f)
		return ""
	}
	param := find(e.parameters, "path", s.parameters[0])
	if param == nil {
		e.note("the document does not describe the path's parameter %q: it is a string", s.parameters[0])
		e.addField(f)
		return ""
	}
	f.doc = param.Description
	schema := only(schemaRefOf(param))
	if s.span {
		f.doc = sentence(f.doc) + " It may have slashes."
		e.addField(f)
		return ""
	}
	explode := param.Explode != nil && *param.Explode
	switch v := schemaOf(schema); {
	case mayBe(v, "object") && explode, mayBe(v, "array") && explode && param.Style == openapi3.SerializationMatrix:
		return "the values of its parameter " + strconv.Quote(param.Name) + " in the path cannot be told apart"
	case mayBe(v, "array") && explode && param.Style == openapi3.SerializationLabel:
		f.doc = strings.TrimSpace(sentence(f.doc) + " Its values are joined by dots.")
	case mayBe(v, "array"), mayBe(v, "object"):
		setJoined(f, v, openapi3.SerializationSimple)
	default:
		p.setType(e, f, param.Name, schema)
	}
	e.addField(f)
	return ""
}

func describeSegment(s segment) string {
	var b strings.Builder
	for i, name := range s.parameters {
		b.WriteString("{" + name + "}")
		if i < len(s.between) {
			b.WriteString(s.between[i])
		}
	}
	return b.String()
}

func find(params []*openapi3.Parameter, in, name string) *openapi3.Parameter {
	for _, param := range params {
		if param.In == in && param.Name == name {
			return param
		}
	}
	return nil
}

// schemaRefOf is the schema of a parameter, nil for one that is described by its content.
func schemaRefOf(param *openapi3.Parameter) *openapi3.SchemaRef { return param.Schema }

// addParameter adds the fields of a parameter that does not stand in the path.
func (p *plan) addParameter(e *endpoint, param *openapi3.Parameter) (reason string) {
	switch param.In {
	case "path":
		if !slices.ContainsFunc(e.template.segments, func(s segment) bool { return slices.Contains(s.parameters, param.Name) }) {
			e.note("the path has no parameter %q, which the document describes", param.Name)
		}
		return ""
	case "query":
		return p.addQuery(e, param)
	case "header":
		return p.addHeader(e, param)
	case "cookie":
		if e.security.hasCookie(param.Name) {
			return ""
		}
		return "its answer depends on the cookie " + param.Name + ", which cannot be part of a key"
	default:
		return ""
	}
}

// omit leaves a parameter out of the key, so that requests with it are not cached. That is no
// use where all requests have it.
func (e *endpoint) omit(param *openapi3.Parameter, why string) (reason string) {
	if param.Required {
		return "the parameter " + strconv.Quote(param.Name) + " cannot be part of a key: " + why
	}
	e.note("requests with the parameter %q are not cached: %s", param.Name, why)
	return ""
}

func (e *endpoint) has(source, name string) bool {
	return slices.ContainsFunc(e.key.fields, func(f *field) bool { return f.source == source && f.param == name })
}

// noDifference are headers that do not change what is answered: conditions and ranges, which
// the cache takes care of, and what traces a request.
var noDifference = map[string]string{
	"If-Match": "the cache makes its own conditions", "If-None-Match": "the cache makes its own conditions",
	"If-Modified-Since": "the cache makes its own conditions", "If-Unmodified-Since": "the cache makes its own conditions",
	"If-Range": "the cache makes its own conditions", "Range": "the cache knows ranges",
	"X-Request-Id": "it only names the request", "X-Correlation-Id": "it only names the request", "Request-Id": "it only names the request",
	"Traceparent": "it only names the request", "Tracestate": "it only names the request", "Baggage": "it only names the request",
	"Idempotency-Key": "it only names the request", "User-Agent": "it only names the client",
}

// notParameters are headers that OpenAPI describes elsewhere: a parameter of such a name has
// no meaning.
var notParameters = []string{"Accept", "Content-Type", "Authorization"}

// unsent are headers that clients set by themselves.
var unsent = []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"}

func (p *plan) addHeader(e *endpoint, param *openapi3.Parameter) (reason string) {
	name := textproto.CanonicalMIMEHeaderKey(param.Name)
	ignored := slices.ContainsFunc(p.config.IgnoreHeaders, func(h string) bool { return strings.EqualFold(h, name) })
	switch {
	case slices.Contains(notParameters, name), slices.Contains(unsent, name), slices.Contains(e.security.headers, name):
		return ""
	case ignored:
		e.note("the header %s makes no difference, by the configuration", name)
		return ""
	case noDifference[name] != "":
		e.note("the header %s is not part of the key: %s", name, noDifference[name])
		return ""
	case !isToken(name):
		return "its parameter " + strconv.Quote(param.Name) + " is not the name of a header"
	case e.has("header", name):
		return ""
	}
	f := p.newField(param, "header", name)
	if schema := only(param.Schema); len(param.Content) == 0 && typeOf(schemaOf(schema)) != "array" && typeOf(schemaOf(schema)) != "object" {
		p.setType(e, f, param.Name, schema)
	}
	e.addField(f)
	return ""
}

func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r < 0x80 && (isASCIILetter(byte(r)) || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)))
	})
}

// addAccept adds the Accept header where it chooses what is answered.
func (p *plan) addAccept(e *endpoint) {
	if !e.payload.negotiated || e.has("header", "Accept") {
		return
	}
	e.addField(&field{
		source: "header", param: "Accept", goType: "string", json: slices.Contains(e.payload.versions, "application/json"),
		doc: "The media type of the answer, which is one of " + strings.Join(e.payload.versions, ", ") + ".",
	})
}

// setType gives a field the type of a scalar, and its default.
func (p *plan) setType(e *endpoint, f *field, name string, ref *openapi3.SchemaRef) {
	schema := schemaOf(ref)
	kind := typeOf(schema)
	switch kind {
	case "integer":
		f.goType = "int"
		if schema.Format == "int64" {
			f.goType = "int64"
		}
	case "boolean":
		f.goType = "bool"
	}
	f.doc = cmp.Or(f.doc, schemaDescription(schema))
	if schema != nil && f.source != "path" && !f.required() {
		setDefault(e, f, name, schema.Default)
	}
	texts := enumTexts(schema)
	mayBeEmpty := f.source == "query" && !f.required() && !f.hasDefault && slices.Contains(texts, "")
	if mayBeEmpty && f.goType == "string" {
		f.doc = strings.TrimSpace(sentence(f.doc) + listValues(&openapi3.Schema{Items: ref}))
	} else if len(texts) > 0 && len(texts) <= 200 && (kind == "string" || kind == "") && f.goType == "string" {
		f.enum = p.enumOf(e, f, name, ref, texts)
	} else if len(texts) > 0 && len(texts) <= 20 && f.goType == "int" {
		f.doc = strings.TrimSpace(sentence(f.doc) + " It is " + joinOr(texts) + ".")
	}
	if f.source != "path" && !f.required() && !f.hasDefault && f.goType != "string" {
		f.goType = "request.Optional[" + f.goType + "]"
	}
	if f.source == "query" && f.goType == "string" && f.enum == nil && !f.hasDefault && (mayBeEmpty || allowsEmpty(e, f.param)) {
		f.options = append(f.options, "list") // which tells an empty value from none
		f.doc = strings.TrimSpace(sentence(f.doc) + ` request.JoinList("") is the parameter without a value.`)
	}
}

func schemaDescription(s *openapi3.Schema) string {
	if s == nil {
		return ""
	}
	return s.Description
}

func allowsEmpty(e *endpoint, name string) bool {
	param := find(e.parameters, "query", name)
	return param != nil && param.AllowEmptyValue
}

// setDefault sets the default that a document tells, if it is one of the field's type.
func setDefault(e *endpoint, f *field, name string, value any) {
	if value == nil {
		return
	}
	text, ok := textOf(value)
	switch f.goType {
	case "int":
		_, err := strconv.ParseInt(text, 10, 32)
		ok = ok && err == nil
	case "int64":
		_, err := strconv.ParseInt(text, 10, 64)
		ok = ok && err == nil
	case "bool":
		ok = text == "true" || text == "false"
	}
	if !ok {
		e.note("the default of the parameter %q is not of its type", name)
		return
	}
	f.hasDefault, f.defaultValue = true, text
}

// nameFields gives the fields names and columns of their own.
func nameFields(e *endpoint) (reason string) {
	names, columns := make(map[string]bool), map[string]bool{"identity": true}
	for _, f := range e.key.fields {
		if f.source == "query" && strings.ContainsAny(f.param, ",") || f.source != "body" && strings.ContainsFunc(f.param, isControl) {
			return "its parameter " + strconv.Quote(f.param) + " has a name that a key cannot have"
		}
		base := cmp.Or(goName(f.param), "Value")
		if names[base] {
			base += goName(f.source)
		}
		f.name = uniqueExact(names, base)
		column := keytype.Column(f.columnName())
		own := shorten(column)
		if columns[strings.ToLower(own)] {
			own = unique(columns, own+"_"+f.source)
		} else {
			columns[strings.ToLower(own)] = true
		}
		if own != column {
			f.column = own
		}
	}
	return ""
}

// columnName is what the column is named after where there is no column tag.
func (f *field) columnName() string {
	if f.source == "body" {
		return strings.ReplaceAll(f.param, `\`, "")
	}
	return f.param
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }

func uniqueExact(taken map[string]bool, name string) string {
	chosen := name
	for i := 2; taken[chosen]; i++ {
		chosen = name + strconv.Itoa(i)
	}
	taken[chosen] = true
	return chosen
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
}

// enumOf is the type of an enumeration. Those of one schema have one.
func (p *plan) enumOf(e *endpoint, f *field, name string, ref *openapi3.SchemaRef, texts []string) *enum {
	component := p.doc.componentOf(ref)
	if found := p.enums[component]; component != "" && found != nil {
		return found
	}
	made := &enum{kind: "string", values: texts, doc: schemaDescription(schemaOf(ref)), first: e}
	own := e.name + cmp.Or(goName(name), "Value")
	forms := func(name string) []string {
		all := []string{name}
		return append(all, constantNames(name, texts)...)
	}
	if component != "" {
		made.name = p.names.take(forms, goName(component), own)
		p.enums[component] = made
	} else {
		made.name = p.names.take(forms, own, own+goName(f.source))
	}
	made.constant = constantNames(made.name, texts)
	return made
}

func constantNames(of string, texts []string) []string {
	taken := make(map[string]bool)
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = uniqueExact(taken, of+valueName(text))
	}
	return all
}

// hasFixed tells whether the path has a parameter of its own.
func (t template) hasFixed(name string) bool {
	for pair := range strings.SplitSeq(t.fixed, "&") {
		own, _, _ := strings.Cut(pair, "=")
		if unescaped, err := url.QueryUnescape(own); err == nil && t.fixed != "" && unescaped == name {
			return true
		}
	}
	return false
}

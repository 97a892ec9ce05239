package gen

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// payload is what the responses of an endpoint hold.
type payload struct {
	goType  string
	handler string // an expression, empty for JSON
	raw     bool   // it is JSON as it is
	isJSON  bool
	schema  *openapi3.SchemaRef
	headers openapi3.Headers
	own     bool // the type is the user's or the client's, so the fields of it are not known

	mediaTypes []string
	versions   []string // the same, with parameters such as a version
	negotiated bool     // the Accept header chooses among them
	streaming  bool     // one of them is a stream
	confirms   bool     // 304 is an answer
	absent     bool     // 404 or 410 is
}

// streams tells whether some answers of the endpoint are streams.
func streams(e *endpoint) bool { return e.payload.streaming }

// readPayload finds the answer of an operation, or tells why it has none to keep.
func (p *plan) readPayload(e *endpoint) (reason string) {
	if action, _ := e.Extensions["x-kubernetes-action"].(string); action == "watch" || action == "watchlist" || action == "connect" {
		return "its answer is a stream: x-kubernetes-action is " + action
	}
	answers := make(map[string]*openapi3.Response)
	if e.Responses != nil {
		for code, ref := range e.Responses.Map() {
			if ref != nil && ref.Value != nil {
				answers[strings.ToUpper(code)] = ref.Value
			}
		}
	}
	e.payload.confirms = answers["304"] != nil
	e.payload.absent = answers["404"] != nil || answers["410"] != nil || answers["4XX"] != nil
	code, reason := successOf(answers)
	if reason != "" {
		return reason
	}
	switch code {
	case "200", "2XX", "DEFAULT", "":
	default:
		status := 0
		_, _ = fmt.Sscan(code, &status)
		e.statuses = []int{status}
	}
	answer := answers[code]
	if answer == nil {
		answer = &openapi3.Response{}
		e.note("the document does not describe its answer")
	}
	e.payload.headers = answer.Headers
	if reason := p.readContent(e, answer.Content); reason != "" {
		return reason
	}
	e.readOthers(answers, code)
	return ""
}

// readOthers looks at the answers besides that of success which are kept, too: where one has
// several media types, the Accept header chooses among them.
func (e *endpoint) readOthers(answers map[string]*openapi3.Response, success string) {
	others := []string{"404", "410", "4XX", "2XX", "DEFAULT"}
	if e.method == http.MethodHead {
		others = append(others, success) // whose headers tell the media type
	}
	for _, code := range others {
		if code == success && e.method != http.MethodHead || answers[code] == nil {
			continue
		}
		var types []string
		for _, text := range sortedKeys(answers[code].Content) {
			mediaType, params, err := mime.ParseMediaType(text)
			if err != nil {
				mediaType = strings.ToLower(strings.TrimSpace(text))
			}
			if full := withoutCharset(mediaType, params); !slices.Contains(types, full) {
				types = append(types, full)
			}
		}
		if len(types) < 2 {
			continue
		}
		e.payload.negotiated = true
		for _, text := range types {
			if !slices.Contains(e.payload.versions, text) {
				e.payload.versions = append(e.payload.versions, text)
			}
		}
	}
}

// successOf is the status of the answer that is kept.
func successOf(answers map[string]*openapi3.Response) (code, reason string) {
	if len(answers) == 0 {
		return "", ""
	}
	for _, code := range []string{"200", "2XX"} {
		if answers[code] != nil {
			return code, ""
		}
	}
	var redirect string
	for _, code := range sortedKeys(answers) {
		switch {
		case code == "206":
		case len(code) == 3 && code[0] == '2':
			return code, ""
		case code == "301" || code == "308":
			return "", ""
		case len(code) == 3 && code[0] == '3' && code != "304":
			redirect = cmp.Or(redirect, code)
		}
	}
	switch {
	case redirect != "":
		return "", "it answers with a redirect of status " + redirect + ", which does not last"
	case answers["DEFAULT"] != nil:
		return "DEFAULT", ""
	case answers["206"] != nil:
		return "", "it answers with parts, of status 206"
	default:
		return "", "the document describes no answer of success"
	}
}

// readContent chooses the type of an endpoint's values.
func (p *plan) readContent(e *endpoint, content openapi3.Content) (reason string) {
	e.payload.goType, e.payload.handler = "[]byte", "payload.Bytes()"
	if e.method == http.MethodHead || len(content) == 0 {
		return ""
	}
	var first, json *openapi3.MediaType
	var versions []string // the media types with what tells one of them from another
	for _, text := range sortedKeys(content) {
		mediaType, params, err := mime.ParseMediaType(text)
		if err != nil {
			mediaType = strings.ToLower(strings.TrimSpace(text))
		}
		if params["stream"] != "" || mediaType == "text/event-stream" {
			e.payload.streaming = true
			continue
		}
		if content[text] == nil {
			continue
		}
		if full := withoutCharset(mediaType, params); !slices.Contains(versions, full) {
			versions = append(versions, full)
		}
		if slices.Contains(e.payload.mediaTypes, mediaType) {
			continue
		}
		e.payload.mediaTypes = append(e.payload.mediaTypes, mediaType)
		first = cmp.Or(first, content[text])
		if isJSON(mediaType) && (json == nil || mediaType == "application/json") {
			json = content[text]
		}
	}
	types := e.payload.mediaTypes
	if len(types) == 0 {
		return "its answer is a stream of events"
	}
	e.payload.negotiated = len(versions) > 1 || strings.Contains(types[0], "*")
	e.payload.versions = versions
	if json == nil && isStructured(first) && slices.ContainsFunc(types, func(t string) bool { return t == "*/*" || t == "application/*" }) {
		json = first
		e.note("the document does not tell the media type of the answer: it is taken for JSON, because of its schema")
	}
	switch {
	case json != nil:
		e.payload.isJSON, e.payload.schema = true, json.Schema
		p.chooseType(e)
	case len(types) == 1 && isText(types[0]):
		e.payload.goType, e.payload.handler = "string", "payload.String()"
	}
	return ""
}

// withoutCharset is a media type with its parameters but for that of the encoding, which makes
// no other answer.
func withoutCharset(mediaType string, params map[string]string) string {
	delete(params, "charset")
	return cmp.Or(mime.FormatMediaType(mediaType, params), mediaType)
}

// isStructured tells whether a schema is one of an object or an array.
func isStructured(content *openapi3.MediaType) bool {
	if content == nil {
		return false
	}
	kind := typeOf(schemaOf(only(content.Schema)))
	return kind == "object" || kind == "array"
}

func isJSON(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json") && mediaType != "application/geo+json-seq"
}

func isText(mediaType string) bool {
	return strings.HasPrefix(mediaType, "text/") && !strings.Contains(mediaType, "*") ||
		mediaType == "application/xml" || strings.HasSuffix(mediaType, "+xml")
}

// chooseType chooses the type of JSON values.
func (p *plan) chooseType(e *endpoint) {
	e.payload.goType, e.payload.handler, e.payload.raw = "json.RawMessage", "", true
	if e.config.Payload == "raw" {
		return
	}
	if e.config.Payload != "" {
		e.payload.setType(p.types.use(e.config.Payload))
		return
	}
	ref := e.payload.schema
	if text, ok := p.typeOfSchema(ref); ok {
		e.payload.setType(text)
		return
	}
	if s := schemaOf(ref); typeOf(s) == "array" && s.Items != nil {
		if text, ok := p.typeOfSchema(s.Items); ok {
			e.payload.setType("[]" + text)
		}
	}
}

func (l *payload) setType(goType string) { l.goType, l.raw, l.own = goType, false, true }

// typeOfSchema is the type that the configuration has for a schema of the document.
func (p *plan) typeOfSchema(ref *openapi3.SchemaRef) (goType string, ok bool) {
	component := p.doc.componentOf(ref)
	if component == "" {
		return "", false
	}
	if text := p.config.Types[component]; text != "" {
		return p.types.use(text), true
	}
	client := p.config.Client
	if client.Import == "" || client.Types[component] == "-" {
		return "", false
	}
	name := cmp.Or(client.Types[component], camel(component))
	if !isIdentifier(name) || !isExported(name) {
		return "", false
	}
	return p.types.add(client.Import, client.Package) + "." + name, true
}

// typeName is a type as a configuration names it.
type typeName struct{ prefix, path, name string }

var typeText = regexp.MustCompile(`^((?:\*|\[\])*)(?:([^*\[\]\s"` + "`" + `]+)\.)?([^./*\[\]\s]+)$`)

func parseType(text string) (typeName, error) {
	m := typeText.FindStringSubmatch(text)
	if m == nil || !isIdentifier(m[3]) || checkImport(m[2]) != nil || m[2] != "" && !isExported(m[3]) {
		return typeName{}, fmt.Errorf(`%q is not a type, such as "github.com/me/lib.Author"`, text)
	}
	return typeName{m[1], m[2], m[3]}, nil
}

// imports are the packages of payload types, by their paths.
type imports struct {
	names map[string]string // the name in the file
	own   map[string]bool   // the package has that name itself
	taken map[string]bool
}

// use is the type as the file has it.
func (i *imports) use(text string) string {
	t, err := parseType(text)
	if err != nil || t.path == "" {
		return text
	}
	return t.prefix + i.add(t.path, "") + "." + t.name
}

// add is the name of an imported package.
func (i *imports) add(importPath, name string) string {
	if i.names == nil {
		i.names, i.own = make(map[string]string), make(map[string]bool)
		i.taken = make(map[string]bool)
		for _, used := range libraryImports {
			i.taken[path.Base(used)] = true
		}
	}
	if known, ok := i.names[importPath]; ok {
		return known
	}
	base := cmp.Or(name, baseName(importPath))
	chosen := base
	if i.taken[chosen] || !isIdentifier(chosen) || isPredeclared(chosen) {
		chosen += "types"
	}
	chosen = unique(i.taken, chosen)
	i.names[importPath], i.own[importPath] = chosen, chosen == base && chosen == path.Base(importPath)
	return chosen
}

var version = regexp.MustCompile(`^v[0-9]+$`)

// baseName is what the package of a path is most likely called.
func baseName(importPath string) string {
	base := path.Base(importPath)
	if version.MatchString(base) {
		base = path.Base(path.Dir(importPath))
	}
	base = strings.TrimPrefix(strings.TrimSuffix(base, ".go"), "go-")
	base = strings.Map(func(r rune) rune {
		if r < 0x80 && (isASCIILetter(byte(r)) || '0' <= r && r <= '9') {
			return r
		}
		return -1
	}, strings.ToLower(base))
	if base == "" || !isASCIILetter(base[0]) {
		return "client" + base
	}
	return base
}

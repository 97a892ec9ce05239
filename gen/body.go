package gen

import (
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/request"
)

// addBody adds the members of the JSON body of a POST that only reads. A GET that may have a
// body is cached without one.
func (p *plan) addBody(e *endpoint) (reason string) {
	if e.RequestBody == nil || e.RequestBody.Value == nil {
		if e.method == http.MethodPost {
			e.note("its requests have no body")
		}
		return ""
	}
	body := e.RequestBody.Value
	if e.method != http.MethodPost {
		if body.Required {
			return "its requests have a body"
		}
		if len(body.Content) > 0 {
			e.note("requests with a body are not cached")
		}
		return ""
	}
	var content *openapi3.MediaType
	for _, name := range sortedKeys(body.Content) {
		if mediaType, _, _ := strings.Cut(name, ";"); isJSON(strings.TrimSpace(strings.ToLower(mediaType))) {
			content = body.Content[name]
			break
		}
	}
	if content == nil {
		return "the body of its requests is not JSON"
	}
	schema := schemaOf(only(content.Schema))
	if typeOf(schema) != "object" {
		return "the body of its requests is not a JSON object"
	}
	before := len(e.key.fields)
	if reason := p.addBodyMembers(e, schema, nil, true, 4); reason != "" {
		return reason
	}
	if len(e.key.fields) == before {
		return "the document names no member of the body of its requests"
	}
	return ""
}

// addBodyMembers adds the members of an object in a body. All of them are there if sure is
// true and they are required.
func (p *plan) addBodyMembers(e *endpoint, schema *openapi3.Schema, at []string, sure bool, depth int) (reason string) {
	for _, m := range membersOf(schema) {
		path := append(slices.Clone(at), m.name)
		required := sure && m.required
		why := p.addBodyMember(e, m, path, required, depth)
		if why == "" {
			continue
		}
		if required {
			return "the member " + showPath(path) + " of its body cannot be part of a key: " + why
		}
		e.note("requests with the member %s in the body are not cached: %s", showPath(path), why)
	}
	return ""
}

// addBodyMember adds a member, or tells why it cannot be part of a key.
func (p *plan) addBodyMember(e *endpoint, m member, path []string, required bool, depth int) (why string) {
	schema := schemaOf(m.schema)
	f := &field{source: "body", param: bodyPath(path), goType: "string", doc: schema.Description}
	if slices.Contains(path, "") || strings.ContainsFunc(f.param, isControl) {
		return "its name is one that a key cannot have"
	}
	if required {
		f.options = []string{"required"}
	}
	switch kind := typeOf(schema); kind {
	case "object":
		if depth == 0 || len(membersOf(schema)) == 0 {
			return "it is an object whose members the document does not name"
		}
		return p.addBodyMembers(e, schema, path, required, depth-1)
	case "array":
		element := typeOf(schemaOf(only(schema.Items)))
		switch element {
		case "string":
			f.options = append(f.options, "list")
		case "integer", "number":
			f.options = append(f.options, "list", "number")
		default:
			return "it is an array of something else than strings and numbers"
		}
		f.doc = strings.TrimSpace(sentence(f.doc) + " request.JoinList makes it of several values." + listValues(schema))
		if texts, ok := textsOf(schema.Default); ok && !required && len(texts) > 0 {
			f.hasDefault, f.defaultValue = true, request.JoinList(texts...)
		}
	case "string":
		p.setType(e, f, m.name, m.schema)
	case "number":
		f.options = append(f.options, "number")
		if !required {
			setDefault(e, f, m.name, schema.Default)
		}
	case "integer":
		if !required && schema.Default == nil {
			f.options = append(f.options, "number") // whose absence is not 0
			break
		}
		p.setType(e, f, m.name, m.schema)
	case "boolean":
		if !required && schema.Default == nil {
			return "its absence could not be told from false"
		}
		p.setType(e, f, m.name, m.schema)
	default:
		return "it has no type of its own"
	}
	if strings.HasPrefix(f.goType, "request.Optional[") {
		return "its default is not of its type"
	}
	e.addField(f)
	return ""
}

// bodyPath is the path to a member as a tag has it.
func bodyPath(path []string) string {
	escaped := make([]string, len(path))
	for i, name := range path {
		escaped[i] = strings.NewReplacer(`\`, `\\`, ".", `\.`, ",", `\,`).Replace(name)
	}
	return strings.Join(escaped, ".")
}

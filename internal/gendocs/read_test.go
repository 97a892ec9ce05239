package gendocs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/endpointcache/endpointcache/internal/gendocs/prove"
)

// object is a JSON object of a document.
type object = map[string]any

// reader takes a document apart without package gen, so that the two can be compared.
type reader struct{ root object }

func read(t *testing.T, name string) *reader {
	t.Helper()
	data, err := os.ReadFile(name) // #nosec G304 -- a document of a module
	if err != nil {
		t.Fatal(err)
	}
	r := new(reader)
	if strings.HasSuffix(name, ".json") {
		err = json.Unmarshal(data, &r.root)
	} else {
		err = yaml.Unmarshal(data, &r.root)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

// resolve is what a value refers to, or itself.
func (r *reader) resolve(value any) object {
	for range 100 {
		o, ok := value.(object)
		if !ok {
			return nil
		}
		ref, ok := o["$ref"].(string)
		if !ok {
			return o
		}
		value = any(r.root)
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
			o, _ := value.(object)
			value = o[part]
		}
	}
	return nil
}

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

// each calls do for every operation, in the order of paths.
func (r *reader) each(do func(method, path string, item, operation object)) {
	paths, _ := r.root["paths"].(object)
	names := make([]string, 0, len(paths))
	for name := range paths {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, path := range names {
		item := r.resolve(paths[path])
		for _, method := range methods {
			if op, ok := item[method].(object); ok {
				do(method, path, item, op)
			}
		}
	}
}

// document is what a server needs to answer.
func (r *reader) document(t *testing.T) *prove.Document {
	t.Helper()
	d := new(prove.Document)
	base, _ := r.root["basePath"].(string) // of Swagger 2
	d.Base = strings.TrimSuffix(base, "/")
	if servers, _ := r.root["servers"].([]any); len(servers) > 0 {
		text, _ := r.resolve(servers[0])["url"].(string)
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		d.Base = strings.TrimSuffix(u.Path, "/")
	}
	r.each(func(method, path string, item, operation object) {
		if method != "get" {
			return
		}
		op := prove.Operation{Path: path, Status: 200}
		for _, p := range r.parameters(item, operation) {
			name, _ := p["name"].(string)
			if p["in"] == "query" {
				op.Query = append(op.Query, name)
				if properties, ok := r.resolve(p["schema"])["properties"].(object); ok && p["style"] != "deepObject" {
					op.Query = slices.AppendSeq(op.Query, maps.Keys(properties)) // exploded
				}
				if p["required"] == true {
					op.Required = append(op.Required, name)
				}
			}
		}
		security, ok := operation["security"].([]any)
		if !ok {
			security, _ = r.root["security"].([]any)
		}
		op.Secured = len(security) > 0
		r.answer(&op, operation)
		d.Operations = append(d.Operations, op)
	})
	return d
}

func (r *reader) parameters(item, operation object) []object {
	var all []object
	for _, list := range []any{item["parameters"], operation["parameters"]} {
		list, _ := list.([]any)
		for _, p := range list {
			all = append(all, r.resolve(p))
		}
	}
	return all
}

// answer finds the operation's success, and a body for it.
func (r *reader) answer(op *prove.Operation, operation object) {
	responses, _ := operation["responses"].(object)
	for _, status := range []string{"200", "201", "202", "203", "default", "2XX"} {
		response := r.resolve(responses[status])
		content, _ := response["content"].(object)
		if schema := response["schema"]; schema != nil { // of Swagger 2
			content = object{"application/json": object{"schema": schema}}
		}
		if len(content) == 0 {
			continue
		}
		types := make([]string, 0, len(content))
		for name := range content {
			types = append(types, name)
		}
		slices.SortFunc(types, func(a, b string) int { return jsonFirst(a) - jsonFirst(b) + 2*strings.Compare(a, b)*same(a, b) })
		op.ContentType = types[0]
		media := r.resolve(content[types[0]])
		if op.ContentType == "*/*" {
			op.ContentType = "application/json"
		}
		if !strings.Contains(op.ContentType, "json") {
			op.Body = []byte("some bytes")
			return
		}
		made := r.value(media["schema"], "", 0)
		op.Full, op.Last = encode(made), encode(emptied(made))
		op.Body = op.Full
		if example, ok := r.example(media); ok {
			op.Body = encode(example)
		}
		return
	}
	if _, ok := responses["204"]; ok {
		op.Status = 204
		return
	}
	op.Body, op.ContentType = []byte("{}"), "application/json" // it says nothing of its body
	op.Full, op.Last = op.Body, op.Body
}

// same is 1 where two types of content have one rank.
func same(a, b string) int {
	if jsonFirst(a) == jsonFirst(b) {
		return 1
	}
	return 0
}

// numeric are the names of members that tell how much there is.
var numeric = regexp.MustCompile(`(?i)total|count|remaining|size|position`)

// jsonFirst ranks types of content.
func jsonFirst(contentType string) int {
	switch {
	case contentType == "application/json":
		return 0
	case strings.HasSuffix(contentType, "+json"):
		return 3
	case contentType == "*/*":
		return 6
	case strings.Contains(contentType, "json"):
		return 9
	}
	return 12
}

func (r *reader) example(media object) (any, bool) {
	if example, ok := media["example"]; ok {
		return example, true
	}
	examples, _ := media["examples"].(object)
	names := make([]string, 0, len(examples))
	for name := range examples {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if value, ok := r.resolve(examples[name])["value"]; ok {
			return value, true
		}
	}
	return nil, false
}

// value makes a value of a schema, in which everything is there.
func (r *reader) value(schema any, name string, depth int) any {
	s := r.resolve(schema)
	if s == nil || depth > 4 {
		return object{}
	}
	if all, ok := s["allOf"].([]any); ok {
		whole := object{}
		for _, part := range all {
			if o, ok := r.value(part, name, depth+1).(object); ok {
				for k, v := range o {
					whole[k] = v
				}
			}
		}
		return whole
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if some, ok := s[choice].([]any); ok && len(some) > 0 && s["properties"] == nil {
			return r.value(some[0], name, depth+1)
		}
	}
	if enum, ok := s["enum"].([]any); ok && len(enum) > 0 {
		return enum[0]
	}
	kind, _ := s["type"].(string)
	if kinds, ok := s["type"].([]any); ok && len(kinds) > 0 {
		kind, _ = kinds[0].(string)
	}
	switch kind {
	case "array":
		return []any{r.value(s["items"], name, depth+1)}
	case "boolean":
		return true
	case "integer", "number":
		if numeric.MatchString(name) {
			return 1000
		}
		return 1
	case "string":
		if numeric.MatchString(name) { // in some APIs, all values are strings
			return "1000"
		}
		if name == "next" && s["format"] == "uri" {
			return prove.NextURL
		}
		return "text"
	}
	made := object{}
	properties, _ := s["properties"].(object)
	for property, of := range properties {
		made[property] = r.value(of, property, depth+1)
	}
	return made
}

// emptied is a value of which everything is still there, and nothing is in it.
func emptied(value any) any {
	switch v := value.(type) {
	case object:
		o := object{}
		for name, member := range v {
			o[name] = emptied(member)
		}
		return o
	case []any:
		return []any{}
	case bool:
		return false
	case string:
		if v == "1000" {
			return "0"
		}
		return ""
	default:
		return 0
	}
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		return []byte(fmt.Sprintf("%q", err))
	}
	return data
}

package gen

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxDepth is how deep schemas are looked into: enough for what a listing tells, and an end
// for those that contain themselves.
const maxDepth = 8

// schemaOf is a schema, nil where there is none, as where references go in a circle.
func schemaOf(ref *openapi3.SchemaRef) *openapi3.Schema {
	if ref == nil {
		return nil
	}
	return ref.Value
}

// only is the schema itself, or the only one of which it is made: a wrapper with allOf, or
// alternatives of which the others are null.
func only(ref *openapi3.SchemaRef) *openapi3.SchemaRef {
	for range maxDepth {
		s := schemaOf(ref)
		if s == nil {
			return ref
		}
		if s.Type != nil && len(*s.Type) > 0 || len(s.Properties) > 0 || len(s.Enum) > 0 {
			return ref
		}
		var inner *openapi3.SchemaRef
		for _, list := range []openapi3.SchemaRefs{s.AllOf, s.AnyOf, s.OneOf} {
			for _, alternative := range list {
				if v := schemaOf(alternative); v == nil || typeOf(v) == "null" {
					continue
				}
				if inner != nil {
					return ref
				}
				inner = alternative
			}
		}
		if inner == nil {
			return ref
		}
		ref = inner
	}
	return ref
}

// typeOf is the type of a schema, without null. It is empty where there are several, or none.
func typeOf(s *openapi3.Schema) string {
	if s == nil {
		return ""
	}
	found := ""
	if s.Type != nil {
		for _, name := range *s.Type {
			switch {
			case name == "null" && len(*s.Type) > 1:
			case found != "":
				return ""
			default:
				found = name
			}
		}
	}
	switch {
	case found != "":
		return found
	case len(s.Properties) > 0:
		return "object"
	case s.Items != nil:
		return "array"
	case len(s.Enum) > 0:
		return typeOfValues(s.Enum)
	case s.Const != nil:
		return typeOfValues([]any{s.Const})
	default:
		return ""
	}
}

// mayBe tells whether a schema has values of a type: by itself, or by one of its alternatives.
func mayBe(s *openapi3.Schema, kind string) bool {
	return mayBeOf(s, kind, make(map[*openapi3.Schema]bool))
}

func mayBeOf(s *openapi3.Schema, kind string, seen map[*openapi3.Schema]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	return typeOf(s) == kind || s.Type != nil && slices.Contains(*s.Type, kind) ||
		slices.ContainsFunc(slices.Concat(s.AllOf, s.AnyOf, s.OneOf), func(ref *openapi3.SchemaRef) bool {
			return mayBeOf(schemaOf(ref), kind, seen)
		})
}

func typeOfValues(values []any) string {
	found := ""
	for _, value := range values {
		kind := ""
		switch v := value.(type) {
		case nil:
			continue
		case string:
			kind = "string"
		case bool:
			kind = "boolean"
		case float64:
			kind = "number"
			if v == math.Trunc(v) {
				kind = "integer"
			}
		case int, int64, uint64:
			kind = "integer"
		}
		if found != "" && kind != found {
			return ""
		}
		found = kind
	}
	return found
}

// member is a property of an object.
type member struct {
	name     string
	schema   *openapi3.SchemaRef
	required bool
}

// membersOf are the properties of an object in the order of their names, with those that it
// is composed of by allOf.
func membersOf(s *openapi3.Schema) []member {
	found := make(map[string]member)
	collectMembers(s, found, make(map[*openapi3.Schema]bool))
	var all []member
	for _, name := range sortedKeys(found) {
		all = append(all, found[name])
	}
	return all
}

// collectMembers looks at each schema once, as one may be a part of itself, and of many others.
func collectMembers(s *openapi3.Schema, found map[string]member, seen map[*openapi3.Schema]bool) {
	if s == nil || seen[s] {
		return
	}
	seen[s] = true
	for _, part := range s.AllOf {
		collectMembers(schemaOf(part), found, seen)
	}
	for name, ref := range s.Properties {
		if schemaOf(ref) != nil {
			found[name] = member{name: name, schema: only(ref)}
		}
	}
	for _, name := range s.Required {
		if m, ok := found[name]; ok {
			m.required = true
			found[name] = m
		}
	}
}

func memberNamed(s *openapi3.Schema, name string) (member, bool) {
	for _, m := range membersOf(s) {
		if m.name == name {
			return m, true
		}
	}
	return member{}, false
}

// componentOf is the name of the schema among the document's components, empty for another.
// In another file, the same reference leads to a component of that file.
func (d *document) componentOf(ref *openapi3.SchemaRef) string {
	if ref == nil || d.Components == nil {
		return ""
	}
	name, ok := strings.CutPrefix(ref.Ref, "#/components/schemas/")
	if !ok || strings.Contains(name, "/") {
		return ""
	}
	name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	if schemaOf(d.Components.Schemas[name]) != ref.Value {
		return ""
	}
	return name
}

// textOf is the text of a scalar of the document in a request. ok is false for what is no
// scalar.
func textOf(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case uint64:
		return strconv.FormatUint(v, 10), true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatInt(int64(v), 10), true
		}
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case json.Number:
		return v.String(), true
	case fmt.Stringer:
		return v.String(), true
	default:
		return "", false
	}
}

// textsOf are the texts of the values of an array.
func textsOf(value any) (texts []string, ok bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	for _, v := range list {
		text, ok := textOf(v)
		if !ok {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, true
}

// enumTexts are the texts of an enumeration, each once, without null.
func enumTexts(s *openapi3.Schema) []string {
	if s == nil {
		return nil
	}
	var texts []string
	seen := make(map[string]bool, len(s.Enum))
	for _, value := range s.Enum {
		if value == nil {
			continue
		}
		text, ok := textOf(value)
		if !ok {
			return nil
		}
		if !seen[text] {
			texts = append(texts, text)
		}
		seen[text] = true
	}
	return texts
}

// leastOf is the least integer of a schema: of OpenAPI 3.0, where a bound may be excluded, or of
// 3.1, where there is another bound for that.
func leastOf(s *openapi3.Schema) (least float64, ok bool) {
	if s == nil {
		return 0, false
	}
	if s.Min != nil {
		least, ok = math.Ceil(*s.Min), true
		if s.ExclusiveMin.IsTrue() && least == *s.Min {
			least++
		}
	}
	if above := s.ExclusiveMin.Value; above != nil && (!ok || *above >= least) {
		least, ok = math.Floor(*above)+1, true
	}
	return least, ok
}

func isTime(s *openapi3.Schema) bool {
	return s != nil && (s.Format == "date" || s.Format == "date-time")
}

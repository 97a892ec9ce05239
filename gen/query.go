package gen

import (
	"cmp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/request"
)

// styleOf is how a parameter of the query is written.
func styleOf(param *openapi3.Parameter) (style string, explode bool) {
	style = cmp.Or(param.Style, openapi3.SerializationForm)
	if param.Explode != nil {
		return style, *param.Explode
	}
	return style, style == openapi3.SerializationForm || style == openapi3.SerializationDeepObject
}

func (p *plan) addQuery(e *endpoint, param *openapi3.Parameter) (reason string) {
	switch {
	case slices.Contains(e.security.query, param.Name):
		return ""
	case p.ignores(e, param.Name):
		p.ignoreAll(e, param)
		return ""
	case matchesAny(e.config.Omit, param.Name):
		return e.omit(param, "the configuration says so")
	case e.template.hasFixed(param.Name):
		return ""
	case streams(e) && strings.EqualFold(param.Name, "watch"):
		return e.omit(param, "their answers are streams that do not end")
	}
	if len(param.Content) > 0 {
		e.addField(p.stringField(param, "It is "+sortedKeys(param.Content)[0]+" as text."))
		return ""
	}
	ref := only(param.Schema)
	schema := schemaOf(ref)
	switch style, explode := styleOf(param); {
	case style == openapi3.SerializationDeepObject:
		return p.addDeep(e, param, ref)
	case typeOf(schema) == "array" && explode:
		p.addList(e, param, schema, param.Name)
	case typeOf(schema) == "object" && explode && style == openapi3.SerializationForm:
		return p.addExploded(e, param, schema)
	case !explode && (mayBe(schema, "array") || mayBe(schema, "object")):
		f := p.newField(param, "query", param.Name)
		setJoined(f, schema, style)
		e.addField(f)
	default:
		f := p.newField(param, "query", param.Name)
		p.setType(e, f, param.Name, ref)
		e.addField(f)
	}
	return ""
}

// ignores tells whether the configuration says that a parameter makes no difference.
func (p *plan) ignores(e *endpoint, name string) bool {
	return matchesAny(e.config.Ignore, name) || matchesAny(p.config.IgnoreQuery, name)
}

const ignoredBecause = "the parameter %q makes no difference, by the configuration"

// ignoreAll leaves a parameter out, with what stands for it in requests: where it is an object,
// that has names of its own. One that is the name of another parameter may stand for that.
func (p *plan) ignoreAll(e *endpoint, param *openapi3.Parameter) {
	e.note(ignoredBecause, param.Name)
	var names []string
	switch style, explode := styleOf(param); {
	case style == openapi3.SerializationDeepObject:
		names = []string{param.Name + "[*"}
	case explode && style == openapi3.SerializationForm:
		for _, m := range membersOf(schemaOf(only(param.Schema))) {
			names = append(names, m.name)
		}
	}
	for _, name := range names {
		if !p.ignores(e, name) && find(e.parameters, "query", name) == nil {
			e.key.ignore = append(e.key.ignore, name)
		}
	}
}

func (e *endpoint) addField(f *field) { e.key.fields = append(e.key.fields, f) }

func (p *plan) newField(param *openapi3.Parameter, source, name string) *field {
	f := &field{source: source, param: name, goType: "string", doc: param.Description}
	if param.Required {
		f.options = []string{"required"}
	}
	return f
}

// stringField is the field of a query parameter whose text the document structures.
func (p *plan) stringField(param *openapi3.Parameter, doc string) *field {
	f := p.newField(param, "query", param.Name)
	f.doc = strings.TrimSpace(sentence(f.doc) + " " + doc)
	return f
}

// setJoined makes a field the values of an array, or the members and values of an object in
// turn, that are one text.
func setJoined(f *field, schema *openapi3.Schema, style string) {
	separator := map[string]string{openapi3.SerializationSpaceDelimited: "space", openapi3.SerializationPipeDelimited: "pipe"}[style]
	f.options = append(f.options, "list", cmp.Or(separator, "comma"))
	setList(f, schema)
}

// setList tells what makes a list, and its default.
func setList(f *field, schema *openapi3.Schema) {
	of := "several values"
	if typeOf(schema) == "object" {
		of = "its members and their values, in turn"
	}
	f.doc = strings.TrimSpace(sentence(f.doc) + " request.JoinList makes it of " + of + "." + listValues(schema))
	if texts, ok := textsOf(schema.Default); ok && !f.required() && len(texts) > 0 {
		f.hasDefault, f.defaultValue = true, request.JoinList(texts...)
	}
}

// addList adds a parameter that is there once for each value.
func (p *plan) addList(e *endpoint, param *openapi3.Parameter, schema *openapi3.Schema, name string) {
	f := p.newField(param, "query", name)
	f.options = append(f.options, "list")
	setList(f, schema)
	e.addField(f)
}

// listValues tells which values a list can have.
func listValues(schema *openapi3.Schema) string {
	texts := enumTexts(schemaOf(only(schema.Items)))
	if len(texts) == 0 || len(texts) > 20 {
		return ""
	}
	return " A value is " + joinOr(texts) + "."
}

// addExploded adds the members of an object, which are parameters of their own.
func (p *plan) addExploded(e *endpoint, param *openapi3.Parameter, schema *openapi3.Schema) (reason string) {
	return p.addMembers(e, param, schema, func(name string) string { return name })
}

// addDeep adds the members of an object, which are parameters with the object's name before
// them: "filter[state]". The specification has no arrays in this style; where documents have
// them, they are meant as "expand[]".
func (p *plan) addDeep(e *endpoint, param *openapi3.Parameter, ref *openapi3.SchemaRef) (reason string) {
	var object, array, scalar *openapi3.SchemaRef
	alternatives := openapi3.SchemaRefs{ref}
	if s := schemaOf(ref); s != nil && typeOf(s) == "" {
		alternatives = slices.Concat(s.AnyOf, s.OneOf)
	}
	for _, alternative := range alternatives {
		alternative = only(alternative)
		switch typeOf(schemaOf(alternative)) {
		case "object":
			object = cmp.Or(object, alternative)
		case "array":
			array = cmp.Or(array, alternative)
		case "":
		default:
			scalar = cmp.Or(scalar, alternative)
		}
	}
	if object == nil && array == nil && scalar == nil {
		return e.omit(param, "its schema tells no members")
	}
	optional := *param
	if object != nil && (array != nil || scalar != nil) {
		optional.Required = false // one of the forms is there
	}
	if scalar != nil {
		f := p.newField(&optional, "query", param.Name)
		p.setType(e, f, param.Name, scalar)
		e.addField(f)
	}
	if array != nil {
		p.addList(e, &optional, schemaOf(array), param.Name+"[]")
		e.note("the list %q is sent as %q: the specification does not say how deepObject has lists", param.Name, param.Name+"[]")
	}
	if object != nil {
		return p.addMembers(e, &optional, schemaOf(object), func(name string) string { return param.Name + "[" + name + "]" })
	}
	return ""
}

// addMembers adds a field for each member of an object.
func (p *plan) addMembers(e *endpoint, param *openapi3.Parameter, schema *openapi3.Schema, nameOf func(string) string) (reason string) {
	members := membersOf(schema)
	if len(members) == 0 {
		return e.omit(param, "its schema tells no members")
	}
	for _, m := range members {
		name := nameOf(m.name)
		of := &openapi3.Parameter{
			Name: name, In: "query", Schema: m.schema, Required: param.Required && m.required,
			Description: schemaOf(m.schema).Description,
		}
		if find(e.parameters, "query", name) != nil || e.has("query", name) {
			return e.omit(param, "its member "+m.name+" is a parameter, too")
		}
		kind := typeOf(schemaOf(m.schema))
		if kind == "array" && name != m.name {
			of.Name = name + "[]"
		}
		switch {
		case p.ignores(e, of.Name):
			e.note(ignoredBecause, of.Name)
		case matchesAny(e.config.Omit, of.Name):
			if reason := e.omit(of, "the configuration says so"); reason != "" {
				return reason
			}
		case kind == "object":
			if reason := e.omit(of, "it has objects in it"); reason != "" {
				return reason
			}
		case kind == "array":
			p.addList(e, of, schemaOf(m.schema), of.Name)
		default:
			f := p.newField(of, "query", name)
			p.setType(e, f, m.name, m.schema)
			e.addField(f)
		}
	}
	if schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has || schema.AdditionalProperties.Schema != nil {
		e.note("of the parameter %q, the key has the members that the document names: requests with others are not cached", param.Name)
	}
	return ""
}

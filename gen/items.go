package gen

import (
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// items are those of a page.
type items struct {
	path    []string // nil where the page is the array
	element *openapi3.SchemaRef
}

func (i items) show() string {
	if i.path == nil {
		return "the answer"
	}
	return showPath(i.path)
}

// itemsOf finds the array with the items of a listing, or tells why none is.
func itemsOf(e *endpoint) (found items, ok bool, reason string) {
	root := schemaOf(only(e.payload.schema))
	if typeOf(root) == "array" {
		return items{element: root.Items}, true, ""
	}
	ofObjects, others := arraysOf(root, nil, 2)
	all := slices.Concat(ofObjects, others)
	if found, ok := e.mentioned(all, inItsName); ok {
		return found, true, ""
	}
	arrays := ofObjects
	if len(arrays) == 0 {
		arrays = others
	}
	switch len(arrays) {
	case 0:
		return items{}, false, "its answer has no array"
	case 1:
		return arrays[0], true, ""
	}
	for _, name := range itemsMembers {
		for _, a := range arrays {
			if fold(a.path[len(a.path)-1]) == name {
				return a, true, ""
			}
		}
	}
	if found, ok := e.mentioned(arrays, inItsWords); ok {
		return found, true, ""
	}
	var names []string
	for _, a := range arrays {
		names = append(names, showPath(a.path))
	}
	return items{}, false, "its answer has several arrays: " + strings.Join(names, ", ")
}

// arraysOf are the arrays of objects among the members of an object, and those of other values.
// Where it has none, they are those of the objects in it.
func arraysOf(s *openapi3.Schema, at []string, depth int) (ofObjects, others []items) {
	for _, m := range membersOf(s) {
		v := schemaOf(m.schema)
		if typeOf(v) != "array" || !isTagName(m.name) {
			continue
		}
		a := items{path: append(slices.Clone(at), m.name), element: v.Items}
		if t := typeOf(schemaOf(only(v.Items))); t == "" || t == "object" {
			ofObjects = append(ofObjects, a)
		} else {
			others = append(others, a)
		}
	}
	if len(ofObjects)+len(others) > 0 || depth == 0 {
		return ofObjects, others
	}
	for _, m := range membersOf(s) {
		name := fold(m.name)
		if typeOf(schemaOf(m.schema)) != "object" || !isTagName(m.name) || !slices.Contains(itemsMembers, name) && name != "embedded" && name != "response" {
			continue
		}
		ofObjects, others = arraysOf(schemaOf(m.schema), append(slices.Clone(at), m.name), depth-1)
		if len(ofObjects)+len(others) > 0 {
			break
		}
	}
	return ofObjects, others
}

// How much it says that a text of an operation has the name of an array. Its name is the end of
// its path, and its operationId.
const (
	inItsName  = 4
	inItsWords = 1
)

// mentioned is the array of several that the operation names, with so much weight at least, and
// more than any other.
func (e *endpoint) mentioned(arrays []items, least int) (found items, ok bool) {
	best, second := 0, 0
	for _, a := range arrays {
		name := strings.ToLower(strings.Join(words(a.path[len(a.path)-1]), " "))
		score := 0
		for _, text := range []struct {
			of     string
			weight int
		}{{afterWildcards(e.path), inItsName}, {withoutAttributes(e.OperationID), inItsName}, {e.Summary, 2}, {e.Description, inItsWords}} {
			if containsWords(text.of, name) {
				score += text.weight
			}
		}
		if score > best {
			best, second, found = score, best, a
		} else if score > second {
			second = score
		}
	}
	return found, best > second && best >= least
}

// afterWildcards is what a path is about: what comes before are other things, such as the tag
// whose articles are listed.
func afterWildcards(path string) string { return path[strings.LastIndexByte(path, '}')+1:] }

// prepositions begin what the name of an operation says of the things that it is about.
var prepositions = []string{"by", "with", "for", "of", "in", "from", "on", "without"}

// withoutAttributes is the name of an operation up to the first preposition: "listArticles" of
// "listArticlesByTags".
func withoutAttributes(name string) string {
	all := words(name)
	if at := slices.IndexFunc(all, func(w string) bool { return slices.Contains(prepositions, strings.ToLower(w)) }); at >= 0 {
		all = all[:at]
	}
	return strings.Join(all, " ")
}

func containsWords(text, phrase string) bool {
	normal := " " + strings.ToLower(strings.Join(words(text), " ")) + " "
	return strings.Contains(normal, " "+phrase+" ")
}

// findMember finds a member by its name, or one in an envelope.
func findMember(e *endpoint, names []string, is func(member) bool) (path []string, schema *openapi3.Schema, ok bool) {
	root := schemaOf(only(e.payload.schema))
	if typeOf(root) == "array" {
		return nil, nil, false
	}
	for _, name := range names {
		for _, m := range membersOf(root) {
			if fold(m.name) == name && isTagName(m.name) && is(m) {
				return []string{m.name}, schemaOf(m.schema), true
			}
		}
	}
	return findInEnvelopes(root, nil, names, is, 2)
}

func findInEnvelopes(s *openapi3.Schema, at, names []string, is func(member) bool, depth int) (path []string, schema *openapi3.Schema, ok bool) {
	if depth == 0 {
		return nil, nil, false
	}
	for _, m := range membersOf(s) {
		if !slices.Contains(envelopes, fold(m.name)) || !isTagName(m.name) || typeOf(schemaOf(m.schema)) != "object" {
			continue
		}
		inner := append(slices.Clone(at), m.name)
		for _, name := range names {
			for _, in := range membersOf(schemaOf(m.schema)) {
				if fold(in.name) == name && isTagName(in.name) && is(in) {
					return append(inner, in.name), schemaOf(in.schema), true
				}
			}
		}
		if fold(m.name) == "next" { // {"next": {"href": …}}
			continue
		}
		if path, schema, ok := findInEnvelopes(schemaOf(m.schema), inner, names, is, depth-1); ok {
			return path, schema, true
		}
	}
	return nil, nil, false
}

// isTagName tells whether encoding/json takes a member's name from a tag.
func isTagName(name string) bool {
	return name != "" && name != "-" && !strings.ContainsAny(name, "\"`\\,'") && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > 0x7e })
}

// fieldsNamed are the fields of parameters with these names, in their order.
func fieldsNamed(e *endpoint, names []string) []*field {
	var found []*field
	for _, name := range names {
		for _, f := range e.key.fields {
			if f.source == "query" && (fold(f.param) == name || fold(lastPart(f.param)) == name && strings.HasPrefix(fold(f.param), "page")) {
				found = append(found, f)
			}
		}
	}
	return found
}

func firstField(e *endpoint, names []string) *field {
	if found := fieldsNamed(e, names); len(found) > 0 {
		return found[0]
	}
	return nil
}

// lastPart is the part of a name in brackets, as of "page[cursor]", or the name.
func lastPart(param string) string {
	if open := strings.LastIndexByte(param, '['); open > 0 && strings.HasSuffix(param, "]") && open+1 < len(param)-1 {
		return param[open+1 : len(param)-1]
	}
	return param
}

// fold is a name without case and separators.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == '.' || r == '@' || r == '$' || r == '[' || r == ']' || r == ' ':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return r
		}
	}, name)
}

func showPath(path []string) string { return strings.Join(path, ".") }

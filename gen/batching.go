package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// batch is a request for many keys of an endpoint.
type batch struct {
	from    *endpoint // the listing that answers it
	pattern string
	size    int
	path    []string // of the array in the answer
	id      string   // the member of an item
	options string   // a literal, empty for none
	why     string
}

// findBatches finds the listings that answer for many keys of another endpoint: they have a
// parameter with a list of what the other one has in its path, and an array of what it
// answers.
func (p *plan) findBatches() {
	for _, item := range p.endpoints {
		if item.config.NoBatch || !item.template.endsInWildcard() || item.method != "GET" || !item.payload.isJSON {
			continue
		}
		for _, listing := range p.byPath[item.template.above()] {
			if listing == item || listing.method != "GET" || listing.template.fixed != "" || listing.host() != item.host() || listing.baseURL() != item.baseURL() {
				continue
			}
			if found := p.batchOf(item, listing); found != nil {
				item.batch = found
				break
			}
		}
	}
}

// batchOf is the batch of an endpoint that a listing answers, nil if it does not.
func (p *plan) batchOf(item, listing *endpoint) *batch {
	component := p.doc.componentOf(only(item.payload.schema))
	found, ok, _ := itemsOf(listing)
	if component == "" || !ok || p.doc.componentOf(only(found.element)) != component {
		return nil
	}
	last := item.template.segments[len(item.template.segments)-1]
	if len(last.parameters) != 1 || last.before+last.after != "" {
		return nil
	}
	id, list := "", (*openapi3.Parameter)(nil)
	for _, param := range listing.parameters {
		if name := listOf(param, last.parameters[0]); name {
			list = param
		}
	}
	if list == nil {
		return nil
	}
	for _, name := range []string{last.parameters[0], "id"} {
		m, ok := memberNamed(schemaOf(only(item.payload.schema)), name)
		if t := typeOf(schemaOf(m.schema)); ok && (t == "string" || t == "integer") {
			id = name
			break
		}
	}
	if id == "" {
		item.note("no batch: the items of %s have no member %q or \"id\"", listing.name, last.parameters[0])
		return nil
	}
	if reason := sameFields(item, listing, list, last.wildcard); reason != "" {
		item.note("no batch by %s: %s", listing.name, reason)
		return nil
	}
	if item.security.scope != listing.security.scope {
		item.note("no batch by %s: its scope is another, %s", listing.name, listing.security.scope)
		return nil
	}
	b := &batch{from: listing, path: found.path, id: id, size: p.config.BatchSize}
	why := "by the configuration"
	if schema := schemaOf(only(list.Schema)); schema.MaxItems != nil && *schema.MaxItems > 1 && *schema.MaxItems < 100_000 {
		b.size, why = int(*schema.MaxItems), "by the document"
	} else if b.size == 0 {
		b.size, why = 20, "as the document does not tell"
	}
	if schema := schemaOf(only(list.Schema)); schema.MaxItems != nil && *schema.MaxItems == 1 {
		return nil
	}
	b.why = fmt.Sprintf("the parameter %q of %s is a list, of %d at most %s; its items tell %q", list.Name, listing.name, b.size, why, id)
	b.setPattern(item, listing, list, last.wildcard)
	return b
}

// listOf tells whether a parameter is a list of what a wildcard stands for: it has its name,
// or the plural of it, or "ids".
func listOf(param *openapi3.Parameter, wildcard string) bool {
	if param.In != "query" || typeOf(schemaOf(only(param.Schema))) != "array" {
		return false
	}
	name, of := fold(strings.TrimSuffix(param.Name, "[]")), fold(wildcard)
	return name == of || name == of+"s" || name == of+"list" || name == "ids" || name == "id" || strings.HasSuffix(of, "id") && name == strings.TrimSuffix(of, "id")+"s"
}

// sameFields tells why the requests of a listing cannot be for the keys of an item: the
// listing has to have all that the key has, and may need nothing else.
func sameFields(item, listing *endpoint, list *openapi3.Parameter, wildcard string) (reason string) {
	if matchesAny(item.key.ignore, list.Name) {
		return fmt.Sprintf("the parameter %q makes no difference, by the configuration", list.Name)
	}
	for _, f := range item.key.fields {
		if f.source == "path" && f.param == wildcard {
			if f.isList() {
				return fmt.Sprintf("the parameter %q is a list by itself", f.param)
			}
			continue
		}
		if f.source == "query" && f.param == list.Name {
			return "both have the parameter " + f.param
		}
		at := slices.IndexFunc(listing.key.fields, func(o *field) bool { return o.source == f.source && o.param == f.param })
		switch {
		case at < 0 && f.source == "path":
			return "it has no parameter " + f.param + " in its path"
		case at < 0:
			return fmt.Sprintf("it has no parameter %q", f.param)
		case !slices.Equal(f.form(), listing.key.fields[at].form()):
			return fmt.Sprintf("it has the values of the parameter %q in another form", f.param)
		}
	}
	for _, f := range listing.key.fields {
		if f.source == "query" && f.param != list.Name && isPaging(lastPart(f.param)) {
			return fmt.Sprintf("the parameter %q may cut its answer", f.param)
		}
		if f.required() && f.source != "path" && f.param != list.Name && !item.has(f.source, f.param) {
			return fmt.Sprintf("it needs the parameter %q", f.param)
		}
	}
	return ""
}

// form is how a request has several values of a field, nil for one.
func (f *field) form() []string {
	return slices.DeleteFunc(slices.Clone(f.options), func(option string) bool { return option == "required" })
}

func (b *batch) setPattern(item, listing *endpoint, list *openapi3.Parameter, wildcard string) {
	b.pattern = listing.pattern() + "?" + escapeQuery(list.Name) + "={" + wildcard + "}"
	var options []string
	switch style, explode := styleOf(list); {
	case explode:
		options = append(options, "Repeat: true")
	case style == openapi3.SerializationSpaceDelimited:
		options = append(options, `Separator: " "`)
	case style == openapi3.SerializationPipeDelimited:
		options = append(options, `Separator: "|"`)
	}
	if ignore := item.key.ignore; len(ignore) > 0 {
		options = append(options, "IgnoreQuery: "+goStrings(ignore))
	}
	if len(options) > 0 {
		b.options = "&request.BatchOptions{" + strings.Join(options, ", ") + "}"
	}
}

// above is what the path without its last segment has in common with others.
func (t template) above() string {
	up := template{segments: t.segments[:len(t.segments)-1]}
	return up.place()
}

package gen

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// write is what the requests that change a path make old.
type write struct {
	name     string
	methods  []string
	template template
	fields   []*field
	of       []*operation

	keys   []keysOf
	all    []*endpoint
	tagged []*endpoint // by tags
	tags   []tagOf
}

// keysOf are entries by their keys: a field of the endpoint for each of the write.
type keysOf struct {
	to     *endpoint
	fields [][2]string // the endpoint's, the write's
}

// tagOf is a tag of endpoints, made of the write's key.
type tagOf struct {
	expression string
	to         []*endpoint
}

// findWrites finds what the other operations make old.
func (p *plan) findWrites() {
	byPath := make(map[string]*write)
	var order []*write
	for _, o := range p.operations {
		if !isWrite(o) {
			continue
		}
		t, reason := p.templateOf(o)
		if reason != "" {
			o.skipped = reason
			continue
		}
		if o.config.Skip {
			o.skipped = "the configuration skips it"
			continue
		}
		w := byPath[t.normal()]
		if w == nil {
			w = &write{template: t}
			byPath[t.normal()] = w
			order = append(order, w)
		}
		w.of = append(w.of, o)
		if !slices.Contains(w.methods, o.method) {
			w.methods = append(w.methods, o.method)
		}
	}
	for _, w := range order {
		if p.aim(w); len(w.keys)+len(w.all)+len(w.tags) == 0 {
			for _, o := range w.of {
				o.skipped = "it writes, and nothing that is cached is at its path or above"
			}
			continue
		}
		w.name = p.names.take(func(name string) []string { return []string{name, name + "Key"} }, cmp.Or(goName(w.of[0].path), "Root")+"Write")
		for _, o := range w.of {
			o.write = w
		}
		p.writes = append(p.writes, w)
	}
}

func isWrite(o *operation) bool {
	switch o.method {
	case http.MethodPost:
		return !o.config.Cache
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	default:
		return false
	}
}

// aim finds what a write makes old.
func (p *plan) aim(w *write) {
	names := make(map[string]bool)
	for _, s := range w.template.wildcards() {
		w.fields = append(w.fields, &field{source: "path", param: s.wildcard, goType: "string", name: uniqueExact(names, cmp.Or(goName(s.wildcard), "Value"))})
	}
	targets := slices.Clone(p.byPath[w.template.place()])
	if w.template.endsInWildcard() || len(targets) == 0 {
		targets = append(targets, p.byPath[w.template.above()]...)
	}
	for _, e := range targets {
		w.aimAt(e)
	}
	w.typeFields()
	for _, e := range w.tagged {
		w.addTag(e)
	}
}

// aimAt makes the entries of an endpoint old whose path is the write's or above it.
func (w *write) aimAt(e *endpoint) {
	var pairs [][2]string
	onlyPath := true
	for _, f := range e.key.fields {
		if f.source != "path" {
			onlyPath = false
			continue
		}
		own := w.fields[len(pairs)]
		if len(f.options) > 0 {
			own.options = f.options // it is a list
		}
		pairs = append(pairs, [2]string{f.name, own.name})
	}
	switch {
	case onlyPath:
		w.keys = append(w.keys, keysOf{e, pairs})
	case len(pairs) == 0:
		w.all = append(w.all, e)
	default:
		w.tagged = append(w.tagged, e)
	}
}

// addTag makes the entries of an endpoint old by a tag. The fields of the write have their
// types.
func (w *write) addTag(e *endpoint) {
	e.tags = e.template.tag("k", e.key.fields)
	expression := e.template.tag("k", w.fields)
	for i := range w.tags {
		if w.tags[i].expression == expression {
			w.tags[i].to = append(w.tags[i].to, e)
			return
		}
	}
	w.tags = append(w.tags, tagOf{expression, []*endpoint{e}})
}

// typeFields gives the fields of a write the types of those that are made of them.
func (w *write) typeFields() {
	for _, keys := range w.keys {
		for _, pair := range keys.fields {
			from := fieldNamed(keys.to.key.fields, pair[0])
			to := fieldNamed(w.fields, pair[1])
			if to.enum == nil && to.goType == "string" {
				to.goType, to.enum = from.goType, from.enum
			}
		}
	}
	w.keys = slices.DeleteFunc(w.keys, func(keys keysOf) bool {
		for _, pair := range keys.fields {
			if fieldNamed(keys.to.key.fields, pair[0]).typeName() != fieldNamed(w.fields, pair[1]).typeName() {
				w.tagged = append(w.tagged, keys.to)
				return true
			}
		}
		return false
	})
}

func fieldNamed(fields []*field, name string) *field {
	for _, f := range fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// tag is the expression of the tag of what is at a path: the path with the values of the
// fields of a key.
func (t template) tag(key string, fields []*field) string {
	var parts []string
	text := ""
	next := 0
	for _, s := range t.segments {
		text += "/" + s.before
		if s.wildcard != "" {
			f := fields[next]
			next++
			parts = append(parts, strconv.Quote(text), f.asText(key))
			text = ""
		}
		text += s.after
	}
	if text != "" {
		parts = append(parts, strconv.Quote(text))
	}
	return strings.Join(parts, " + ")
}

// asText is the expression of a field's value as text.
func (f *field) asText(key string) string {
	value := key + "." + f.name
	switch {
	case f.enum != nil:
		return "string(" + value + ")"
	case f.goType == "string":
		return value
	default:
		return "fmt.Sprint(" + value + ")"
	}
}

func (f *field) typeName() string {
	if f.enum != nil {
		return f.enum.name
	}
	return f.goType
}

// targets are the endpoints of whose entries a write makes some old, each once.
func (w *write) targets() []string {
	var names []string
	add := func(e *endpoint, how string) {
		if text := fmt.Sprintf("%s (%s)", e.name, how); !slices.Contains(names, text) {
			names = append(names, text)
		}
	}
	for _, keys := range w.keys {
		add(keys.to, "by its key")
	}
	for _, t := range w.tags {
		for _, e := range t.to {
			add(e, "by a tag")
		}
	}
	for _, e := range w.all {
		add(e, "all")
	}
	return names
}

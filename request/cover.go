package request

import (
	"slices"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// covers tells whether p matches every request that other matches, as far as can be
// told from their parts. Both have the same specificity.
func (p *plan) covers(other *plan) bool {
	for _, method := range other.methods {
		if !p.allows(method) {
			return false
		}
	}
	return (len(other.methods) > 0 || len(p.methods) == 0) &&
		p.host.same(other.host) &&
		p.path.covers(&other.path) &&
		p.query.covers(&other.query) &&
		p.coversHeaders(other) &&
		p.coversBody(other)
}

func (p *path) covers(other *path) bool {
	return p.span == other.span && slices.EqualFunc(p.segments, other.segments, func(a, b segment) bool {
		return a.prefix.text == b.prefix.text && a.suffix.text == b.suffix.text && takes(a.field, b.field)
	})
}

// takes tells whether a can have every text that b can have. Both may be nil.
func takes(a, b *keytype.Field) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Domain() == b.Domain() || a.Plain()
}

func (q *query) covers(other *query) bool {
	for _, fixed := range q.fixed {
		if !slices.Contains(other.fixed, fixed) {
			return false
		}
	}
	for i := range q.fields {
		f := &q.fields[i]
		same := slices.IndexFunc(other.fields, func(o queryField) bool { return o.name == f.name })
		switch {
		case same < 0:
			if f.required || other.ignores(f.name) && (!f.repeats() || !f.field.Plain()) {
				return false
			}
		case !f.input.covers(&other.fields[same].input), !f.repeats() && other.fields[same].repeats():
			return false
		}
	}
	for i := range other.fields {
		if name := other.fields[i].name; !q.owns(name) && !q.ignores(name) {
			return false
		}
	}
	for _, name := range other.ignored {
		if !q.ignores(name) {
			return false
		}
	}
	return true
}

// covers tells whether a field takes what another of its name does.
func (in *input) covers(other *input) bool {
	return (other.required || !in.required) && takes(in.field, other.field)
}

func (p *plan) coversHeaders(other *plan) bool {
	for i := range p.headers {
		h := &p.headers[i]
		same := slices.IndexFunc(other.headers, func(o header) bool { return o.name == h.name })
		if same < 0 && (h.required || !h.field.Plain()) || same >= 0 && !h.input.covers(&other.headers[same].input) {
			return false
		}
	}
	return true
}

func (p *plan) coversBody(other *plan) bool {
	switch {
	case p.ignoreBody:
		return true
	case p.members == nil || other.members == nil:
		return p.members == other.members && !other.ignoreBody
	default:
		return p.members.covers(other.members)
	}
}

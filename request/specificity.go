package request

import (
	"slices"

	"github.com/endpointcache/endpointcache/internal/endpoint"
)

// anyMethod stands for more methods than a pattern names.
const anyMethod = 1 << 16

// specificity follows the list in the package documentation.
func (p *plan) specificity() endpoint.Specificity {
	var literals, beside, typed, required int
	for _, s := range p.path.segments {
		if s.field == nil {
			literals++
			continue
		}
		beside += len(s.prefix.text) + len(s.suffix.text)
		typed += count(!s.field.Plain())
	}
	for _, f := range p.query.fields {
		required += count(f.required)
	}
	for _, h := range p.headers {
		required += count(h.required)
	}
	for _, f := range p.memberFields() {
		required += count(f.required)
	}
	methods := len(p.methods)
	if methods == 0 {
		methods = anyMethod
	}
	return endpoint.Specificity{
		1 + count(p.host.name != "") + count(p.host.port != ""), // 0 is an endpoint that does not tell
		literals,
		beside,
		count(p.path.span < 0),
		len(p.path.segments),
		typed,
		-methods,
		len(p.query.fixed),
		required,
		-breadth(p.query.ignored),
		-p.breadthOfBody(),
	}
}

// breadth is how much is ignored: nothing, some, or anything.
func breadth(ignored []string) int {
	return count(len(ignored) > 0) + count(slices.Contains(ignored, "*"))
}

func (p *plan) breadthOfBody() int {
	switch {
	case p.ignoreBody:
		return 3
	case p.members != nil:
		return breadth(p.members.ignored)
	default:
		return 0
	}
}

func (p *plan) memberFields() []*memberField {
	if p.members == nil {
		return nil
	}
	return p.members.fields
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

package request

import (
	"slices"

	"github.com/endpointcache/endpointcache/driver"
)

// Ranked is implemented by endpoints that know how narrow they are, such as
// those that [Pattern] makes.
type Ranked interface {
	Specificity() Specificity
}

// Specificity tells which of two endpoints that match one request is meant by
// it: the one with the greater. The zero value is that of an endpoint which
// does not tell: less than that of any pattern, and more than that of [Any].
//
// A pattern that matches only some of the requests of another because of its
// host, path, method or fixed or required parameters is greater. In this order,
// the greater one has
//
//   - a host; a host with a port;
//   - more literal segments;
//   - more text beside wildcards, as in "{id}.json";
//   - no wildcard that spans segments;
//   - more segments;
//   - more wildcards for integers and bools;
//   - fewer methods;
//   - more fixed parameters;
//   - more fields that are required;
//   - fewer kinds of ignored parameters: none, some, any.
//
// Where all these are the same, so is the specificity.
type Specificity struct{ rank [11]int }

// SpecificityOf is the specificity of an [Endpoint] of any key type.
func SpecificityOf(endpoint any) Specificity {
	if r, ok := endpoint.(Ranked); ok {
		return r.Specificity()
	}
	return Specificity{}
}

// Compare returns a negative number if s is less specific than t, a positive
// one if it is more, and 0 if they are the same.
func (s Specificity) Compare(t Specificity) int {
	return slices.Compare(s.rank[:], t.rank[:])
}

// anyMethod stands for more methods than a pattern names.
const anyMethod = 1 << 16

func (p *plan) specificity() Specificity {
	var literals, beside, typed, required int
	for _, s := range p.path.segments {
		if s.field == nil {
			literals++
			continue
		}
		beside += len(s.prefix.text) + len(s.suffix.text)
		typed += count(s.field.Kind != driver.String)
	}
	for _, f := range p.query.fields {
		required += count(f.required)
	}
	for _, h := range p.headers {
		required += count(h.required)
	}
	methods := len(p.methods)
	if methods == 0 {
		methods = anyMethod
	}
	return Specificity{[...]int{
		1 + count(p.host.name != "") + count(p.host.port != ""), // 0 is an endpoint that does not tell
		literals,
		beside,
		count(p.path.span < 0),
		len(p.path.segments),
		typed,
		-methods,
		len(p.query.fixed),
		required,
		-count(len(p.query.ignored) > 0),
		-count(slices.Contains(p.query.ignored, "*")),
	}}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

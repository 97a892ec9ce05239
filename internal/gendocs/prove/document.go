// Package prove tries out the declarations that package gen has made of an OpenAPI document:
// programs that are written beside them, in tests, give them to Run.
package prove

import (
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Document is what an OpenAPI document says, read by other means than those of package gen.
type Document struct {
	Base       string // the path of the server's URL
	Operations []Operation
}

// Operation is a GET of the document.
type Operation struct {
	Path        string
	Query       []string // the names of all parameters
	Required    []string // of the query
	Secured     bool     // requests carry credentials
	Status      int      // of its success
	ContentType string
	Body        []byte // an example, or made from the schema
	Full        []byte // made from the schema: there are more pages
	Last        []byte // the same without anything in it

	path *regexp.Regexp
}

// Read reads a document that a test has written as JSON.
func Read(name string) (*Document, error) {
	data, err := os.ReadFile(name) // #nosec G304 -- the test's own file
	if err != nil {
		return nil, err
	}
	d := new(Document)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, err
	}
	for i := range d.Operations {
		op := &d.Operations[i]
		path, fixed, _ := strings.Cut(op.Path, "?")
		values, err := url.ParseQuery(fixed)
		if err != nil {
			return nil, err
		}
		op.Query = slices.AppendSeq(op.Query, maps.Keys(values))
		op.path = pathOf(d.Base, path)
	}
	return d, nil
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// pathOf matches the paths of an operation as canonical makes them; each wildcard is a group.
func pathOf(base, template string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^" + regexp.QuoteMeta(canonical(base)))
	for i, segment := range strings.Split(template, "/") {
		if i > 0 {
			b.WriteString("/")
		}
		at := 0
		for _, span := range wildcard.FindAllStringIndex(segment, -1) {
			b.WriteString(regexp.QuoteMeta(url.PathEscape(segment[at:span[0]])) + "([^/]+)")
			at = span[1]
		}
		b.WriteString(regexp.QuoteMeta(url.PathEscape(segment[at:])))
	}
	return regexp.MustCompile(b.String() + "$")
}

// canonical is an escaped path in which all that can be is escaped in one way.
func canonical(escaped string) string {
	segments := strings.Split(escaped, "/")
	for i, segment := range segments {
		if text, err := url.PathUnescape(segment); err == nil {
			segments[i] = url.PathEscape(text)
		}
	}
	return strings.Join(segments, "/")
}

// find is the operation of an escaped path, or nil. Of several, it is the one that has literal
// text first, as OpenAPI prefers concrete paths to templated ones.
func (d *Document) find(path string) *Operation {
	path = canonical(path)
	var found *Operation
	for i := range d.Operations {
		op := &d.Operations[i]
		if op.path.MatchString(path) && (found == nil || moreLiteral(op.Path, found.Path)) {
			found = op
		}
	}
	return found
}

// moreLiteral compares two paths of as many segments.
func moreLiteral(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := range min(len(as), len(bs)) {
		al, bl := len(wildcard.ReplaceAllString(as[i], "")), len(wildcard.ReplaceAllString(bs[i], ""))
		aw, bw := wildcard.MatchString(as[i]), wildcard.MatchString(bs[i])
		switch {
		case aw != bw:
			return bw
		case al != bl:
			return al > bl
		}
	}
	return false
}

func (d *Document) operation(path string) *Operation {
	for i := range d.Operations {
		if d.Operations[i].Path == path {
			return &d.Operations[i]
		}
	}
	return nil
}

// knows reports whether a parameter of a request is the document's: by its name, or as a
// member of a deep object, or a value of an array, that has the name.
func (o *Operation) knows(parameter string) bool {
	return slices.ContainsFunc(o.Query, func(name string) bool {
		return parameter == name || strings.HasPrefix(parameter, name+"[")
	})
}

package gen

import (
	"fmt"
	"go/format"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// libraryImports are what generated files may import besides the packages of payload types.
var libraryImports = []string{
	"cmp", "context", "encoding/json", "errors", "fmt", "net/http", "net/url", "strings", "time",
	"github.com/endpointcache/endpointcache/cache",
	"github.com/endpointcache/endpointcache/fetch",
	"github.com/endpointcache/endpointcache/pages",
	"github.com/endpointcache/endpointcache/payload",
	"github.com/endpointcache/endpointcache/policy",
	"github.com/endpointcache/endpointcache/repository",
	"github.com/endpointcache/endpointcache/request",
	"github.com/endpointcache/endpointcache/settings",
	"github.com/endpointcache/endpointcache/transport",
}

// source is a file that is being written.
type source struct {
	plan *plan
	body strings.Builder
	used map[string]bool // the names of packages

	packageComment func(*source) // writes that of the package, nil for none
}

func (p *plan) newSource() *source { return &source{plan: p, used: make(map[string]bool)} }

// printf writes code and notes which packages it uses: those named in packages, separated by
// spaces.
func (s *source) printf(packages, format string, args ...any) {
	for name := range strings.FieldsSeq(packages) {
		s.used[name] = true
	}
	fmt.Fprintf(&s.body, format, args...)
}

var qualifier = regexp.MustCompile(`\b([A-Za-z_][A-Za-z0-9_]*)\.`)

// typ is a type as it stands in the file, of whose packages it notes the use.
func (s *source) typ(goType string) string {
	for _, m := range qualifier.FindAllStringSubmatch(goType, -1) {
		s.used[m[1]] = true
	}
	return goType
}

// comment writes a comment, wrapped.
func (s *source) comment(indent, text string) {
	for _, line := range wrap(text, 97-4*len(indent)) {
		if strings.HasPrefix(line, "+build") {
			line = "· " + line
		}
		s.body.WriteString(indent + "// " + line + "\n")
	}
}

// comments writes paragraphs of a comment, without those that are empty.
func (s *source) comments(paragraphs ...string) {
	paragraphs = slices.DeleteFunc(paragraphs, func(text string) bool { return strings.TrimSpace(text) == "" })
	for i, text := range paragraphs {
		if i > 0 {
			s.body.WriteString("//\n")
		}
		s.comment("", text)
	}
}

// file is the finished file.
func (s *source) file(name, document string) (File, error) {
	var b strings.Builder
	b.WriteString(header + " from " + document + "; DO NOT EDIT.\n\n")
	if s.packageComment != nil {
		about := s.plan.newSource()
		s.packageComment(about)
		b.WriteString(about.body.String())
	}
	b.WriteString("package " + s.plan.packageName() + "\n\n")
	b.WriteString(s.importBlock())
	b.WriteString(s.body.String())
	formatted, err := format.Source([]byte(b.String()))
	if err != nil {
		return File{}, fmt.Errorf("gen: %s: %w", name, err)
	}
	return File{Name: name, Source: formatted}, nil
}

// importBlock has the standard library's packages first, then the others.
func (s *source) importBlock() string {
	var standard, others []string
	for _, p := range libraryImports {
		if !s.used[path.Base(p)] {
			continue
		}
		if strings.Contains(p, ".") {
			others = append(others, strconv.Quote(p))
		} else {
			standard = append(standard, strconv.Quote(p))
		}
	}
	for _, p := range sortedKeys(s.plan.types.names) {
		name := s.plan.types.names[p]
		if !s.used[name] {
			continue
		}
		line := strconv.Quote(p)
		if !s.plan.types.own[p] {
			line = name + " " + line
		}
		others = append(others, line)
	}
	slices.SortFunc(others, func(a, b string) int {
		return strings.Compare(a[strings.IndexByte(a, '"'):], b[strings.IndexByte(b, '"'):])
	})
	if len(standard)+len(others) == 0 {
		return ""
	}
	gap := ""
	if len(standard) > 0 && len(others) > 0 {
		gap = "\n"
	}
	return "import (\n" + lines(standard) + gap + lines(others) + ")\n\n"
}

func lines(list []string) string {
	var b strings.Builder
	for _, line := range list {
		b.WriteString("\t" + line + "\n")
	}
	return b.String()
}

package gen

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/settings"
)

func (p *plan) packageName() string { return cmp.Or(p.config.Package, "apicache") }

// write makes the files.
func (p *plan) write(o Options) (*Output, error) {
	var files []File
	add := func(name string, s *source) error {
		f, err := s.file(name, p.doc.name)
		files = append(files, f)
		return err
	}
	if err := add("doc.go", p.docFile(o)); err != nil {
		return nil, err
	}
	byTag := make(map[string][]*endpoint)
	for _, e := range p.endpoints {
		byTag[fileOf(e)] = append(byTag[fileOf(e)], e)
	}
	for _, name := range sortedKeys(byTag) {
		s := p.newSource()
		for _, e := range byTag[name] {
			s.endpoint(e)
		}
		if err := add(name, s); err != nil {
			return nil, err
		}
	}
	if len(p.writes) > 0 {
		s := p.newSource()
		for _, w := range p.writes {
			s.write(w)
		}
		if err := add("writes.go", s); err != nil {
			return nil, err
		}
	}
	s := p.cacheFile()
	s.helpers() // which the other files have told the need of
	if err := add("cache.go", s); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return &Output{Files: files, Report: p.report()}, nil
}

// fileOf is the name of an endpoint's file: that of its first tag. It has no underscore, which
// would make it one for a test or for a system.
func fileOf(e *endpoint) string {
	name := ""
	if len(e.Tags) > 0 {
		name = strings.Map(func(r rune) rune {
			if r < 0x80 && (isASCIILetter(byte(r)) || '0' <= r && r <= '9') {
				return r
			}
			return -1
		}, strings.ToLower(e.Tags[0]))
	}
	switch {
	case name == "":
		name = "endpoints"
	case name == "doc", name == "cache", name == "writes", deviceName.MatchString(name):
		name += "endpoints"
	}
	return cutName(name) + ".go"
}

// deviceName are names that no file has on Windows, and so none in a module of Go.
var deviceName = regexp.MustCompile(`^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$`)

func cutName(name string) string { return name[:min(len(name), 80)] }

// command generates a package.
var command = []string{"go", "run", "github.com/endpointcache/endpointcache/cmd/endpointcache", "gen", "-o", "."}

// directive is the go:generate line of a command.
func directive(words []string) string {
	var b strings.Builder
	b.WriteString("//go:generate")
	for _, word := range words {
		if !plainWord.MatchString(word) {
			word = strconv.Quote(word)
		}
		// Variables are expanded after the quotes are taken off.
		b.WriteString(" " + strings.ReplaceAll(word, "$", "${DOLLAR}"))
	}
	return b.String() + "\n"
}

// plainWord is a word that a go:generate line need not quote.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// argument is a name that is not taken for a flag.
func argument(name string) string {
	if strings.HasPrefix(name, "-") {
		return "./" + name
	}
	return name
}

func (p *plan) docFile(o Options) *source {
	s := p.newSource()
	info := p.doc.Info
	title := strings.TrimSpace(oneLine(info.Title) + " " + oneLine(info.Version))
	words := o.Command
	if len(words) == 0 {
		words = append(slices.Clone(command), argument(cmp.Or(o.Name, p.doc.name)))
	}
	s.body.WriteString(directive(words))
	s.packageComment = func(s *source) {
		s.comments("Package "+p.packageName()+" caches the responses of "+cmp.Or(title, "an API")+".", paragraph(info.Description))
	}
	return s
}

// endpoint writes a declaration and what belongs to it.
func (s *source) endpoint(e *endpoint) {
	s.keyType(e)
	s.enums(e)
	s.constructor(e)
	s.settings(e)
	s.next(e)
}

func (s *source) keyType(e *endpoint) {
	key := e.name + "Key"
	s.comment("", key+" is the key of ["+e.name+"].")
	if len(e.key.fields) == 0 {
		s.printf("", "type %s struct{}\n\n", key)
		return
	}
	s.printf("", "type %s struct {\n", key)
	for i, f := range e.key.fields {
		doc := paragraph(f.doc)
		if i > 0 && doc != "" {
			s.printf("", "\n")
		}
		if doc != "" {
			s.comment("\t", f.name+": "+doc)
		}
		s.printf("", "\t%s %s %s\n", f.name, s.typ(f.typeName()), quoteTag(f.tag()))
	}
	s.printf("", "}\n\n")
}

func quoteTag(tag string) string {
	if strconv.CanBackquote(tag) {
		return "`" + tag + "`"
	}
	return strconv.Quote(tag)
}

// enums writes the types of the enumerations that an endpoint is the first to have.
func (s *source) enums(e *endpoint) {
	for _, f := range e.key.fields {
		if f.enum == nil || f.enum.first != e || f.enum.written {
			continue
		}
		f.enum.written = true
		what := cmp.Or(paragraph(f.enum.doc), "a value of "+f.param+".")
		s.comment("", f.enum.name+" is "+firstLower(what))
		s.printf("", "type %s string\n\n", f.enum.name)
		s.comment("", "The values of ["+f.enum.name+"].")
		s.printf("", "const (\n")
		for i, value := range f.enum.values {
			s.printf("", "\t%s %s = %s\n", f.enum.constant[i], f.enum.name, strconv.Quote(value))
		}
		s.printf("", ")\n\n")
	}
}

// constructor writes a function for keys of which some fields have defaults, as a key is used
// as it is.
func (s *source) constructor(e *endpoint) {
	if !slices.ContainsFunc(e.key.fields, func(f *field) bool { return f.value() != "" }) {
		return
	}
	taken := map[string]bool{"k": true}
	var params, values []string
	for _, f := range e.key.fields {
		switch {
		case f.required():
			name := parameterName(taken, f.name)
			params = append(params, name+" "+s.typ(f.typeName()))
			values = append(values, f.name+": "+name)
		case f.value() != "":
			values = append(values, f.name+": "+f.value())
		}
	}
	s.comment("", "New"+e.name+"Key is the key of the request that has nothing but what is required: the other parameters have their defaults.")
	s.printf("", "func New%[1]sKey(%[2]s) %[1]sKey {\n\treturn %[1]sKey{%[3]s}\n}\n\n", e.name, strings.Join(params, ", "), strings.Join(values, ", "))
}

// value is the expression of a field's default, empty for none or the zero value.
func (f *field) value() string {
	switch {
	case f.source == "header" && f.param == "Accept" && f.json:
		return strconv.Quote("application/json")
	case !f.hasDefault:
		return ""
	case f.enum != nil:
		if i := slices.Index(f.enum.values, f.defaultValue); i >= 0 {
			return f.enum.constant[i]
		}
		return quoteIf(f.defaultValue)
	case f.goType == "string":
		return quoteIf(f.defaultValue)
	case f.defaultValue == "0" || f.defaultValue == "false":
		return ""
	default:
		return f.defaultValue
	}
}

func quoteIf(text string) string {
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

// settings writes the declaration.
func (s *source) settings(e *endpoint) {
	key, value := e.name+"Key", s.typ(e.payload.goType)
	about := cmp.Or(paragraph(e.Summary), paragraph(e.Description))
	first := e.name + " has the responses of " + e.method + " " + oneLine(e.path) + "."
	if about != "" {
		first = strings.TrimSuffix(first, ".") + ": " + sentence(about)
	}
	more := paragraph(e.Description)
	if more == about {
		more = ""
	}
	deprecated := ""
	if e.Deprecated {
		deprecated = "Deprecated: the API's document says so."
	}
	elsewhere := ""
	if base := e.baseURL(); base != "" {
		elsewhere = "Another server answers it: typed calls need a client whose BaseURL is " + base + "."
	}
	s.comments(first, more, elsewhere, deprecated)
	s.printf("settings", "var %s = settings.RepositorySettings[%s, %s]{\n", e.name, key, value)
	s.printf("", "\tName: %s,\n", strconv.Quote(e.repository))
	pattern := strconv.Quote(e.pattern())
	if ignore := e.key.ignore; len(ignore) > 0 {
		s.printf("request", "\tEndpoint: request.Pattern[%s](%s, request.IgnoreQuery(%s)),\n", key, pattern, goList(ignore))
	} else {
		s.printf("", "\tPattern: %s,\n", pattern)
	}
	if base := e.baseURL(); base != "" {
		s.printf("", "\tBaseURL: %s,\n", strconv.Quote(base))
	}
	s.batch(e)
	if e.payload.handler != "" {
		s.printf("payload", "\tPayload: %s,\n", e.payload.handler)
	}
	s.nameOf(e, value)
	if e.tags != "" {
		if strings.Contains(e.tags, "fmt.Sprint(") {
			s.used["fmt"] = true
		}
		s.printf("", "\tTags: func(k %s, _ %s) []string { return []string{%s} },\n", key, value, e.tags)
	}
	s.expiry(e)
	s.scope(e)
	s.policy(e)
	s.printf("", "}\n\n")
}

func (s *source) batch(e *endpoint) {
	b := e.batch
	if b == nil {
		return
	}
	s.printf("request payload", "\tBatch: request.BatchPattern[%sKey](%s, %d,\n\t\tpayload.SplitArrayBy(%s, %s), %s),\n",
		e.name, strconv.Quote(b.pattern), b.size, strconv.Quote(jsonPath(b.path)), strconv.Quote(jsonPath([]string{b.id})), cmp.Or(b.options, "nil"))
}

// jsonPath is a path of members as package payload takes it.
func jsonPath(path []string) string {
	escaped := make([]string, len(path))
	for i, name := range path {
		escaped[i] = strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(name)
	}
	return strings.Join(escaped, ".")
}

// nameOf writes how a readable name is taken from a value.
func (s *source) nameOf(e *endpoint, value string) {
	name := s.plan.nameMember(e)
	switch {
	case name == "":
	case e.payload.raw:
		s.plan.needsMember = true
		s.printf("", "\tNameOf: textOf(%s),\n", strconv.Quote(name))
	default:
		s.printf("", "\tNameOf: func(v %s) string { return v.%s },\n", value, camel(name))
	}
}

// nameMember is the member that is the name of an endpoint's values, empty for none.
func (p *plan) nameMember(e *endpoint) string {
	candidates := p.config.Names
	switch e.config.NameOf {
	case "":
	case "-":
		return ""
	default:
		candidates = []string{e.config.NameOf}
	}
	if !e.payload.isJSON {
		return ""
	}
	for _, name := range candidates {
		m, ok := memberNamed(schemaOf(only(e.payload.schema)), name)
		switch {
		case e.payload.raw && (ok && typeOf(schemaOf(m.schema)) == "string" || e.config.NameOf == name):
			return name
		case e.payload.own && e.config.NameOf == name && isIdentifier(camel(name)):
			return name
		case ok && e.payload.own && m.required && typeOf(schemaOf(m.schema)) == "string" && isPlainString(m) && isIdentifier(camel(name)) && !strings.HasPrefix(e.payload.goType, "["):
			return name
		case ok && e.payload.own:
			e.note("no name by the member %q: it is not certain that its type in Go is string", name)
		}
	}
	return ""
}

// isPlainString tells whether generators of clients make a string of a member.
func isPlainString(m member) bool {
	s := schemaOf(m.schema)
	return !s.Nullable && s.Format == "" && len(s.Enum) == 0 && m.schema.Ref == "" && (s.Type == nil || len(*s.Type) == 1)
}

func (s *source) expiry(e *endpoint) {
	packages := "time"
	if e.expire == Duration(settings.NeverExpire) {
		packages = "settings"
	}
	s.printf(packages, "\tExpire: %s,\n", goDuration(e.expire))
	if e.absent > 0 {
		s.printf("time", "\tExpireAbsent: %s,\n", goDuration(e.absent))
	}
}

func (s *source) scope(e *endpoint) {
	switch e.security.scope {
	case scopeShared:
		s.printf("settings", "\tScope: settings.Shared,\n")
	case scopePerIdentity:
		s.printf("settings", "\tScope: settings.PerIdentity,\n")
		if len(e.security.unknownHeaders)+len(e.security.unknownQuery) > 0 {
			s.plan.needsWhose = true
			s.printf("", "\tIdentity: whose(%s, %s),\n", goStringsOrNil(e.security.headers), goStringsOrNil(e.security.query))
		}
	}
}

func goStringsOrNil(list []string) string {
	if len(list) == 0 {
		return "nil"
	}
	return goStrings(list)
}

func (s *source) policy(e *endpoint) {
	given := e.config.Policy
	if given == (Policy{}) {
		given = s.plan.config.Policy
	}
	var parts []string
	if len(e.statuses) > 0 {
		parts = append(parts, "Statuses: []int{"+strings.Trim(strings.Join(strings.Fields(fmt.Sprint(e.statuses)), ", "), "[]")+"}")
	}
	if given.CacheControl {
		parts = append(parts, "CacheControl: policy.On")
	}
	for _, d := range []struct {
		name string
		of   Duration
	}{
		{"StaleIfError", given.StaleIfError}, {"StaleWhileRevalidate", given.StaleWhileRevalidate},
		{"SoftTimeout", given.SoftTimeout}, {"HardTimeout", given.HardTimeout},
	} {
		if d.of > 0 {
			s.used["time"] = true
			parts = append(parts, d.name+": "+goDuration(d.of))
		}
	}
	if given.RefreshAhead > 0 {
		parts = append(parts, "RefreshAhead: "+strconv.FormatFloat(given.RefreshAhead, 'g', -1, 64))
	}
	if len(parts) > 0 {
		s.printf("policy", "\tPolicy: policy.Policy{%s},\n", strings.Join(parts, ", "))
	}
}

// parameterName is the name of a function's parameter for a field.
func parameterName(taken map[string]bool, name string) string {
	name = unexported(name)
	if !isIdentifier(name) || isPredeclared(name) { // a keyword, or what has a meaning here
		name += "Value"
	}
	return uniqueExact(taken, name)
}

func isPredeclared(name string) bool {
	return slices.Contains([]string{"string", "int", "int64", "bool", "len", "nil", "true", "false", "error", "any", "cap", "new", "make", "copy", "min", "max"}, name) ||
		slices.ContainsFunc(libraryImports, func(p string) bool { return p == name || strings.HasSuffix(p, "/"+name) })
}

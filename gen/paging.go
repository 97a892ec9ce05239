package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// The styles of pages.
const (
	styleLink   = "link"
	styleURL    = "url"
	styleCursor = "cursor"
	styleOffset = "offset"
	styleNumber = "number"
)

// paging is how the pages of a listing lead to the next.
type paging struct {
	style string
	why   string
	field *field // of the key, nil for link and url
	body  pageBody
}

// pageBody are the members of a page that tell of the next one, as paths.
type pageBody struct {
	items    []string // nil where the page is the array itself
	hasItems bool
	next     []string // a cursor or URL
	total    []string
	last     []string
	more     []string // a bool, which is false on the last page
	lastID   string   // the member of the last item that is the cursor
	asText   bool     // total is a string with a number
	number   bool     // next is a number
}

// Names of parameters and members, without case and separators. The first that is found
// counts.
var (
	cursorParams = []string{
		"cursor", "nextcursor", "pagetoken", "nextpagetoken", "nexttoken", "continuationtoken", "continue", "continuation",
		"paginationtoken", "pagecursor", "startcursor", "after", "endcursor", "scrollid", "marker", "exclusivestartkey", "token", "pagekey",
		"pageafter", "bookmark", "page",
	}
	offsetParams = []string{"offset", "skip", "start", "startindex", "startposition", "startat", "pageoffset", "firstresult", "from"}
	numberParams = []string{"page", "pagenumber", "pagenum", "pageindex", "pageno", "currentpage", "p"}
	sizeParams   = []string{"limit", "perpage", "pagesize", "count", "size", "maxresults", "top", "first", "take", "pagelimit", "maxitems", "num", "rows", "resultsperpage", "hitsperpage", "itemsperpage"}

	cursorMembers = []string{
		"nextcursor", "nextpagetoken", "nexttoken", "continuationtoken", "nextcontinuationtoken", "paginationtoken",
		"endcursor", "cursornext", "scrollid", "nextmarker", "lastevaluatedkey", "nextpagecursor", "nextkey",
	}
	urlMembers   = []string{"next", "nexturl", "nextlink", "nexturi", "nexthref", "nextpageurl", "nextpageuri", "nextpagelink", "odatanextlink", "nextpage"}
	totalMembers = []string{"total", "totalcount", "totalsize", "totalsetsize", "totalresults", "totalitems", "totalelements", "totalrecords", "totalhits", "totalnumber"}
	lastMembers  = []string{"totalpages", "pagecount", "lastpage", "numpages", "pagestotal", "pages", "maxpage"}
	moreMembers  = []string{"hasmore", "hasnext", "hasnextpage", "more", "morepages", "moredata", "moreresults"}
	itemsMembers = []string{"items", "data", "results", "values", "value", "records", "entries", "elements", "list", "rows", "content", "objects", "hits", "resources", "nodes", "edges"}

	// envelopes are members that hold what tells of the pages.
	envelopes = []string{"pagination", "paging", "meta", "metadata", "responsemetadata", "pageinfo", "page", "links", "cursors", "pager", "search_metadata", "cursor", "next"}
)

// readPages finds out how the pages of an endpoint lead to the next, and says why.
func (p *plan) readPages(e *endpoint) {
	given := e.config.Pages
	if given.Style == "none" {
		e.note("not paged, by the configuration")
		return
	}
	if !e.payload.isJSON && given.Style == "" {
		return
	}
	if given.Style != "" {
		if reason := p.givenPages(e, given); reason != "" {
			e.note("not paged as the configuration says: %s", reason)
		}
		return
	}
	e.pages = recognize(e)
	if e.pages == nil {
		explainUnpaged(e)
	}
}

// recognize is how the document says that the pages of an endpoint lead to the next.
func recognize(e *endpoint) *paging {
	for _, style := range []func(*endpoint) *paging{linkPages, urlPages, cursorPages, offsetPages, numberPages} {
		if found := style(e); found != nil {
			return found
		}
	}
	return nil
}

// linkPages are those of a Link header. Without a parameter that the next page could be asked
// for with, the header is about something else.
func linkPages(e *endpoint) *paging {
	for name := range e.payload.headers {
		if !strings.EqualFold(name, "Link") {
			continue
		}
		if f := e.position(); f != nil {
			return &paging{style: styleLink, why: fmt.Sprintf("the answer has a Link header, and the request the parameter %q", f.param)}
		}
		e.note("not paged: the answer has a Link header, but no parameter says which page is asked for")
	}
	return nil
}

// isPaging tells whether a parameter is one by which pages are asked for, or their size.
func isPaging(param string) bool {
	return isPosition(param) || slices.Contains(sizeParams, fold(param))
}

// isPosition tells whether a parameter says which page is asked for.
func isPosition(param string) bool {
	name := fold(param)
	for _, names := range [][]string{cursorParams, offsetParams, numberParams, {"since", "before", "until", "startingafter", "endingbefore"}} {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// position is the field that says which page is asked for, nil for none. The URL of the next
// page has to have something that the key can hold.
func (e *endpoint) position() *field {
	for _, f := range e.key.fields {
		if f.source == "query" && isPosition(lastPart(f.param)) {
			return f
		}
	}
	return nil
}

// urlPages are those where a member is the URL of the next page.
func urlPages(e *endpoint) *paging {
	path, schema, ok := findMember(e, urlMembers, func(m member) bool {
		s := schemaOf(m.schema)
		if t := typeOf(s); t != "string" {
			return false
		}
		return s.Format == "uri" || s.Format == "url" || s.Format == "uri-reference" || isURLName(m.name)
	})
	if !ok {
		return nil
	}
	if e.position() == nil {
		e.note("not paged: the member %s is the URL of the next page, but no parameter says which page is asked for", showPath(path))
		return nil
	}
	if fold(path[len(path)-1]) == "nexturi" && !strings.Contains(schema.Format, "uri") && firstField(e, offsetParams) != nil {
		return nil // a path below another base, as those of some APIs are
	}
	return &paging{style: styleURL, body: pageBody{next: path}, why: fmt.Sprintf("the member %s is the URL of the next page", showPath(path))}
}

func isURLName(name string) bool {
	name = fold(name)
	return strings.HasSuffix(name, "url") || strings.HasSuffix(name, "link") || strings.HasSuffix(name, "uri") || strings.HasSuffix(name, "href")
}

// cursorPages are those where a member is the token of the next page, or the id of the last
// item is.
func cursorPages(e *endpoint) *paging {
	if f := firstField(e, []string{"startingafter"}); f != nil {
		if found := lastItemPages(e, f); found != nil {
			return found
		}
	}
	for _, f := range fieldsNamed(e, cursorParams) {
		if !cursorType(f) {
			continue
		}
		path, schema, ok := findMember(e, cursorMembersFor(e, f), func(m member) bool {
			t := typeOf(schemaOf(m.schema))
			return t == "string" || t == "integer" || t == "number"
		})
		if !ok {
			continue
		}
		found := &paging{
			style: styleCursor, field: f, body: pageBody{next: path, number: typeOf(schema) != "string"},
			why: fmt.Sprintf("the parameter %q takes the member %s", f.param, showPath(path)),
		}
		if found.readMore(e); found.body.more != nil {
			found.why += ", until " + showPath(found.body.more) + " is false"
		}
		return found
	}
	return nil
}

// cursorMembersFor are the members that a cursor's parameter may take. A time is one only if a
// member says so: it may be what the listing is about.
func cursorMembersFor(e *endpoint, f *field) []string {
	name := fold(lastPart(f.param))
	names := []string{"next" + name}
	if param := find(e.parameters, "query", f.param); param != nil && isTime(schemaOf(only(param.Schema))) {
		return names
	}
	for _, own := range []string{"continue", "after", "marker", "next", "bookmark", "scroll"} {
		if strings.HasPrefix(name, own) {
			names = append(names, name) // other names are the page's own cursor in most APIs
		}
	}
	if name == "page" || name == "token" {
		return append(names, "nextpagetoken", "nextcursor")
	}
	names = append(names, cursorMembers...)
	if strings.Contains(name, "cursor") || strings.Contains(name, "token") {
		names = append(names, "cursor", "after", "nextpage", "next")
	}
	return names
}

// cursorType tells whether a field can hold a cursor whose absence is the first page.
func cursorType(f *field) bool { return f.goType == "string" && f.enum == nil && !f.isList() }

func (f *field) isList() bool {
	return slices.Contains(f.options, "list") || slices.Contains(f.options, "set")
}

// lastItemPages are those whose cursor is the id of the last item.
func lastItemPages(e *endpoint, f *field) *paging {
	items, ok, _ := itemsOf(e)
	more, _, hasMore := findMember(e, moreMembers, func(m member) bool { return typeOf(schemaOf(m.schema)) == "boolean" })
	if !ok || !hasMore || !cursorType(f) {
		return nil
	}
	id, ok := memberNamed(schemaOf(only(items.element)), "id")
	if !ok && items.element != nil {
		id, ok = idOfAlternatives(schemaOf(items.element))
	}
	if !ok || typeOf(schemaOf(id.schema)) != "string" {
		return nil
	}
	return &paging{
		style: styleCursor, field: f,
		body: pageBody{items: items.path, hasItems: true, more: more, lastID: "id"},
		why:  fmt.Sprintf("the parameter %q takes the id of the last item, until %s is false", f.param, showPath(more)),
	}
}

// idOfAlternatives is the id that all alternatives of an item have.
func idOfAlternatives(s *openapi3.Schema) (id member, ok bool) {
	if s == nil {
		return id, false
	}
	all := slices.Concat(s.AnyOf, s.OneOf)
	for _, alternative := range all {
		if id, ok = memberNamed(schemaOf(alternative), "id"); !ok {
			return id, false
		}
	}
	return id, ok
}

func offsetPages(e *endpoint) *paging {
	for _, f := range fieldsNamed(e, offsetParams) {
		if !beginsAtZero(e, f) {
			continue
		}
		items, ok, reason := itemsOf(e)
		if !ok {
			e.note("not paged: the parameter %q counts items, but %s", f.param, reason)
			return nil
		}
		found := &paging{style: styleOffset, field: f, body: pageBody{items: items.path, hasItems: true}}
		found.why = fmt.Sprintf("the parameter %q counts the items of %s", f.param, items.show())
		found.readExtent(e, false)
		found.settle()
		return found
	}
	return nil
}

// beginsAtZero tells whether a field counts from 0, by what the document says or by its name.
func beginsAtZero(e *endpoint, f *field) bool {
	param := find(e.parameters, "query", f.param)
	if param == nil || !countable(f) && !isNumberText(f) {
		return false
	}
	if f.hasDefault {
		return f.defaultValue == "0"
	}
	if least, ok := leastOf(schemaOf(only(param.Schema))); ok {
		return least == 0
	}
	switch fold(lastPart(f.param)) {
	case "offset", "skip", "startat", "startposition", "pageoffset":
		return true
	default:
		return false
	}
}

// isNumberText tells whether a field is one of an API that has all parameters as strings, and
// counts items.
func isNumberText(f *field) bool {
	return f.goType == "string" && f.enum == nil && !f.isList() && !f.hasDefault && fold(f.param) == "startposition"
}

// settle gives the field that is counted the type of a number.
func (g *paging) settle() {
	inner, optional := strings.CutPrefix(g.field.goType, "request.Optional[")
	switch {
	case optional:
		g.field.goType = strings.TrimSuffix(inner, "]")
	case g.field.goType == "string":
		g.field.goType = "int"
		g.field.options = slices.DeleteFunc(g.field.options, func(o string) bool { return o == "list" })
	}
}

func numberPages(e *endpoint) *paging {
	for _, f := range fieldsNamed(e, numberParams) {
		if !countable(f) {
			continue
		}
		items, ok, reason := itemsOf(e)
		if !ok {
			e.note("not paged: the parameter %q numbers pages, but %s", f.param, reason)
			return nil
		}
		why, ok := firstPage(e, f)
		if !ok {
			e.note("not paged: the document does not say whether the first page of the parameter %q is 0 or 1", f.param)
			return nil
		}
		found := &paging{style: styleNumber, field: f, body: pageBody{items: items.path, hasItems: true}}
		found.why = fmt.Sprintf("the parameter %q numbers the pages of %s, %s", f.param, items.show(), why)
		found.readExtent(e, true)
		found.settle()
		return found
	}
	return nil
}

// countable tells whether a field can be an integer that is counted up.
func countable(f *field) bool {
	switch f.goType {
	case "int", "int64", "request.Optional[int]", "request.Optional[int64]":
		return true
	default:
		return false
	}
}

// firstPage makes the field of the page's number one that begins with the first page.
func firstPage(e *endpoint, f *field) (why string, ok bool) {
	if first := e.config.Pages.First; first != nil {
		f.hasDefault, f.defaultValue = true, fmt.Sprint(*first)
		return "by the configuration from " + f.defaultValue, true
	}
	if f.hasDefault {
		return "from " + f.defaultValue, f.defaultValue == "0" || f.defaultValue == "1"
	}
	if f.required() {
		return "of which requests name one", true
	}
	param := find(e.parameters, "query", f.param)
	if param == nil {
		return "", false
	}
	if least, ok := leastOf(schemaOf(only(param.Schema))); ok && least == 1 {
		f.hasDefault, f.defaultValue = true, "1"
		return "from 1, which is the least", true
	}
	return "", false
}

// readExtent finds how a page tells the end of the listing.
func (g *paging) readExtent(e *endpoint, numbered bool) {
	isInteger := func(m member) bool {
		t := typeOf(schemaOf(m.schema))
		return t == "integer" || t == "number" || t == "string" && g.field.goType == "string"
	}
	if numbered {
		if path, _, ok := findMember(e, lastMembers, isInteger); ok && g.field.defaultValue == "1" {
			g.body.last = path
		}
	} else if path, schema, ok := findMember(e, totalMembers, isInteger); ok {
		g.body.total, g.body.asText = path, typeOf(schema) == "string"
	}
	g.readMore(e)
}

// readMore finds the member that is false on the last page. Some APIs tell a cursor there, too:
// one for what comes later.
func (g *paging) readMore(e *endpoint) {
	if path, _, ok := findMember(e, moreMembers, func(m member) bool { return typeOf(schemaOf(m.schema)) == "boolean" }); ok {
		g.body.more = path
	}
}

// explainUnpaged notes why a listing that looks paged is not.
func explainUnpaged(e *endpoint) {
	if slices.ContainsFunc(e.notes, func(note string) bool { return strings.HasPrefix(note, "not paged") }) {
		return
	}
	for _, f := range e.key.fields {
		if f.source == "query" && isPaging(lastPart(f.param)) && fold(f.param) != "count" && fold(f.param) != "size" {
			e.note("not paged: it has the parameter %q, but the document does not say where the next page is", f.param)
			return
		}
	}
}

// givenPages are those of the configuration.
func (p *plan) givenPages(e *endpoint, given Pages) (reason string) {
	g := &paging{style: given.Style, why: "by the configuration"}
	g.body.next, g.body.total, g.body.last = splitPath(given.Next), splitPath(given.Total), splitPath(given.Last)
	if found, ok, _ := itemsOf(e); ok {
		g.body.items, g.body.hasItems = found.path, true
	}
	switch given.Items {
	case "":
	case ".":
		g.body.items, g.body.hasItems = nil, true
	default:
		g.body.items, g.body.hasItems = splitPath(given.Items), true
	}
	for _, path := range [][]string{g.body.next, g.body.total, g.body.last, g.body.items} {
		for _, name := range path {
			if !isTagName(name) {
				return fmt.Sprintf("%q cannot be the name of a member", name)
			}
		}
	}
	switch given.Style {
	case styleLink:
	case styleURL:
		if g.body.next == nil {
			return "next is not set"
		}
	default:
		if reason := g.givenField(e, given); reason != "" {
			return reason
		}
		g.readMore(e)
	}
	e.pages = g
	return ""
}

// givenField finds the field of the parameter that the configuration names.
func (g *paging) givenField(e *endpoint, given Pages) (reason string) {
	for _, f := range e.key.fields {
		if f.source == "query" && f.param == given.Parameter {
			g.field = f
		}
	}
	switch {
	case g.field == nil:
		return fmt.Sprintf("the key has no parameter %q", given.Parameter)
	case given.Style == styleCursor && g.body.next == nil:
		return "next is not set"
	case given.Style == styleCursor && !cursorType(g.field):
		return fmt.Sprintf("the parameter %q is not a string", given.Parameter)
	case given.Style == styleCursor:
		return ""
	case !countable(g.field):
		return fmt.Sprintf("the parameter %q is not an integer", given.Parameter)
	case !g.body.hasItems:
		return "items is not set"
	}
	defer g.settle()
	if given.Style == styleNumber {
		if _, ok := firstPage(e, g.field); !ok {
			return "first is not set, and the document does not tell it"
		}
	}
	return ""
}

func splitPath(text string) []string {
	if text == "" || text == "." {
		return nil
	}
	return strings.Split(text, ".")
}

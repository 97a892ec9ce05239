package gen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// next writes how a page leads to the one after it.
func (s *source) next(e *endpoint) {
	g := e.pages
	if g == nil {
		return
	}
	key, value := e.name+"Key", s.typ(e.payload.goType)
	about := e.name + "Next leads from a page of [" + e.name + "] to the next: " + g.why + "."
	declaration := fmt.Sprintf("var %sNext pages.Next[%s, %s] = ", e.name, key, value)
	if g.style == styleLink {
		s.comment("", about)
		s.printf("pages", "%spages.Link[%s, %s]\n\n", declaration, key, value)
		return
	}
	page := "pageOf" + e.name
	body := newPageStruct(g)
	s.comment("", page+" is what a page of ["+e.name+"] tells of the next one.")
	s.printf("", "type %s %s\n\n", page, s.typ(body.text))
	s.comment("", about)
	s.printf("pages", "%spages.ByBody[%s, %s, %s](%s)\n\n", declaration, page, key, value, g.expression(key, page, body))
}

// expression is that of the pages.Next for the body of a page.
func (g *paging) expression(key, page string, body pageStruct) string {
	switch g.style {
	case styleURL:
		return fmt.Sprintf("pages.URL[%s](func(p %s) string { return p.%s })", key, page, body.next)
	case styleCursor:
		return fmt.Sprintf("pages.Cursor(\nfunc(k *%s) *string { return &k.%s },\nfunc(p %s) string {%s}),\n", key, g.field.name, page, g.token(body))
	}
	function := "pages.Offset"
	if g.style == styleNumber {
		function = "pages.Number"
	}
	return fmt.Sprintf("%s(\nfunc(k *%s) *%s { return &k.%s },\nfunc(p %s) pages.Extent { return pages.Extent{%s} }),\n",
		function, key, g.field.goType, g.field.name, page, body.extent())
}

// token is the body of the function that returns the cursor of the next page.
func (g *paging) token(body pageStruct) string {
	var ends []string // what tells that the page is the last
	next := "p." + body.next
	switch {
	case g.body.lastID != "":
		ends = append(ends, fmt.Sprintf("len(p.%s) == 0", body.items), fmt.Sprintf("p.%[1]s == nil || !*p.%[1]s", body.more))
		next = fmt.Sprintf("p.%[1]s[len(p.%[1]s)-1].ID", body.items)
	case g.body.more != nil:
		ends = append(ends, fmt.Sprintf("p.%[1]s != nil && !*p.%[1]s", body.more))
	}
	if g.body.number {
		ends = append(ends, next+` == "0"`) // where counting begins
		next += ".String()"
	}
	if len(ends) == 0 {
		return " return " + next + " "
	}
	return fmt.Sprintf("\nif %s {\nreturn \"\"\n}\nreturn %s\n", strings.Join(ends, " || "), next)
}

// pageStruct is the type of what a page tells, with the expressions of its members.
type pageStruct struct {
	text                           string
	items, next, total, last, more string
	isArray                        bool
}

// extent are the elements of a pages.Extent.
func (b pageStruct) extent() string {
	parts := []string{"Items: len(p." + b.items + ")"}
	if b.isArray {
		parts[0] = "Items: len(p)"
	}
	if b.total != "" {
		parts = append(parts, "Total: p."+b.total)
	}
	if b.last != "" {
		parts = append(parts, "Last: p."+b.last)
	}
	if b.more != "" {
		parts = append(parts, fmt.Sprintf("End: p.%[1]s != nil && !*p.%[1]s", b.more))
	}
	return strings.Join(parts, ", ")
}

// newPageStruct makes the type.
func newPageStruct(g *paging) pageStruct {
	if g.body.hasItems && g.body.items == nil {
		return pageStruct{text: "[]json.RawMessage", isArray: true}
	}
	var made pageStruct
	root := &structNode{}
	if g.body.hasItems {
		element := "[]json.RawMessage"
		if g.body.lastID != "" {
			element = "[]struct { ID string `json:\"id\"` }"
		}
		made.items = root.add(g.body.items, element, "")
	}
	next := "string"
	if g.body.number {
		next = "json.Number"
	}
	made.next = root.add(g.body.next, next, "")
	option := ""
	if g.body.asText {
		option = ",string"
	}
	made.total = root.add(g.body.total, "int", option)
	made.last = root.add(g.body.last, "int", "")
	made.more = root.add(g.body.more, "*bool", "")
	made.text = root.text()
	return made
}

// structNode is a struct, or a field of one.
type structNode struct {
	member string // in JSON
	name   string // in Go
	goType string // empty for a struct
	option string
	fields []*structNode
}

// add adds the field that a path of members leads to, and returns its expression. An empty
// path has none.
func (n *structNode) add(path []string, goType, option string) string {
	var expression []string
	at := n
	for _, member := range path {
		found := slices.IndexFunc(at.fields, func(f *structNode) bool { return f.member == member })
		if found < 0 {
			taken := make(map[string]bool)
			for _, f := range at.fields {
				taken[f.name] = true
			}
			at.fields = append(at.fields, &structNode{member: member, name: uniqueExact(taken, cmp.Or(goName(member), "Value"))})
			found = len(at.fields) - 1
		}
		at = at.fields[found]
		expression = append(expression, at.name)
	}
	if len(path) > 0 {
		at.goType, at.option = goType, option
	}
	return strings.Join(expression, ".")
}

func (n *structNode) text() string {
	if n.goType != "" {
		return n.goType
	}
	var b strings.Builder
	b.WriteString("struct {\n")
	for _, f := range n.fields {
		fmt.Fprintf(&b, "%s %s `json:\"%s%s\"`\n", f.name, f.text(), f.member, f.option)
	}
	b.WriteString("}")
	return b.String()
}

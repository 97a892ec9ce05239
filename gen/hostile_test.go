package gen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/endpointcache/endpointcache/gen"
	"github.com/endpointcache/endpointcache/internal/memuse"
)

// head begins a document whose paths follow.
const head = "openapi: 3.0.3\ninfo: {title: T, version: '1'}\n"

// ok is the responses of an operation.
const ok = "responses: {'200': {description: d, content: {application/json: {schema: {type: object}}}}}"

// Each document is wrong, and the error has the place.
func TestWrongDocuments(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		line     int    // 0: any
		pointer  string // what the JSON pointer begins with
		says     string // what is in the error
	}{
		"nothing":                     {"", 0, "", ""},
		"white space":                 {" \n\t\n", 0, "", ""},
		"a comment":                   {"# openapi: 3.0.0\n", 0, "", ""},
		"null":                        {"null", 1, "", ""},
		"a list":                      {"[]", 1, "", ""},
		"a number":                    {"42", 1, "", ""},
		"a text":                      {"hello", 1, "", ""},
		"no version":                  {"info: {title: T, version: '1'}\npaths: {}\n", 0, "", "openapi"},
		"a version to come":           {"openapi: 4.0.0\ninfo: {title: T, version: '1'}\npaths: {}\n", 1, "/openapi", "4.0.0"},
		"a version that is a list":    {"openapi: [3]\ninfo: {title: T, version: '1'}\npaths: {}\n", 1, "/openapi", ""},
		"truncated JSON":              {"{\"openapi\": \"3.0.3\",\n\"info\": {\"title\": \"T\",\n\"ver", 3, "", ""},
		"truncated YAML":              {head + "paths:\n  /a:\n    get: {operationId: [a, b\n", 0, "", ""},
		"a tab in YAML":               {head + "paths:\n\t/a: {}\n", 0, "", ""},
		"two documents in one":        {"{\"openapi\": \"3.0.3\"}\n{\"openapi\": \"3.0.3\"}", 0, "", ""},
		"no UTF-8":                    {head + "paths: {/\xff: {}}\n", 0, "", ""},
		"a null byte":                 {head + "paths: {/\x00: {}}\n", 0, "", ""},
		"paths are a list":            {head + "paths: []\n", 3, "/paths", ""},
		"a path is a number":          {head + "paths:\n  /a: 5\n", 4, "/paths/~1a", ""},
		"an operation is a reference": {head + "paths:\n  /a:\n    get:\n      $ref: 'a_get.yaml'\n", 6, "/paths/~1a/get/$ref", "\"a_get.yaml\", which OpenAPI has for whole paths only: bundle"},
		"an operation is a text":      {head + "paths:\n  /a:\n    get: hello\n", 5, "/paths/~1a/get", ""},
		"parameters are an object":    {head + "paths:\n  /a:\n    get:\n      parameters: {a: b}\n      " + ok + "\n", 6, "/paths/~1a/get/parameters", ""},
		"a parameter is a text":       {head + "paths:\n  /a:\n    get:\n      parameters:\n        - hello\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", ""},
		"a parameter without a name":  {head + "paths:\n  /a:\n    get:\n      parameters:\n        - {in: query, schema: {type: string}}\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", "name"},
		"a parameter without a place": {head + "paths:\n  /a:\n    get:\n      parameters:\n        - {name: a, schema: {type: string}}\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", "in"},
		"a parameter in nowhere":      {head + "paths:\n  /a:\n    get:\n      parameters:\n        - {name: a, in: body, schema: {type: string}}\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0/in", "body"},
		"required is a text":          {head + "paths:\n  /a:\n    get:\n      parameters:\n        - {name: a, in: query, required: 'maybe', schema: {type: string}}\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0/required", ""},
		"a schema is a text":          {head + "paths:\n  /a:\n    get:\n      parameters:\n        - {name: a, in: query, schema: hello}\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0/schema", ""},
		"responses are a list":        {head + "paths:\n  /a:\n    get:\n      responses: []\n", 6, "/paths/~1a/get/responses", ""},
		"a reference to nothing":      {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/A'\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", "A"},
		"a reference that is a list":  {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: [1]\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", ""},
		"a reference to itself":       {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/A'\n      " + ok + "\ncomponents:\n  parameters:\n    A: {$ref: '#/components/parameters/A'}\n", 0, "/", ""},
		"references in a circle":      {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/A'\n      " + ok + "\ncomponents:\n  parameters:\n    A: {$ref: '#/components/parameters/B'}\n    B: {$ref: '#/components/parameters/A'}\n", 0, "/", ""},
		"a reference to a file":       {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: 'other.yaml#/A'\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", "other.yaml"},
		"a chain of references":       {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/P0'\n      " + ok + "\n" + chain(6000), 7, "/paths/~1a/get/parameters/0/$ref", "more than 100"},
		"a chain by aliases":          {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/P0'\n      " + ok + "\n" + chainOfAliases(300), 7, "/paths/~1a/get/parameters/0/$ref", "more than 100"},
		"a reference to a file: URL":  {head + "paths:\n  /a:\n    get:\n      parameters:\n        - $ref: 'file:///etc/passwd'\n      " + ok + "\n", 7, "/paths/~1a/get/parameters/0", "passwd"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := gen.Generate(t.Context(), []byte(c.document), gen.Options{Name: "doc.yaml"})
			if err == nil {
				t.Fatalf("it was taken: %d files", len(out.Files))
			}
			var wrong *gen.DocumentError
			if !errors.As(err, &wrong) {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			if wrong.Name != "doc.yaml" || !strings.Contains(err.Error(), "doc.yaml") {
				t.Errorf("the error does not name the document: %v", err)
			}
			if c.line > 0 && wrong.Line != c.line {
				t.Errorf("line %d, not %d: %v", wrong.Line, c.line, err)
			}
			if !strings.HasPrefix(wrong.Pointer, c.pointer) {
				t.Errorf("pointer %q, not %q: %v", wrong.Pointer, c.pointer, err)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error does not say %q: %v", c.says, err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// chain is the components of a document with a parameter that so many references lead to.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("components:\n  parameters:\n")
	for i := range n {
		fmt.Fprintf(&b, "    P%d: {$ref: '#/components/parameters/P%d'}\n", i, i+1)
	}
	fmt.Fprintf(&b, "    P%d: {name: limit, in: query, schema: {type: integer}}\n", n)
	return b.String()
}

// chainOfAliases is chain with each reference as an alias.
func chainOfAliases(n int) string {
	var nodes, names strings.Builder
	for i := range n {
		fmt.Fprintf(&nodes, "  - &r%d {$ref: '#/components/parameters/P%d'}\n", i, i+1)
		fmt.Fprintf(&names, "    P%d: *r%d\n", i, i)
	}
	return "x-references:\n" + nodes.String() + "components:\n  parameters:\n" + names.String() +
		fmt.Sprintf("    P%d: {name: limit, in: query, schema: {type: integer}}\n", n)
}

func TestAChainOfReferencesMayHaveSomeLength(t *testing.T) {
	out := one(t, []byte(head+"paths:\n  /a:\n    get:\n      parameters:\n        - $ref: '#/components/parameters/P0'\n      "+ok+"\n"+chain(99)), gen.Config{})
	if !strings.Contains(joined(out), `query:"limit"`) {
		t.Error("the parameter is not part of the key")
	}
}

// A document may refer to other servers and files as it likes: nothing is asked for.
func TestReferencesLeadNowhereUnasked(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, "A: {name: a, in: query, schema: {type: string}}")
	}))
	defer server.Close()
	opened := opening{FS: fstest.MapFS{
		"api/params.yaml": {Data: []byte("A: {name: a, in: query, schema: {type: string}}\nLoop: {$ref: 'params.yaml#/Loop'}\nOut: {$ref: '" + server.URL + "/x.yaml#/A'}\nUp: {$ref: '../../params.yaml#/A'}\n")},
		"secret.yaml":     {Data: []byte("A: {name: secret, in: query, schema: {type: string}}")},
	}}
	for _, place := range []struct{ name, of string }{
		{"a parameter", "paths:\n  /a:\n    get:\n      parameters: [{$ref: '%s'}]\n      " + ok + "\n"},
		{"a path", "paths:\n  /a: {$ref: '%s'}\n"},
		{"a response", "paths:\n  /a:\n    get:\n      responses: {'200': {$ref: '%s'}}\n"},
		{"a schema", "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: {$ref: '%s'}}]\n      " + ok + "\n"},
		{"a body", "paths:\n  /a:\n    get:\n      responses: {'200': {description: d, content: {application/json: {schema: {$ref: '%s'}}}}}\n"},
		{"an example", "paths:\n  /a:\n    get:\n      responses: {'200': {description: d, content: {application/json: {examples: {e: {$ref: '%s'}}}}}}\n"},
		{"a component that nobody uses", "paths: {}\ncomponents: {schemas: {A: {$ref: '%s'}}}\n"},
	} {
		for _, ref := range []string{
			server.URL + "/params.yaml#/A", "//" + server.Listener.Addr().String() + "/params.yaml#/A",
			"file:///etc/passwd#/A", "/etc/passwd#/A", "../../../etc/passwd#/A", "params.yaml#/Out", "params.yaml#/Up", "params.yaml#/Loop", "missing.yaml#/A",
		} {
			for _, files := range []fs.FS{nil, &opened} {
				document := head + fmt.Sprintf(place.of, ref)
				_, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "api/doc.yaml", Files: files})
				var wrong *gen.DocumentError
				switch {
				case err == nil && !strings.HasPrefix(place.name, "a component") && place.name != "an example" && place.name != "a body":
					// What says nothing about requests need not be looked at.
					t.Errorf("%s: %s was taken", place.name, ref)
				case err != nil && !errors.As(err, &wrong):
					t.Errorf("%s: %s: the error is a %T: %v", place.name, ref, err, err)
				}
			}
		}
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("a server was asked %d times", n)
	}
	for name := range opened.names() {
		if !fs.ValidPath(name) {
			t.Errorf("%s was opened", name)
		}
	}
	// With leave, another file is read.
	document := head + "paths:\n  /a:\n    get:\n      parameters: [{$ref: './params.yaml#/A'}]\n      " + ok + "\n"
	out, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "api/doc.yaml", Files: &opened})
	if err != nil {
		t.Fatal(err)
	}
	if source := joined(out); !strings.Contains(source, `query:"a`) {
		t.Errorf("the key lacks the parameter of the other file:\n%s", source)
	}
}

// opening remembers which files were opened.
type opening struct {
	fs.FS
	opened []string
}

func (o *opening) Open(name string) (fs.File, error) {
	o.opened = append(o.opened, name)
	return o.FS.Open(name)
}

func (o *opening) names() map[string]bool {
	names := make(map[string]bool)
	for _, name := range o.opened {
		names[name] = true
	}
	return names
}

// Schemas may be recursive, as those of trees are.
func TestRecursiveSchemas(t *testing.T) {
	document := head + `
paths:
  /a:
    get:
      operationId: getTree
      parameters:
        - {name: filter, in: query, schema: {$ref: '#/components/schemas/Node'}}
        - {name: q, in: query, schema: {type: string}}
      responses:
        '200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/Node'}}}}
components:
  schemas:
    Node:
      type: object
      properties:
        children: {type: array, items: {$ref: '#/components/schemas/Node'}}
        parent: {allOf: [{$ref: '#/components/schemas/Node'}]}
        either: {oneOf: [{$ref: '#/components/schemas/Other'}, {type: string}]}
    Other:
      anyOf: [{$ref: '#/components/schemas/Node'}, {$ref: '#/components/schemas/Other'}]
    List: {type: array, items: {$ref: '#/components/schemas/List'}}
    Self: {allOf: [{$ref: '#/components/schemas/Self'}]}
`
	if _, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"}); err != nil {
		t.Fatal(err)
	}
	for _, schema := range []string{"Self", "Other", "List"} { // as a parameter
		document := strings.Replace(document, "schema: {$ref: '#/components/schemas/Node'}", "schema: {$ref: '#/components/schemas/"+schema+"'}", 1)
		var wrong *gen.DocumentError
		if _, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"}); err != nil && !errors.As(err, &wrong) {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// What is small and means much, or is deep, takes no more memory than its size explains.
func TestBombs(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10))
	}
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(bomb), "\n", "\n  ") + "\n"
	chain := "    S0: {type: string}\n"
	for i := range 20_000 {
		chain += fmt.Sprintf("    S%d: {$ref: '#/components/schemas/S%d'}\n", i+1, i)
	}
	wide := ""
	for i := range 22 { // each has the one before twice
		wide += fmt.Sprintf("    W%d: {allOf: [{$ref: '#/components/schemas/W%d'}, {$ref: '#/components/schemas/W%d'}]}\n", i+1, i, i)
	}
	get := "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: {$ref: '#/components/schemas/%s'}}]\n      " + ok + "\n"
	for name, document := range map[string]string{
		"aliases at the top":            head + bomb + "paths: {}\n",
		"aliases in an extension":       head + "x-lol:\n" + indented + "paths: {}\n",
		"aliases as an enum":            head + "x-lol:\n" + indented + "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: {type: string, enum: *a11}}]\n      " + ok + "\n",
		"aliases as an example":         head + "x-lol:\n" + indented + "paths:\n  /a:\n    get:\n      responses: {'200': {description: d, content: {application/json: {example: *a11}}}}\n",
		"an alias of itself":            head + "x-lol: &a [*a]\npaths: {}\n",
		"an alias of the whole":         "&a\nopenapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: *a\n",
		"merges of itself":              head + "x-lol: &a\n  <<: *a\npaths: {}\n",
		"deep YAML":                     head + "paths: " + strings.Repeat("[", 1<<20),
		"deep and closed YAML":          head + "x: " + strings.Repeat("[", 1<<16) + strings.Repeat("]", 1<<16) + "\npaths: {}\n",
		"deep JSON":                     strings.Repeat(`{"a":`, 1<<18) + "1" + strings.Repeat("}", 1<<18),
		"a deep indentation":            head + deepBlock(3000) + "paths: {}\n",
		"a chain of references":         head + fmt.Sprintf(get, "S20000") + "components:\n  schemas:\n" + chain,
		"schemas that double":           head + fmt.Sprintf(get, "W22") + "components:\n  schemas:\n    W0: {type: string}\n" + wide,
		"a schema in a schema":          head + "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: " + strings.Repeat("{allOf: [", 5000) + "{type: string}" + strings.Repeat("]}", 5000) + "}]\n      " + ok + "\n",
		"a path of many parameters":     head + "paths:\n  '" + strings.Repeat("/{a}", 20_000) + "':\n    get:\n      " + ok + "\n",
		"an operation of many":          head + "paths:\n  /a:\n    get:\n      parameters:\n" + many(5000, "        - {name: p%d, in: query, schema: {type: string}}\n") + "      " + ok + "\n",
		"an enum of many":               head + "paths:\n  /a:\n    get:\n      parameters:\n        - name: a\n          in: query\n          schema:\n            type: string\n            enum:\n" + many(50_000, "              - v%d\n") + "      " + ok + "\n",
		"a long name":                   head + "paths:\n  /a:\n    get:\n      operationId: " + strings.Repeat("x", 1<<20) + "\n      " + ok + "\n",
		"a long description":            head + "paths:\n  /a:\n    get:\n      description: " + strings.Repeat("word ", 1<<21) + "\n      " + ok + "\n",
		"a long line of no space":       head + "paths:\n  /a:\n    get:\n      description: " + strings.Repeat("x", 10<<20) + "\n      " + ok + "\n",
		"a pattern that backtracks":     head + "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: {type: string, pattern: '(a+)+$'}}]\n      " + ok + "\n",
		"numbers beyond any type":       head + "paths:\n  /a:\n    get:\n      parameters: [{name: a, in: query, schema: {type: integer, minimum: 1e999, maximum: 1e999999999, default: 1e400, maxItems: 99999999999999999999}}]\n      " + ok + "\n",
		"a size of a batch beyond any":  head + "paths:\n  /a/{id}:\n    get:\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n      " + ok + "\n  /a:\n    get:\n      parameters: [{name: ids, in: query, required: true, explode: false, schema: {type: array, maxItems: 9223372036854775808, items: {type: string}}}]\n      responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: {type: object, properties: {id: {type: string}}}}}}}}\n",
		"a key that is there twice":     head + "paths:\n  /a:\n    get:\n      " + ok + "\n  /a:\n    get:\n      " + ok + "\n",
		"keys that are no texts":        head + "paths:\n  /a:\n    get:\n      responses: {200: {description: d}, true: {description: d}, null: {description: d}, [1]: {description: d}}\n",
		"a tag of a type of the reader": head + "x: !!binary AAAA\ny: !!timestamp 2001-01-01\nz: !<tag:yaml.org,2002:python/object> {}\npaths: {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			var peak int64
			generate := func() {
				_, err = gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"})
			}
			if testing.Short() { // to measure takes longer than to generate
				generate()
			} else {
				_, peak = memuse.Of(generate)
			}
			var wrong *gen.DocumentError
			if err != nil && !errors.As(err, &wrong) {
				t.Errorf("the error is a %T: %.300v", err, err)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			if limit := int64(256<<20 + 40*len(document)); peak > limit {
				t.Errorf("%d MiB for %d bytes", peak>>20, len(document))
			}
		})
	}
}

func deepBlock(depth int) string {
	var b strings.Builder
	b.WriteString("x:\n")
	for i := range depth {
		fmt.Fprintf(&b, "%*sa:\n", i+1, "")
	}
	return b.String()
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// 10 MB of operations are read.
func TestALargeDocument(t *testing.T) {
	if testing.Short() {
		t.Skip("its short form is GitHub's document")
	}
	var b strings.Builder
	b.WriteString(head + "paths:\n")
	operations := 0
	for ; b.Len() < 10_000_000; operations++ {
		fmt.Fprintf(&b, `  /things/%d/{id}:
    get:
      operationId: thing-%d/get
      description: %s
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer}}
        - {name: page, in: query, schema: {type: integer, default: 1}}
      %s
`, operations, operations, strings.Repeat("What it is. ", 400), ok)
	}
	var out *gen.Output
	var err error
	_, peak := memuse.Of(func() { out, err = gen.Generate(t.Context(), []byte(b.String()), gen.Options{Name: "doc.yaml"}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d operations of %d bytes: %d MiB at most, %d bytes of Go", operations, b.Len(), peak>>20, len(joined(out)))
	if peak > 1<<30 {
		t.Errorf("%d MiB", peak>>20)
	}
}

func TestACancelledGeneration(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gen.Generate(ctx, []byte(head+"paths: {}\n"), gen.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

// Texts of the document end up in comments and strings, and nowhere else.
func TestTextsStayTexts(t *testing.T) {
	evil := "*/ }\n//go:generate rm -rf /\n//go:build ignore\n\r//line x.go:1\n+build ignore\n`\"'\\ \u2028 \u0085 \u202e \x7f\n\nfunc init() { panic(1) }\n"
	quoted, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	document := strings.NewReplacer("EVIL", string(quoted), "NAME", strings.ReplaceAll(string(quoted), "/", "_")).Replace(`{
"openapi": "3.0.3",
"info": {"title": EVIL, "version": EVIL, "description": EVIL},
"paths": {"/a/{id}": {
	"summary": EVIL, "description": EVIL,
	"get": {"operationId": EVIL, "summary": EVIL, "description": EVIL, "tags": [EVIL],
		"parameters": [
			{"name": "id", "in": "path", "required": true, "description": EVIL, "schema": {"type": "string", "description": EVIL}},
			{"name": NAME, "in": "query", "description": EVIL, "schema": {"type": "string", "default": EVIL, "enum": [EVIL, "a", "A", "", "1", "*/"]}}
		],
		"responses": {"200": {"description": EVIL, "content": {"application/json": {"schema": {"title": EVIL, "type": "object"}}}}}}
}}}`)
	out, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc\n//go:generate x\n.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`^//(go:|line |export |\s*\+build)`)
	for _, file := range out.Files {
		if !strings.HasSuffix(file.Name, ".go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name, file.Source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s does not parse: %v\n%s", file.Name, err, file.Source)
		}
		for _, group := range parsed.Comments {
			for _, comment := range group.List {
				if directive.MatchString(comment.Text) && !strings.HasPrefix(comment.Text, "//go:generate go run github.com/endpointcache/endpointcache/cmd/endpointcache gen ") {
					t.Errorf("%s has the directive %q", file.Name, comment.Text)
				}
				if strings.ContainsAny(comment.Text, "\r\u2028\u202e\x7f") {
					t.Errorf("%s has an unseen rune in %q", file.Name, comment.Text)
				}
			}
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "init" {
				t.Errorf("%s has an init", file.Name)
			}
		}
	}
}

// Two operations that no request could tell apart are not both cached, and methods,
// operations and reasons are all in the report.
func TestPathsThatDifferOnlyInNames(t *testing.T) {
	document := head + `
paths:
  /a/{x}:
    get:
      operationId: first
      parameters: [{name: x, in: path, required: true, schema: {type: string}}]
      ` + ok + `
  /a/{y}:
    get:
      operationId: second
      parameters: [{name: y, in: path, required: true, schema: {type: string}}]
      ` + ok + `
  /a/{y}/b:
    get:
      operationId: third
      parameters: [{name: y, in: path, required: true, schema: {type: string}}]
      ` + ok + `
`
	out, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"})
	if err != nil {
		var wrong *gen.DocumentError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "/a/{x}") {
			t.Fatal(err)
		}
		return // OpenAPI calls such paths identical and invalid
	}
	cached := 0
	for _, op := range out.Report.Operations {
		if op.Cached {
			cached++
		} else if op.Skipped == "" {
			t.Errorf("%s %s is left out without a reason", op.Method, op.Path)
		}
	}
	if len(out.Report.Operations) != 3 || cached != 2 {
		t.Errorf("%d of %d operations are cached", cached, len(out.Report.Operations))
	}
}

// The same document gives the same bytes, as JSON and as YAML; what is added adds lines, and
// changes only those that it must.
func TestChangesAreSmall(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "  /t%d/{id}:\n    get:\n      operationId: get-t%d\n      parameters: [{name: id, in: path, required: true, schema: {type: string}}, {name: q, in: query, schema: {type: string}}]\n      %s\n    delete: {responses: {'204': {description: d}}}\n", i*7%40, i*7%40, ok)
	}
	document := head + "paths:\n" + b.String()
	first := wholeOf(t, document)
	for range 5 {
		if again := wholeOf(t, document); !bytes.Equal(first, again) {
			t.Fatal("the second time gives other bytes")
		}
	}
	added := wholeOf(t, document+"  /t7b:\n    get:\n      operationId: get-t7b\n      "+ok+"\n")
	lines := make(map[string]int)
	for line := range strings.Lines(string(added)) {
		lines[strings.TrimSpace(line)]++ // gofmt may align a block anew
	}
	gone := 0
	for line := range strings.Lines(string(first)) {
		if lines[strings.TrimSpace(line)]--; lines[strings.TrimSpace(line)] < 0 {
			gone++
		}
	}
	if gone > 45 { // a struct of all may be aligned anew
		t.Errorf("one operation more changes %d lines", gone)
	}
}

func wholeOf(t *testing.T, document string) []byte {
	t.Helper()
	out, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(joined(out))
}

func joined(out *gen.Output) string {
	var b strings.Builder
	for _, file := range out.Files {
		fmt.Fprintf(&b, "// %s\n%s\n", file.Name, file.Source)
	}
	return b.String()
}

package gen_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/endpointcache/endpointcache/gen"
)

// small is a document with these paths, which begin with a line break.
func small(paths string) []byte {
	return []byte("openapi: 3.0.3\ninfo: {title: Small, version: '1'}\npaths:" + paths + "\n")
}

// answer is the responses of an operation with a JSON object.
const answer = `responses: {"200": {description: d, content: {application/json: {schema: {type: object}}}}}`

func one(t *testing.T, document []byte, config gen.Config) *gen.Output {
	t.Helper()
	out, err := gen.Generate(t.Context(), document, gen.Options{Name: "small.yaml", Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sourceOf(out *gen.Output) string {
	var b strings.Builder
	for _, f := range out.Files {
		b.Write(f.Source)
	}
	return b.String()
}

func TestNames(t *testing.T) {
	out := one(t, small(`
  /a: {get: {operationId: listUsers, `+answer+`}}
  /b: {get: {operationId: list_users, `+answer+`}}
  /c: {get: {operationId: list-users, `+answer+`}}
  /d: {get: {operationId: listUsersKey, `+answer+`}}
  /e/{id}/f: {get: {`+answer+`}}
  /: {get: {`+answer+`}}
  /g: {get: {operationId: "!!!", `+answer+`}}
  /h: {get: {operationId: client, `+answer+`}}
  /i: {get: {operationId: 2fa, `+answer+`}}
  /j: {get: {operationId: getHTTPSUrlsAPI, `+answer+`}}
  /k: {get: {operationId: "`+strings.Repeat("long", 40)+`", `+answer+`}}`), gen.Config{})
	want := map[string]string{
		"/c": "ListUsers", "/a": "GetA", "/b": "GetB", "/d": "GetD", "/e/{id}/f": "GetEIDF", "/": "GetRoot", "/g": "GetG",
		"/h": "GetH", "/i": "X2fa", "/j": "GetHTTPSURLsAPI", "/k": "L" + strings.Repeat("long", 40)[1:],
	}
	tables := make(map[string]bool)
	for _, o := range out.Report.Operations {
		if o.Var != want[o.Path] {
			t.Errorf("%s is %s, want %s", o.Path, o.Var, want[o.Path])
		}
		if folded := strings.ToLower(o.Repository); tables[folded] || o.Repository == "" || len(o.Repository) > 63 {
			t.Errorf("%s has the repository %q", o.Path, o.Repository)
		}
		tables[strings.ToLower(o.Repository)] = true
	}
}

func TestWhatCannotBeCachedIsSkippedWithTheReason(t *testing.T) {
	for reason, path := range map[string]string{
		"redirect of status 307":        `/a: {get: {responses: {"307": {description: d}}}}`,
		"parts, of status 206":          `/a: {get: {responses: {"206": {description: d}}}}`,
		"no answer of success":          `/a: {get: {responses: {"404": {description: d}}}}`,
		"stream of events":              `/a: {get: {responses: {"200": {description: d, content: {text/event-stream: {}}}}}}`,
		"stream: x-kubernetes-action":   `/a: {get: {x-kubernetes-action: watch, ` + answer + `}}`,
		"have a body":                   `/a: {get: {requestBody: {required: true, content: {}}, ` + answer + `}}`,
		"the cookie theme":              `/a: {get: {parameters: [{name: theme, in: cookie, schema: {type: string}}], ` + answer + `}}`,
		"has a fragment":                `"/a#b": {get: {` + answer + `}}`,
		"without a parameter's name":    `"/a/{b": {get: {` + answer + `}}`,
		`"}" without a "{"`:             `"/a/b}": {get: {` + answer + `}}`,
		"twice":                         `"/a/{b}/{b}": {get: {` + answer + `}}`,
		"the segment ..":                `"/a/../b": {get: {` + answer + `}}`,
		"a name that a key cannot have": `/a: {get: {parameters: [{name: "a,b", in: query, schema: {type: string}}], ` + answer + `}}`,
		"is not the name of a header":   `/a: {get: {parameters: [{name: "a b", in: header, schema: {type: string}}], ` + answer + `}}`,
		`"filter" cannot be part`:       `/a: {get: {parameters: [{name: filter, in: query, required: true, style: deepObject, schema: {type: object}}], ` + answer + `}}`,
		"requests by TRACE":             `/a: {trace: {` + answer + `}}`,
		"nothing that is cached":        `/a: {post: {` + answer + `}}`,
		"the query of its path has a":   `"/a?b={c}": {get: {` + answer + `}}`,
	} {
		out := one(t, small("\n  "+path), gen.Config{})
		if len(out.Report.Operations) != 1 || !strings.Contains(out.Report.Operations[0].Skipped, reason) {
			t.Errorf("%s: the report has %+v, want the reason %q", path, out.Report.Operations, reason)
		}
		if out.Report.Skipped != 1 || out.Report.Cached != 0 {
			t.Errorf("%s: %d are skipped and %d cached", path, out.Report.Skipped, out.Report.Cached)
		}
	}
}

func TestPatterns(t *testing.T) {
	for path, want := range map[string]string{
		"/a/{b}":         "GET /v1/a/{b}",
		"/a b/{c d}":     "GET /v1/a%20b/{c_d}",
		"/a%20b":         "GET /v1/a%20b",
		"/a?x=1&y=ü":     "GET /v1/a?x=1&y=%C3%BC",
		"/{a}.{b}.json":  "GET /v1/{a_b}.json",
		"/@{user}/x:{y}": "GET /v1/@{user}/x:{y}",
		"/a/{b.c}/{b_c}": "GET /v1/a/{b_c}/{b_c2}",
		"/a/":            "GET /v1/a/",
		"/日本/{日}":        "GET /v1/%E6%97%A5%E6%9C%AC/{value}",
	} {
		out := one(t, []byte(`{"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://api.example.com/v1/"}],
			"paths": {"`+path+`": {"get": {"responses": {"200": {"description": "d"}}}}}}`), gen.Config{})
		if got := out.Report.Operations[0]; got.Pattern != want {
			t.Errorf("%s: the pattern is %q, want %q (%s)", path, got.Pattern, want, got.Skipped)
		}
	}
}

func TestServers(t *testing.T) {
	document := `{"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "servers": [{"url": "https://{host}/{v}", "variables": {"host": {"default": "a.example.com"}, "v": {"default": "v2"}}}],
		"paths": {"/a": {"get": {"responses": {"200": {"description": "d"}}}},
			"/b": {"servers": [{"url": "https://files.example.com/files"}], "get": {"responses": {"200": {"description": "d"}}}}}}`
	out := one(t, []byte(document), gen.Config{})
	a, b := out.Report.Operations[0], out.Report.Operations[1]
	if a.Pattern != "GET /v2/a" || len(a.Notes) != 0 {
		t.Errorf("%+v", a)
	}
	if b.Pattern != "GET files.example.com/files/b" || !strings.Contains(sourceOf(out), `BaseURL: "https://files.example.com"`) || !strings.Contains(strings.Join(b.Notes, " "), "files.example.com") {
		t.Errorf("%+v", b)
	}
	out = one(t, []byte(document), gen.Config{Server: "https://proxy.example.com/"})
	if got := out.Report.Operations[0].Pattern; got != "GET /a" {
		t.Errorf("with another server, the pattern is %q", got)
	}
}

// One of the document's servers may answer what the first does not.
func TestAnOperationOfAFurtherServer(t *testing.T) {
	document := []byte("openapi: 3.0.0\ninfo: {title: T, version: '1'}\nservers: [{url: 'https://a.example.com'}, {url: 'https://b.example.com/b'}, {url: '/c'}]\npaths:" +
		"\n  /first: {servers: [{url: 'https://b.example.com'}, {url: 'https://A.example.com'}], get: {" + answer + "}}" +
		"\n  /further: {servers: [{url: 'https://b.example.com/b'}, {url: 'https://c.example.com/b'}], get: {" + answer + "}}" +
		"\n  /relative: {servers: [{url: '/d'}], get: {" + answer + "}}\n")
	out := one(t, document, gen.Config{})
	source := sourceOf(out)
	for i, pattern := range []string{"GET /first", "GET /b/further", "GET /d/relative"} {
		o := out.Report.Operations[i]
		further := i == 1
		if o.Pattern != pattern || strings.Contains(strings.Join(o.Notes, " "), "another server answers it, b.example.com: typed calls") != further {
			t.Errorf("%+v", o)
		}
	}
	if n := strings.Count(source, `BaseURL: "https://b.example.com"`); n != 1 || !strings.Contains(source, "client.Base()") {
		t.Errorf("%d declarations have the base URL of the second server", n)
	}
}

func TestAServerCanBeAnAddress(t *testing.T) {
	for server, pattern := range map[string]string{
		"http://[::1]/v1": "GET [::1]/v1/a", "http://[::1]:80/v1": "GET [::1]:80/v1/a", "http://127.0.0.1": "GET 127.0.0.1/a",
		"http://backend": "GET backend./a", "http://localhost": "GET localhost/a",
	} {
		out := one(t, small("\n  /a: {servers: [{url: '"+server+"'}], get: {"+answer+"}}"), gen.Config{})
		if got := out.Report.Operations[0].Pattern; got != pattern {
			t.Errorf("with the server %s, the pattern is %q, not %q", server, got, pattern)
		}
	}
}

// A wildcard that spans segments has no text beside it, which the styles label and matrix write.
func TestAValueWithAStyleIsOneSegment(t *testing.T) {
	for style, pattern := range map[string]string{"simple": "GET /a/{p...}", "label": "GET /a/.{p}", "matrix": "GET /a/;p={p}"} {
		out := one(t, small("\n  /a/{p}: {get: {operationId: x, parameters: [{name: p, in: path, required: true, style: "+style+", schema: {type: string}}], "+answer+"}}"),
			gen.Config{Operations: map[string]gen.Operation{"x": {Span: "p"}}})
		if got := out.Report.Operations[0].Pattern; got != pattern {
			t.Errorf("the pattern is %q, not %q", got, pattern)
		}
	}
}

func TestSwagger2IsConverted(t *testing.T) {
	for _, document := range []string{
		"swagger: '2.0'\ninfo: {title: T, version: '1'}\nhost: api.example.com\nbasePath: /v1\npaths:\n  /a/{id}:\n    get:\n      produces: [application/json]\n      parameters: [{name: id, in: path, required: true, type: integer}, {name: tags, in: query, type: array, items: {type: string}, collectionFormat: multi}]\n      responses: {200: {description: d, schema: {type: object}}}\n  x-own: text\n",
		`{"swagger": "2.0", "info": {"title": "T", "version": "1"}, "basePath": "/v1", "paths": {"/a/{id}": {"get": {"produces": ["application/json"], "parameters": [{"name": "id", "in": "path", "required": true, "type": "integer"}, {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}, "collectionFormat": "multi"}], "responses": {"200": {"description": "d", "schema": {"type": "object"}}}}}}}`,
	} {
		out := one(t, []byte(document), gen.Config{})
		if o := out.Report.Operations[0]; o.Pattern != "GET /v1/a/{id}" || o.Payload != "json.RawMessage" || out.Report.OpenAPI != "2.0" {
			t.Errorf("%+v", o)
		}
		if source := sourceOf(out); !strings.Contains(source, "`query:\"tags,list\"`") || !strings.Contains(source, "ID int `path:\"id\"`") && !strings.Contains(source, "ID int") {
			t.Error(source)
		}
	}
}

// Values are separated by commas where Swagger 2.0 does not say how. OpenAPI 3 has no tabs.
func TestSeparatorsOfSwagger2(t *testing.T) {
	const list = "type: array, items: {type: string}"
	out := one(t, []byte("swagger: '2.0'\ninfo: {title: T, version: '1'}\nparameters: {S: {name: shared, in: query, "+list+"}}\npaths:\n  /a/{path}/{tabs}:\n"+
		"    parameters: [{name: above, in: query, "+list+"}]\n    get:\n      parameters:\n        - $ref: '#/parameters/S'\n"+
		"        - {name: path, in: path, required: true, "+list+"}\n        - {name: tabs, in: path, required: true, collectionFormat: tsv, "+list+"}\n"+
		"        - {name: own, in: query, "+list+"}\n        - {name: csv, in: query, collectionFormat: csv, "+list+"}\n"+
		"        - {name: ssv, in: query, collectionFormat: ssv, "+list+"}\n        - {name: pipes, in: query, collectionFormat: pipes, "+list+"}\n"+
		"        - {name: multi, in: query, collectionFormat: multi, "+list+"}\n        - {name: tsv, in: query, collectionFormat: tsv, "+list+"}\n"+
		"      responses: {200: {description: d}}\n"), gen.Config{})
	for _, tag := range []string{
		`query:"shared,list,comma"`, `query:"above,list,comma"`, `path:"path,list,comma"`, `path:"tabs"`, `query:"own,list,comma"`,
		`query:"csv,list,comma"`, `query:"ssv,list,space"`, `query:"pipes,list,pipe"`, `query:"multi,list"`, `query:"tsv"`,
	} {
		if !strings.Contains(sourceOf(out), tag) {
			t.Errorf("the key has no field with %s", tag)
		}
	}
}

func TestErrorsHaveThePlace(t *testing.T) {
	for _, test := range []struct {
		document, pointer, says string
		line                    int
	}{
		{"", "", "empty", 1},
		{"openapi: 3.0.0\ninfo: {title: t\npaths: [", "", "", 3},
		{"{\"openapi\": \"3.0.0\",\n\"info\": {", "", "", 2},
		{"openapi: 2.9.9\ninfo: {title: t, version: '1'}\n", "/openapi", "2.9.9", 1},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      parameters: 7\n", "/paths/~1a/get/parameters", "", 6},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      parameters:\n        - {$ref: 'other.yaml#/a'}\n", "/paths/~1a/get/parameters/0/$ref", "leads out of the document", 7},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      parameters:\n        - {$ref: '#/components/parameters/a'}\n", "/paths/~1a/get/parameters/0/$ref", "", 7},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      parameters:\n        - {name: a}\n", "/paths/~1a/get/parameters/0", "none of path", 7},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths:\n  a: {}\n", "/paths/a", "slash", 4},
		{"openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths: {/a: {get: {parameters: [{$ref: '#/components/parameters/p'}]}}}\ncomponents:\n  parameters:\n    p: {name: p, in: body}\n", "/components/parameters/p/in", "body", 6},
	} {
		_, err := gen.Generate(t.Context(), []byte(test.document), gen.Options{Name: "doc.yaml"})
		var wrong *gen.DocumentError
		if !errors.As(err, &wrong) {
			t.Errorf("%q: the error is %v", test.document, err)
			continue
		}
		if wrong.Line != test.line || !strings.HasPrefix(wrong.Pointer, test.pointer) || !strings.Contains(wrong.Error(), test.says) || wrong.Name != "doc.yaml" {
			t.Errorf("%q: line %d, pointer %q: %v", test.document, wrong.Line, wrong.Pointer, err)
		}
	}
}

func TestOtherFilesAreReadOnlyIfTheyAreGiven(t *testing.T) {
	document := small("\n  /a:\n    get:\n      parameters: [{$ref: '../shared/params.yaml#/limit'}]\n      " + answer)
	_, err := gen.Generate(t.Context(), document, gen.Options{Name: "api/doc.yaml"})
	if !errors.Is(err, gen.ErrOutside) {
		t.Errorf("the error is %v", err)
	}
	files := fstest.MapFS{"shared/params.yaml": {Data: []byte("limit: {name: limit, in: query, schema: {type: string}}\n")}}
	out, err := gen.Generate(t.Context(), document, gen.Options{Name: "api/doc.yaml", Files: files})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(sourceOf(out), `query:"limit"`) {
		t.Error("the parameter of the other file is not part of the key")
	}
	for _, ref := range []string{"https://example.com/x.yaml#/a", "../../x.yaml#/a", "file:///etc/passwd#/a", "gone.yaml#/a"} {
		_, err := gen.Generate(t.Context(), small("\n  /a:\n    get:\n      parameters: [{$ref: '"+ref+"'}]\n      "+answer), gen.Options{Name: "api/doc.yaml", Files: files})
		var wrong *gen.DocumentError
		if !errors.As(err, &wrong) || wrong.Line != 6 {
			t.Errorf("%s: the error is %v", ref, err)
		}
	}
}

func TestCyclesEnd(t *testing.T) {
	out := one(t, []byte(`
openapi: 3.1.0
info: {title: Cycles, version: '1'}
paths:
  /nodes:
    get:
      parameters: [{name: filter, in: query, style: deepObject, schema: {$ref: '#/components/schemas/Node'}}]
      responses: {'200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/Node'}}}}}
components:
  schemas:
    Node: {allOf: [{$ref: '#/components/schemas/Base'}], type: object, properties: {next: {$ref: '#/components/schemas/Node'}, nodes: {type: array, items: {$ref: '#/components/schemas/Node'}}}}
    Base: {type: object, properties: {id: {type: string}, node: {$ref: '#/components/schemas/Node'}}}
`), gen.Config{})
	if o := out.Report.Operations[0]; !o.Cached {
		t.Errorf("%+v", o)
	}
}

func TestContextEndsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gen.Generate(ctx, small(" {}"), gen.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if _, err := gen.Generate(nil, small(" {}"), gen.Options{}); err != nil { //nolint:staticcheck // a nil context is none
		t.Error(err)
	}
}

func TestWriteToReplacesOnlyWhatWasGenerated(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "api")
	first := one(t, small("\n  /a: {get: {tags: [old], "+answer+"}}"), gen.Config{})
	if err := first.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"own.go": "package apicache\n", "notes.txt": "// Code generated by endpointcache gen\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := one(t, small("\n  /a: {get: {tags: [new], "+answer+"}}"), gen.Config{})
	if err := second.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if got := strings.Join(names, " "); got != "cache.go doc.go new.go notes.txt own.go" {
		t.Errorf("the folder has %s", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.go"), []byte("package apicache\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.WriteTo(dir); err == nil {
		t.Error("a file of the user's was replaced")
	}
	if _, err := os.Stat(filepath.Join(dir, "new.go")); err != nil {
		t.Error("a file was removed, though nothing was written:", err)
	}
}

func TestDescriptionsStayComments(t *testing.T) {
	document := []byte(`{"openapi": "3.0.0", "info": {"title": "T\n//go:generate x", "version": "1", "description": "+build ignore\n\n*/ x"},
		"paths": {"/a": {"get": {"summary": "a\r\nb\u2028c", "description": "package evil\n\nfunc init() {}", "parameters": [
			{"name": "p", "in": "query", "description": "` + "`" + `\n}\nvar X = 1", "schema": {"type": "string", "enum": ["a\nb", "\"", "` + "`" + `"], "default": "\"\n"}}],
			"responses": {"200": {"description": "d"}}}}}}`)
	out, err := gen.Generate(t.Context(), document, gen.Options{Name: "a\nb", Command: []string{"x\n//go:generate y"}})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(sourceOf(out)) {
		if strings.HasPrefix(line, "func init") || strings.HasPrefix(line, "var X") || strings.HasPrefix(line, "package evil") || strings.HasPrefix(line, "// +build") {
			t.Errorf("a description became code: %s", line)
		}
	}
}

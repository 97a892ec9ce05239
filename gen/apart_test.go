package gen_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/endpointcache/endpointcache/gen"
)

// Some documents describe credentials and forget to say what needs them.
func TestCredentialsThatNothingRequiresKeepUsersApart(t *testing.T) {
	const schemes = `
components:
  securitySchemes:
    acme: {type: apiKey, in: header, name: X-Acme}
    own: {type: apiKey, in: query, name: sesame}
    bearer: {type: http, scheme: bearer}`
	for name, c := range map[string]struct {
		paths, scope string
		whose        bool
	}{
		"nothing is said":            {"\n  /a: {get: {" + answer + "}}", "per identity", true},
		"it is public":               {"\n  /a: {get: {security: [], " + answer + "}}", "undeclared", false},
		"another one needs them":     {"\n  /a: {get: {" + answer + "}}\n  /b: {get: {security: [{acme: []}], " + answer + "}}", "undeclared", false},
		"the document is for nobody": {"\n  /a: {get: {" + answer + "}}\nsecurity: []", "undeclared", false},
	} {
		out := one(t, small(c.paths+schemes), gen.Config{Operations: map[string]gen.Operation{}})
		if got := out.Report.Operations[0].Scope; got != c.scope {
			t.Errorf("%s: the scope is %s, not %s", name, got, c.scope)
		}
		if has := strings.Contains(sourceOf(out), `Identity: whose([]string{"X-Acme"}, []string{"sesame"})`); has != c.whose {
			t.Errorf("%s: an identity by the credentials: %t", name, has)
		}
	}
}

// A media type may have a version, which a client asks for.
func TestMediaTypesWithParametersAreChosenAmong(t *testing.T) {
	for content, key := range map[string]string{
		"{application/json;v=1: {}, application/json;v=2: {}}":             "one of application/json; v=1, application/json; v=2.",
		"{application/json: {}, application/json;charset=utf-8: {}}":       "",
		"{application/json: {}, application/json;stream=watch: {}}":        "",
		"{application/json: {}, 'application/json; odata=minimal': {}}":    "one of application/json, application/json; odata=minimal.",
		"{text/plain;charset=utf-8: {}, 'text/plain; charset=latin1': {}}": "",
	} {
		source := sourceOf(one(t, small(`
  /a: {get: {responses: {"200": {description: d, content: `+content+`}}}}`), gen.Config{}))
		words := strings.Join(strings.Fields(strings.ReplaceAll(source, "//", "")), " ")
		if has := strings.Contains(words, `header:"Accept"`); has != (key != "") || !strings.Contains(words, key) {
			t.Errorf("%s:\n%s", content, source)
		}
	}
}

func TestAnEmptyValueThatIsOneOfAnEnumerationIsNotAbsence(t *testing.T) {
	source := sourceOf(one(t, small(`
  /a: {get: {parameters: [{name: sort, in: query, schema: {type: string, enum: ["", up]}}], `+answer+`}}`), gen.Config{}))
	if !strings.Contains(source, "Sort string `query:\"sort,list\"`") {
		t.Error(source)
	}
}

func TestOneParameterTakesPrecedenceOverSeveralInASegment(t *testing.T) {
	for _, paths := range []string{
		"\n  /f/{a}.{ext}: {get: {" + answer + "}}\n  /f/{id}: {get: {operationId: one, " + answer + "}}",
		"\n  /f/{name}.{ext}: {get: {" + answer + "}}\n  /f/{id}: {get: {operationId: one, " + answer + "}}",
	} {
		out := one(t, small(paths), gen.Config{})
		for _, o := range out.Report.Operations {
			if o.Cached != (o.Path == "/f/{id}") {
				t.Errorf("%s: cached is %t: %s", o.Path, o.Cached, o.Skipped)
			}
		}
	}
}

func TestComponentsOfOtherFilesAreOthers(t *testing.T) {
	files := fstest.MapFS{"other.yaml": {Data: []byte(`
components:
  parameters: {P: {name: p, in: query, schema: {$ref: "#/components/schemas/Sort"}}}
  responses: {R: {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}
  schemas: {Sort: {type: string, enum: [theirs]}, Thing: {type: array, items: {type: string}}}
`)}}
	out, err := gen.Generate(t.Context(), small(`
  /a:
    get:
      parameters: [{name: s, in: query, schema: {$ref: "#/components/schemas/Sort"}}, {$ref: "other.yaml#/components/parameters/P"}]
      responses: {"200": {$ref: "other.yaml#/components/responses/R"}}
  /b: {get: {responses: {"200": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}}}}
components: {schemas: {Sort: {type: string, enum: [ours]}, Thing: {type: object}}}`), gen.Options{
		Name: "small.yaml", Files: files, Config: gen.Config{Client: gen.Client{Import: "example.com/lib"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if source := sourceOf(out); !strings.Contains(source, `"ours"`) || !strings.Contains(source, `"theirs"`) {
		t.Error(source)
	}
	if a, b := out.Report.Operations[0].Payload, out.Report.Operations[1].Payload; a != "json.RawMessage" || b != "lib.Thing" {
		t.Errorf("the values are of the types %s and %s", a, b)
	}
}

func TestCursorsEndWhereThePageSaysSo(t *testing.T) {
	for members, end := range map[string]string{
		"cursor: {type: string}, has_more: {type: boolean}":       "p.HasMore != nil && !*p.HasMore {",
		"next_cursor: {type: integer}":                            `p.NextCursor == "0" {`,
		"next_cursor: {type: integer}, has_more: {type: boolean}": `p.HasMore != nil && !*p.HasMore || p.NextCursor == "0" {`,
	} {
		source := sourceOf(one(t, small(`
  /a:
    get:
      parameters: [{name: cursor, in: query, schema: {type: string}}]
      responses: {"200": {description: d, content: {application/json: {schema: {type: object, properties: {`+members+`, items: {type: array, items: {type: object}}}}}}}}`), gen.Config{}))
		if !strings.Contains(source, "if "+end) {
			t.Errorf("%s:\n%s", members, source)
		}
	}
}

func TestOddNamesOfMembers(t *testing.T) {
	out := one(t, small(`
  /a:
    get:
      parameters: [{name: offset, in: query, schema: {type: integer}}]
      responses: {"200": {description: d, content: {application/json: {schema: {type: object, properties: {_: {type: array, items: {type: object}}}}}}}}
  /b:
    post:
      operationId: b
      requestBody: {content: {application/json: {schema: {type: object, properties: {"": {type: string}, q: {type: string}}}}}}
      `+answer), gen.Config{Operations: map[string]gen.Operation{"b": {Cache: true}}})
	if source := sourceOf(out); !strings.Contains(source, "Value []json.RawMessage `json:\"_\"`") || strings.Contains(source, `body:""`) {
		t.Error(source)
	}
}

// A certificate is a credential that is not in the request.
func TestACertificateKeepsUsersApartByTheContext(t *testing.T) {
	out := one(t, []byte("openapi: 3.1.0\ninfo: {title: T, version: '1'}\nsecurity: [{cert: []}]\npaths:\n  /a: {get: {"+answer+"}}\n"+
		"components: {securitySchemes: {cert: {type: mutualTLS}}}\n"), gen.Config{})
	if o := out.Report.Operations[0]; o.Scope != "per identity" || !strings.Contains(strings.Join(o.Notes, " "), "context") {
		t.Errorf("%+v", o)
	}
}

// The go command takes no module that has such a file.
func TestFilesHaveNamesThatEverySystemTakes(t *testing.T) {
	for _, tag := range []string{"aux", "CON", "Com1", "lpt9", "n-u-l"} {
		out := one(t, small("\n  /a: {get: {tags: ["+tag+"], "+answer+"}}"), gen.Config{})
		if !slices.ContainsFunc(out.Files, func(f gen.File) bool { return strings.HasSuffix(f.Name, "endpoints.go") }) {
			t.Errorf("the tag %s has the file %s", tag, out.Files[0].Name)
		}
	}
}

func TestAServersVariablesAreReplacedOnce(t *testing.T) {
	document := strings.Replace(string(small("\n  /a: {get: {"+answer+"}}")), "paths:",
		"servers: [{url: 'https://h/{a}/{b}', variables: {a: {default: '{b}'}, b: {default: '{a}'}}}]\npaths:", 1)
	for range 20 {
		if got := one(t, []byte(document), gen.Config{}).Report.Operations[0].Pattern; got != "GET /%7Bb%7D/%7Ba%7D/a" {
			t.Fatal(got)
		}
	}
}

// Without the value of a variable, nobody knows what paths begin with.
func TestAServersVariablesHaveDefaults(t *testing.T) {
	for _, server := range []string{
		"{url: 'https://h/{none}'}", "{url: 'https://{none}.example.com/v1'}", "{url: 'https://h/{none}', variables: {none: {description: d}}}",
		"{url: 'https://h/{none}', variables: {none: {enum: [a, b]}}}",
	} {
		document := strings.Replace(string(small("\n  /a: {get: {"+answer+"}}")), "paths:", "servers:\n  - "+server+"\npaths:", 1)
		_, err := gen.Generate(t.Context(), []byte(document), gen.Options{})
		var wrong *gen.DocumentError
		if !errors.As(err, &wrong) || wrong.Pointer != "/servers/0/url" || wrong.Line == 0 || !strings.Contains(err.Error(), "{none}") {
			t.Errorf("%s: the error is %v", server, err)
		}
		if got := one(t, []byte(document), gen.Config{Server: "https://h/v1"}).Report.Operations[0].Pattern; got != "GET /v1/a" {
			t.Errorf("%s: with a server in the configuration, the pattern is %s", server, got)
		}
		out := one(t, small("\n  /a: {servers: ["+server+"], get: {"+answer+"}, put: {"+answer+"}}\n  /b: {get: {"+answer+"}}"), gen.Config{})
		for _, o := range out.Report.Operations[:2] {
			if !strings.Contains(o.Skipped, "{none}") {
				t.Errorf("%s: %+v", server, o)
			}
		}
	}
	document := small("\n  /a: {get: {" + answer + "}}")
	_, err := gen.Generate(t.Context(), document, gen.Options{Config: gen.Config{Server: "https://h/{none}"}})
	var wrong *gen.ConfigError
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "{none}") {
		t.Errorf("the error is %v", err)
	}
}

// An empty default is one, such as that of an environment's prefix.
func TestADefaultOfAServersVariableMayBeEmpty(t *testing.T) {
	const servers = "servers: [{url: 'https://{env}h{base/v}', variables: {env: {default: ''}, base/v: {default: \"\", description: d}}}]"
	for place, document := range map[string][]byte{
		"document":  []byte(strings.Replace(string(small("\n  /a: {get: {"+answer+"}}")), "paths:", servers+"\npaths:", 1)),
		"path":      small("\n  /a: {" + servers + ", get: {" + answer + "}}"),
		"operation": small("\n  /a: {get: {" + servers + ", " + answer + "}}"),
	} {
		o := one(t, document, gen.Config{}).Report.Operations[0]
		if !o.Cached || !strings.HasSuffix(o.Pattern, "/a") || strings.Contains(o.Pattern, "{") {
			t.Errorf("%s: %+v", place, o)
		}
	}
	null := strings.Replace(string(small("\n  /a: {get: {"+answer+"}}")), "paths:", "servers: [{url: 'https://h/{v}', variables: {v: {default: null}}}]\npaths:", 1)
	if _, err := gen.Generate(t.Context(), []byte(null), gen.Options{}); err == nil {
		t.Error("a null is taken for a default")
	}
}

// These took minutes, or had no end.
func TestSchemasAndNamesThatRepeat(t *testing.T) {
	self := strings.Repeat("{$ref: '#/components/schemas/A'},", 15)
	one(t, small(`
  /a: {get: {parameters: [{name: offset, in: query, schema: {type: integer}}], responses: {"200": {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}}}
components: {schemas: {A: {type: object, properties: {a: {type: string}}, allOf: [`+self+`]}}}`), gen.Config{})

	var values strings.Builder
	for i := range 40_000 {
		values.WriteString("v" + strconv.Itoa(i) + ",")
	}
	one(t, small("\n  /a: {get: {parameters: [{name: a, in: query, schema: {type: string, enum: ["+values.String()+"]}}], "+answer+"}}"), gen.Config{})

	var paths strings.Builder
	for i := range 4000 {
		id := strconv.FormatInt(int64(i), 2)
		paths.WriteString("\n  \"/" + strings.NewReplacer("0", "-", "1", "+").Replace(id) + "\": {get: {" + answer + "}, put: {" + answer + "}}")
	}
	if out := one(t, small(paths.String()), gen.Config{}); out.Report.Cached != 4000 || out.Report.Writes != 4000 {
		t.Errorf("%d are cached, and %d are writes", out.Report.Cached, out.Report.Writes)
	}
}

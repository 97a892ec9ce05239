package gen_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// What is wrong in these makes no difference to a cache.
func TestWhatMakesNoDifferenceMayBeWrong(t *testing.T) {
	const paths = "paths:\n  /a:\n    get:\n      parameters: [{name: q, in: query, schema: {type: string}}]\n      " + answer + "\n"
	for name, document := range map[string]string{
		"a version is a number":      "openapi: 3.0.3\ninfo: {title: T, version: 1.0}\n" + paths,
		"a version is a date":        "openapi: 3.0.3\ninfo: {title: T, version: 2019-01-02}\n" + paths,
		"a version of OpenAPI, too":  "openapi: 3.0\ninfo: {title: 7, version: 1}\n" + paths,
		"a version in Swagger 2":     "swagger: 2.0\ninfo: {title: T, version: 1}\npaths: {/a: {get: {parameters: [{name: q, in: query, type: string}], responses: {200: {description: d, schema: {type: object}}}}}}\n",
		"a description is an object": "openapi: 3.0.3\ninfo: {title: T, version: '1', description: {$ref: 'description.md'}}\n" + paths,
		"a description is a bool":    "openapi: 3.0.3\ninfo: {title: T, version: '1'}\ntags: [{name: t, description: true}]\n" + paths,
		"a port is a number":         "openapi: 3.0.3\ninfo: {title: T, version: '1'}\nservers: [{url: 'http://h:{port}/v{n}', variables: {port: {default: 8080, enum: [8080, 443]}, n: {default: 1}}}]\n" + paths,
		"an id is a number":          strings.Replace("openapi: 3.0.3\ninfo: {title: T, version: '1'}\n"+paths, "parameters:", "operationId: 123\n      parameters:", 1),
		"a link leads nowhere":       "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/a: {get: {parameters: [{name: q, in: query, schema: {type: string}}], responses: {'200': {description: d, links: {l: {$ref: '#/components/links/l'}}}}}}}\n",
		"an example leads nowhere":   "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths: {/a: {get: {parameters: [{name: q, in: query, examples: {e: {$ref: '#/components/examples/e'}}, schema: {type: string}}], responses: {'200': {description: d}}}}}\n",
		"as JSON":                    `{"openapi": "3.0.3", "info": {"title": "T", "version": 1}, "paths": {"/a": {"get": {"parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}], "responses": {"200": {"description": "d"}}}}}}`,
	} {
		out, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if out.Report.Cached != 1 || !strings.Contains(sourceOf(out), "`query:\"q\"`") {
			t.Errorf("%s: %+v", name, out.Report)
		}
	}
}

// Members that have such names are kept, and what is wrong besides has its place.
func TestWhatMakesADifferenceHasToBeRight(t *testing.T) {
	const head = "openapi: 3.0.3\ninfo: {title: T, version: 1}\n"
	out := one(t, []byte(head+`paths:
  /a:
    get:
      parameters:
        - {name: f, in: query, style: deepObject, schema: {type: object, properties: {links: {type: integer}, description: {type: string}, example: {type: string, default: 1}}}}
      `+answer+"\n"), gen.Config{})
	for _, field := range []string{`query:"f[links]"`, `query:"f[description]"`, `query:"f[example]" default:"1"`} {
		if !strings.Contains(sourceOf(out), field) {
			t.Errorf("the key lacks %s", field)
		}
	}
	out = one(t, []byte("openapi: 3.0.3\ninfo: {title: T, version: '1'}\nservers: [{url: 'http://h/v{n}', variables: {n: {default: 2.10}}}]\npaths: {/a: {get: {"+answer+"}}}\n"), gen.Config{})
	if got := out.Report.Operations[0].Pattern; got != "GET /v2.10/a" {
		t.Errorf("the pattern is %s", got)
	}
	_, err := gen.Generate(t.Context(), []byte(head+"paths:\n  /a:\n    get:\n      parameters: 7\n"), gen.Options{Name: "doc.yaml"})
	var wrong *gen.DocumentError
	if !errors.As(err, &wrong) || wrong.Line != 6 || wrong.Pointer != "/paths/~1a/get/parameters" || wrong.Name != "doc.yaml" {
		t.Errorf("the error is %v", err)
	}
}

// A security scheme may have the name of what is left out, and aliases may be for a part of it.
func TestNothingIsLeftOutThatOtherPartsNeed(t *testing.T) {
	for _, scheme := range []string{"links", "examples", "description", "acme"} {
		out := one(t, []byte("openapi: 3.0.3\ninfo: {title: T, version: 1}\nsecurity: [{"+scheme+": []}]\ncomponents: {securitySchemes: {"+scheme+": {type: http, scheme: bearer}}}\n"+
			"paths:\n  /a: {get: {"+answer+"}}\n  /b: {get: {security: [{"+scheme+": [x]}], "+answer+"}}\n"), gen.Config{})
		for _, o := range out.Report.Operations {
			if o.Scope != "per identity" {
				t.Errorf("with the scheme %s, the scope of %s is %s", scheme, o.Path, o.Scope)
			}
		}
	}
	out := one(t, []byte(`openapi: 3.0.3
info: {title: T, version: 1}
components:
  parameters: {A: &p {name: a, in: query, schema: {type: string}}}
  examples: {B: {value: &p {name: b, in: query, schema: {type: string}}}}
paths: {/a: {get: {parameters: [*p], `+answer+`}}}
`), gen.Config{})
	if !strings.Contains(sourceOf(out), `query:"b"`) {
		t.Error("an alias is for another node than before")
	}
}

func TestWhatIsNoDocument(t *testing.T) {
	for says, document := range map[string]string{
		"doc.yaml:1: it is not an OpenAPI document":                     "hello world",
		"doc.yaml:1: it is not":                                         "[1, 2]",
		"doc.yaml:1: it is":                                             "<!DOCTYPE html><html></html>",
		"doc.yaml:5:3: /paths/~1a: the path is there twice":             "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a: {}\n  /a: {}\n",
		"doc.yaml:4:17: /paths/~1a/get: the member is there twice":      "openapi: 3.0.3\ninfo: {title: T, version: '1'}\npaths:\n  /a: {get: {}, get: {}}\n",
		`doc.yaml:1:1: it has no "openapi" with the version of OpenAPI`: `{"info": {"name": "a collection"}, "item": []}`,
	} {
		if _, err := gen.Generate(t.Context(), []byte(document), gen.Options{Name: "doc.yaml"}); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("the error is %v, not %s", err, says)
		}
	}
}

// Two media types never share an entry: where an answer that is kept has several, the Accept
// header is part of the key.
func TestAcceptIsInTheKeyWhereverAnAnswerHasSeveralMediaTypes(t *testing.T) {
	const both = "{description: d, content: {application/json: {}, text/csv: {}}}"
	for responses, want := range map[string]bool{
		"'200': " + both: true,
		"'200': {description: d, content: {application/json: {}}}, '404': " + both: true,
		"'200': {description: d, content: {application/json: {}}}, 4XX: " + both:   true,
		"'200': {description: d}, default: " + both:                                true,
		"'203': " + both: true,
		"'200': {description: d, content: {application/json: {}}}, '500': " + both:                                                                false,
		"'200': {description: d, content: {application/json: {}}}, '404': {description: d, content: {text/plain: {}}}":                            false,
		"'200': {description: d, content: {application/json: {}}}, '404': {description: d, content: {text/plain; charset=a: {}, text/plain: {}}}": false,
	} {
		for _, method := range []string{"get", "head"} {
			out := one(t, small("\n  /a: {"+method+": {responses: {"+responses+"}}}"), gen.Config{})
			if got := strings.Contains(sourceOf(out), "`header:\"Accept\"`"); got != want {
				t.Errorf("%s with %s: the key has Accept: %v", method, responses, got)
			}
		}
	}
}

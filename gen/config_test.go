package gen_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/gen"
	"github.com/endpointcache/endpointcache/settings"
)

func TestReadConfig(t *testing.T) {
	c, err := gen.ReadConfig(strings.NewReader("package: music\nexpire: {item: 7d, list: 90s, other: never}\noperations: {a: {skip: true}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Package != "music" || time.Duration(c.Expire.Item) != 7*24*time.Hour || time.Duration(c.Expire.List) != 90*time.Second ||
		time.Duration(c.Expire.Other) != settings.NeverExpire || !c.Operations["a"].Skip {
		t.Errorf("%+v", c)
	}
	if _, err := gen.ReadConfig(strings.NewReader("")); err != nil {
		t.Error(err)
	}
	if _, err := gen.ReadConfig(nil); err != nil {
		t.Error(err)
	}
}

func TestMistakesInConfigurationsAreErrors(t *testing.T) {
	for text, says := range map[string]string{
		"package: music\nexpires: 1h\n":                        "line 2",
		"package: [a\n":                                        "line",
		"package: Music\n":                                     "package",
		"package: func\n":                                      "package",
		"client: {package: type}\n":                            "package",
		"policy: {stale_if_error: never}\n":                    "policy",
		"policy: {refresh_ahead: 7}\n":                         "refresh_ahead",
		"policy: {refresh_ahead: -0.1}\n":                      "refresh_ahead",
		"policy: {refresh_ahead: .nan}\n":                      "refresh_ahead",
		"rules: [{match: a, policy: {hard_timeout: never}}]\n": "policy",
		"expire: {item: soon}\n":                               "line 1",
		"expire: {item: -1h}\n":                                "line 1",
		"scope: everybody\n":                                   "scope",
		"batch_size: 1\n":                                      "batch_size",
		"types: {A: 'a b'}\n":                                  "types",
		"types: {A: 'lib.author'}\n":                           "types",
		"client: {import: \"a\\\"b\"}\n":                       "import path",
		"headers: [Host]\n":                                    "headers",
		"operations: {a: {name: lower}}\n":                     "name",
		"operations: {a: {pages: {style: fancy}}}\n":           "style",
		"package: init\n":                                      "package",
		"package: a b\n":                                       "package",
		"prefix: \"a\\tb\"\n":                                  "prefix",
		"a: b\nprefix: c\n":                                    "line 1",
		"package: a\nprefix: \"a\\x00b\"\n":                    "line 2",
		"operations:\n  a: {skip: true}\n  b: {repository: \"a\\nb\"}\n": "line 3: operations: b: repository",
		"package: a\nrules:\n- {match: a}\n- {match: b, scope: all}\n":   "line 4: rules: b: scope",
		"client:\n  types: {A: a b}\n":                                   "line 2: client: types: A",
		"server: api.example.com/v1\n":                                   "line 1: server",
		"server: localhost:8080/v1\n":                                    "server",
		"client: {import: /a/b}\n":                                       "import path",
		"client: {import: ../b}\n":                                       "import path",
		"types: {A: a//b.T}\n":                                           "types",
		"ignore_query: ['a*b']\n":                                        "ignore_query",
		"operations: {a: {ignore: ['*a']}}\n":                            "ignore",
		"rules: [{match: a, omit: ['a*b*']}]\n":                          "omit",
		"rules: [{skip: true}]\n":                                        "match",
		"package: a\n---\npackage: b\n":                                  "more than one",
	} {
		_, err := gen.ReadConfig(strings.NewReader(text))
		var wrong *gen.ConfigError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: the error is %v, want one with %q", text, err, says)
		}
	}
}

// A name that the document does not have is a mistake, too.
func TestConfigurationsFitTheirDocument(t *testing.T) {
	document := small("\n  /a: {get: {operationId: a, tags: [t], " + answer + "}}\n  /b: {get: {operationId: own, " + answer + "}}")
	for _, c := range []gen.Config{
		{Operations: map[string]gen.Operation{"a": {Name: "Create"}}},
		{Operations: map[string]gen.Operation{"a": {Name: "Own"}, "own": {Name: "Own"}}},
		{Operations: map[string]gen.Operation{"a": {Repository: "own"}, "own": {Repository: "Own"}}},
		{Rules: []gen.Rule{{Match: "*", Operation: gen.Operation{Repository: "all"}}}},
		{Operations: map[string]gen.Operation{"nope": {Skip: true}}},
		{Rules: []gen.Rule{{Match: "nope*", Operation: gen.Operation{Skip: true}}}},
		{Package: "not a name"},
	} {
		_, err := gen.Generate(t.Context(), document, gen.Options{Config: c})
		var wrong *gen.ConfigError
		if !errors.As(err, &wrong) {
			t.Errorf("%+v: the error is %v", c, err)
		}
	}
	for _, match := range []string{"a", "GET /a", "tag:t", "GET */a", "a*"} {
		out := one(t, document, gen.Config{Rules: []gen.Rule{{Match: match, Operation: gen.Operation{Skip: true}}}})
		if out.Report.Skipped != 1 {
			t.Errorf("the rule %q skips nothing", match)
		}
	}
	out := one(t, document, gen.Config{
		Rules:      []gen.Rule{{Match: "*", Operation: gen.Operation{Expire: gen.Duration(time.Minute), Scope: "shared"}}},
		Operations: map[string]gen.Operation{"a": {Expire: gen.Duration(10 * time.Second), Name: "Own", Repository: "own_table"}},
	})
	if o := out.Report.Operations[0]; o.Expire != "10s" || o.Scope != "shared" || o.Var != "Own" || o.Repository != "own_table" {
		t.Errorf("%+v", o)
	}
}

func TestPayloadsOfAClient(t *testing.T) {
	document := []byte(`
openapi: 3.0.0
info: {title: T, version: '1'}
paths:
  /a: {get: {operationId: a, responses: {'200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/book-page'}}}}}}}
  /b: {get: {operationId: b, responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Book'}}}}}}}}
  /c: {get: {operationId: c, responses: {'200': {description: d, content: {application/json: {schema: {type: object}}}}}}}
  /d: {get: {operationId: d, responses: {'200': {description: d, content: {application/json: {schema: {$ref: '#/components/schemas/Hidden'}}}}}}}
components:
  schemas:
    book-page: {type: object, properties: {title: {type: string}}}
    Book: {type: object}
    Hidden: {type: object}
`)
	out := one(t, document, gen.Config{
		Client: gen.Client{Import: "example.com/go-books/v2", Types: map[string]string{"Hidden": "-"}},
		Types:  map[string]string{"Book": "*example.com/json.Book"},
	})
	var payloads []string
	for _, o := range out.Report.Operations {
		payloads = append(payloads, o.Payload)
	}
	if got := strings.Join(payloads, " "); got != "books.BookPage []*jsontypes.Book json.RawMessage json.RawMessage" {
		t.Errorf("the payloads are %s", got)
	}
	if source := sourceOf(out); !strings.Contains(source, `jsontypes "example.com/json"`) || !strings.Contains(source, `books "example.com/go-books/v2"`) {
		t.Error(source)
	}
}

// What a rule says is for several operations, of which none has what is said of another.
func TestRulesShareNoLists(t *testing.T) {
	spare := append(make([]string, 0, 8), "all")
	out := one(t, small("\n  /a: {get: {operationId: a, "+answer+"}}\n  /b: {get: {operationId: b, "+answer+"}}"), gen.Config{Rules: []gen.Rule{
		{Match: "a", Operation: gen.Operation{Ignore: []string{"ofa"}}},
		{Match: "b", Operation: gen.Operation{Ignore: []string{"ofb"}}},
		{Match: "*", Operation: gen.Operation{Ignore: spare}},
	}})
	for _, want := range []string{`IgnoreQuery("all", "ofa")`, `IgnoreQuery("all", "ofb")`} {
		if !strings.Contains(sourceOf(out), want) {
			t.Errorf("there is no %s", want)
		}
	}
}

// A package can be in a folder whose name is a word of Go.
func TestPackagesOfPayloadsHaveNamesOfTheirOwn(t *testing.T) {
	document := small("\n  /a: {get: {operationId: a, " + answer + "}}")
	for _, name := range []string{"go", "string", "error"} {
		out := one(t, document, gen.Config{Operations: map[string]gen.Operation{"a": {Payload: "github.com/me/" + name + ".Author"}}})
		if want := name + `types "github.com/me/` + name + `"`; !strings.Contains(sourceOf(out), want) {
			t.Errorf("there is no %s", want)
		}
	}
}

// What makes no difference is no part of the key, whether all operations have it or one, and
// whatever name it has in requests.
func TestIgnoredParametersAreNoPartOfTheKey(t *testing.T) {
	const object = "schema: {type: object, properties: {state: {type: string}, tags: {type: array, items: {type: string}}}}"
	document := small("\n  /a:\n    get:\n      operationId: a\n      parameters:\n        - {name: isbn, in: query, schema: {type: string}}\n" +
		"        - {name: filter, in: query, style: deepObject, explode: true, " + object + "}\n        - {name: plain, in: query, " + object + "}\n      " + answer)
	for _, test := range []struct {
		names    []string
		tags, no []string // of fields
		pattern  string   // its names
	}{
		{[]string{"is*"}, []string{"filter[state]", "filter[tags][],list", "state", "tags,list"}, []string{"isbn"}, `"is*"`},
		{[]string{"filter"}, []string{"isbn", "state"}, []string{"filter[state]", "filter[tags][],list"}, `"filter", "filter[*"`},
		{[]string{"filter[state]"}, []string{"filter[tags][],list"}, []string{"filter[state]"}, `"filter[state]"`},
		{[]string{"filter[*"}, []string{"isbn", "state"}, []string{"filter[state]", "filter[tags][],list"}, `"filter[*"`},
		{[]string{"plain"}, []string{"isbn", "filter[state]"}, []string{"state", "tags,list"}, `"plain", "state", "tags"`},
		{[]string{"*"}, nil, []string{"isbn", "state", "tags,list", "filter[state]"}, `"*"`},
	} {
		for _, config := range []gen.Config{
			{IgnoreQuery: test.names},
			{Operations: map[string]gen.Operation{"a": {Ignore: test.names}}},
		} {
			source := sourceOf(one(t, document, config))
			for _, tag := range test.tags {
				if !strings.Contains(source, `query:"`+tag+`"`) {
					t.Errorf("%q: the key lacks %s", test.names, tag)
				}
			}
			for _, tag := range test.no {
				if strings.Contains(source, `query:"`+tag+`"`) {
					t.Errorf("%q: the key has %s", test.names, tag)
				}
			}
			if want := "request.IgnoreQuery(" + test.pattern + ")"; !strings.Contains(source, want) {
				t.Errorf("%q: there is no %s", test.names, want)
			}
		}
		omitted := sourceOf(one(t, document, gen.Config{Operations: map[string]gen.Operation{"a": {Omit: test.names}}}))
		for _, tag := range test.no {
			if strings.Contains(omitted, `query:"`+tag+`"`) {
				t.Errorf("%q: the key has %s", test.names, tag)
			}
		}
	}
}

// A member of an object that makes no difference may have the name of a parameter that does.
func TestAnIgnoredMemberIsNoOtherParameter(t *testing.T) {
	document := small("\n  /a:\n    get:\n      operationId: a\n      parameters:\n        - {name: page, in: query, schema: {type: string}}\n" +
		"        - {name: options, in: query, schema: {type: object, properties: {page: {type: string}, x: {type: string}}}}\n      " + answer)
	source := sourceOf(one(t, document, gen.Config{Operations: map[string]gen.Operation{"a": {Ignore: []string{"options"}, Omit: []string{"page"}}}}))
	if want := `request.IgnoreQuery("options", "x")`; !strings.Contains(source, want) {
		t.Errorf("there is no %s in\n%s", want, source)
	}
}

package gen_test

import (
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// A request for many keys has the other fields as the request for one has them, so a listing that
// takes them in another form does not answer it.
func TestABatchHasTheFormsOfItsKey(t *testing.T) {
	const (
		fields = "{name: fields, in: query, explode: false, schema: {type: array, items: {type: string}}}"
		each   = "{name: fields, in: query, schema: {type: array, items: {type: string}}}"
		track  = "application/json: {schema: {$ref: '#/components/schemas/Track'}}"
	)
	for _, test := range []struct{ id, of, note string }{
		{"type: string", fields, ""},
		{"type: string", each, `the parameter "fields" in another form`},
		{"type: array, items: {type: string}", fields, `the parameter "id" is a list by itself`},
	} {
		out := one(t, small("\n  /tracks/{id}: {get: {parameters: [{name: id, in: path, required: true, schema: {"+test.id+"}}, "+test.of+"], responses: {'200': {description: d, content: {"+track+"}}}}}"+
			"\n  /tracks: {get: {parameters: [{name: ids, in: query, required: true, explode: false, schema: {type: array, items: {type: string}}}, "+fields+"], "+
			"responses: {'200': {description: d, content: {application/json: {schema: {type: object, properties: {tracks: {type: array, items: {$ref: '#/components/schemas/Track'}}}}}}}}}}"+
			"\ncomponents: {schemas: {Track: {type: object, properties: {id: {type: string}}}}}"), gen.Config{})
		for _, o := range out.Report.Operations {
			if o.Path != "/tracks/{id}" {
				continue
			}
			if notes := strings.Join(o.Notes, "; "); (o.Batch != nil) != (test.note == "") || !strings.Contains(notes, test.note) {
				t.Errorf("with the id of %s, the batch is %+v, and the notes are %q", test.id, o.Batch, notes)
			}
		}
	}
}

// What a listing answers to one user is not for all, as an item without a security requirement is.
func TestABatchHasTheScopeOfItsKey(t *testing.T) {
	const track = "{$ref: '#/components/schemas/Track'}"
	for _, test := range []struct {
		security string
		batch    bool
	}{
		{"security: [], ", false},
		{"", true},
	} {
		out := one(t, small("\n  /tracks/{id}: {get: {"+test.security+"responses: {'200': {description: d, content: {application/json: {schema: "+track+"}}}}}}"+
			"\n  /tracks: {get: {parameters: [{name: ids, in: query, schema: {type: array, items: {type: string}}}], "+
			"responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: "+track+"}}}}}}}"+
			"\nsecurity: [{token: []}]"+
			"\ncomponents: {securitySchemes: {token: {type: http, scheme: bearer}}, schemas: {Track: {type: object, properties: {id: {type: string}}}}}"), gen.Config{})
		for _, o := range out.Report.Operations {
			if o.Path == "/tracks/{id}" && ((o.Batch != nil) != test.batch || !test.batch && !strings.Contains(strings.Join(o.Notes, "; "), "scope")) {
				t.Errorf("with %q, the batch is %+v, and the notes are %q", test.security, o.Batch, o.Notes)
			}
		}
	}
}

// A list that makes no difference says nothing of what is asked for.
func TestABatchIsNotByAParameterThatMakesNoDifference(t *testing.T) {
	const track = "{$ref: '#/components/schemas/Track'}"
	out := one(t, small("\n  /tracks/{id}: {get: {responses: {'200': {description: d, content: {application/json: {schema: "+track+"}}}}}}"+
		"\n  /tracks: {get: {parameters: [{name: ids, in: query, schema: {type: array, items: {type: string}}}], "+
		"responses: {'200': {description: d, content: {application/json: {schema: {type: array, items: "+track+"}}}}}}}"+
		"\ncomponents: {schemas: {Track: {type: object, properties: {id: {type: string}}}}}"), gen.Config{IgnoreQuery: []string{"id*"}})
	for _, o := range out.Report.Operations {
		if o.Batch != nil {
			t.Errorf("%s has the batch %+v", o.Path, o.Batch)
		}
	}
}

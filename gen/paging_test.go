package gen_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// style is the style of the pages of a listing with a parameter, empty for none.
func style(t *testing.T, version, parameter, schema, answer string) string {
	t.Helper()
	out := one(t, []byte("openapi: "+version+"\ninfo: {title: T, version: '1'}\npaths:\n  /a: {get: {parameters: [{name: "+parameter+", in: query, schema: {"+schema+"}}], "+
		"responses: {'200': {description: d, content: {application/json: {schema: {"+answer+"}}}}}}}\n"), gen.Config{})
	if paged := out.Report.Operations[0].Paged; paged != nil {
		return paged.Style
	}
	return ""
}

// The least value of a parameter tells where counting begins.
func TestPagesBeginAtTheLeastValue(t *testing.T) {
	const array = "type: array, items: {type: object}"
	for _, test := range []struct{ version, parameter, bounds, style string }{
		{"3.1.0", "offset", "", "offset"},
		{"3.1.0", "offset", ", minimum: 0", "offset"},
		{"3.1.0", "offset", ", exclusiveMinimum: 0", ""},
		{"3.1.0", "offset", ", exclusiveMinimum: -1", "offset"},
		{"3.0.3", "offset", ", minimum: 0, exclusiveMinimum: true", ""},
		{"3.0.3", "offset", ", minimum: 0, exclusiveMinimum: false", "offset"},
		{"3.0.3", "offset", ", minimum: -1, exclusiveMinimum: true", "offset"},
		{"3.1.0", "page", ", exclusiveMinimum: 0", "number"},
		{"3.1.0", "page", ", minimum: 0, exclusiveMinimum: 0", "number"},
		{"3.0.3", "page", ", minimum: 0, exclusiveMinimum: true", "number"},
		{"3.0.3", "page", ", minimum: 0.5", "number"},
		{"3.0.3", "page", ", minimum: 0", ""},
		{"3.0.3", "page", ", minimum: 1, exclusiveMinimum: true", ""},
	} {
		if got := style(t, test.version, test.parameter, "type: integer"+test.bounds, array); got != test.style {
			t.Errorf("%s%s of OpenAPI %s is paged by %q, not %q", test.parameter, test.bounds, test.version, got, test.style)
		}
	}
}

// What came after a time is no page, though the answer tells the time again.
func TestATimeIsNoCursor(t *testing.T) {
	const text = "type: string, format: date-time"
	for member, want := range map[string]string{"after": "", "nextAfter": "cursor"} {
		answer := "type: object, properties: {" + member + ": {" + text + "}, items: {type: array, items: {type: object}}}"
		if got := style(t, "3.0.3", "after", text, answer); got != want {
			t.Errorf("with the member %s, it is paged by %q, not %q", member, got, want)
		}
	}
	if got := style(t, "3.0.3", "after", "type: string", "type: object, properties: {after: {type: string}, items: {type: array, items: {type: object}}}"); got != "cursor" {
		t.Errorf("a text is paged by %q", got)
	}
}

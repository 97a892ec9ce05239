package gen_test

import (
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// An answer may have several arrays, of which one has the items and others belong to them.
func TestItemsAreWhatTheOperationNames(t *testing.T) {
	const (
		objects = "{type: array, items: {type: object}}"
		texts   = "{type: array, items: {type: string}}"
		nested  = "{type: array, items: " + objects + "}"
	)
	for _, test := range []struct{ path, words, members, items string }{
		{"/threads/search", "", "threads: " + objects + ", members: " + objects, "threads"},
		{"/messages/search", "", "messages: " + nested + ", threads: " + objects + ", members: " + objects, "messages"},
		{"/tags", "", "tags: " + texts + ", related: " + objects, "tags"},
		{"/articles", "summary: 'Articles, and what is included', description: All included.", "data: " + objects + ", included: " + objects, "data"},
		{"/a", "operationId: listBooks", "items: " + objects + ", books: " + objects, "books"},
		{"/a", "description: The books.", "films: " + objects + ", books: " + objects, "books"},
		{"/a", "", "films: " + objects + ", books: " + objects, ""},
		{"/a", "", "films: " + objects + ", ids: " + texts, "films"},
		{"/a", "", "ids: " + texts, "ids"},
		{"/a/members", "", "members: " + objects + ", roles: " + objects, "members"},
		{"/tags/{id}/articles", "", "data: " + objects + ", tags: " + texts, "data"},
		{"/users/{id}/orders", "", "results: " + objects + ", users: " + objects, "results"},
		{"/users/{id}", "operationId: getUsers", "users: " + objects + ", data: " + objects, "users"},
		{"/a", "operationId: listArticlesByTags", "data: " + objects + ", tags: " + texts, "data"},
		{"/a", "operationId: articles_with_tags", "results: " + objects + ", tags: " + objects, "results"},
	} {
		words := test.words
		if words != "" {
			words += ", "
		}
		params := ""
		if strings.Contains(test.path, "{id}") {
			params = "{name: id, in: path, required: true, schema: {type: string}}, "
		}
		out := one(t, small("\n  "+test.path+": {get: {"+words+"parameters: ["+params+"{name: offset, in: query, schema: {type: integer}}], "+
			"responses: {'200': {description: d, content: {application/json: {schema: {type: object, properties: {"+test.members+"}}}}}}}}"), gen.Config{})
		o := out.Report.Operations[0]
		if test.items == "" {
			if o.Paged != nil || !strings.Contains(o.NotPaged, "several arrays: books, films") {
				t.Errorf("%s of %s is paged by %+v: %q", test.members, test.path, o.Paged, o.NotPaged)
			}
			continue
		}
		if o.Paged == nil || !strings.HasSuffix(o.Paged.Why, "counts the items of "+test.items) {
			t.Errorf("%s of %s is paged by %+v: %q", test.members, test.path, o.Paged, o.NotPaged)
		}
	}
}

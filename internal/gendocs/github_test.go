package gendocs_test

import (
	"slices"
	"strings"
	"testing"
)

// What the pages of 40 operations of GitHub are, as the document tells those who read it. Those
// of "no" look paged, and are not: a name, a total or a parameter of theirs is that of a listing,
// or a sibling is one.
var githubPages = map[string]string{
	"apps/list-installations": "link",
	"gists/list":              "link", // with since, a time
	"gists/list-forks":        "link",
	"apps/list-repos-accessible-to-installation": "link", // {total_count, repositories}
	"issues/list": "link",
	"activity/list-notifications-for-authenticated-user": "link", // with since and before, times
	"orgs/list":                           "link", // since, an id: no page
	"orgs/list-members":                   "link",
	"repos/list-for-org":                  "link",
	"teams/list-idp-groups-for-org":       "link", // {groups}
	"actions/list-workflow-runs":          "link",
	"checks/list-for-ref":                 "link",
	"repos/list-commits":                  "link",
	"pulls/list-files":                    "link",
	"pulls/list-requested-reviewers":      "link", // {users, teams}
	"activity/list-stargazers-for-repo":   "link", // one of two arrays
	"repos/list-public":                   "link", // since alone
	"users/list":                          "link",
	"activity/list-repos-starred-by-user": "link",
	"repos/list-contributors":             "link",   // or 204
	"repos/list-autolinks":                "number", // no per_page
	"enterprise-admin/get-audit-log":      "number", // beside before and after
	"activity/list-public-events":         "number",
	"licenses/get-all-commonly-used":      "number",
	"repos/get-combined-status-for-ref":   "number", // {statuses, total_count}
	"repos/get-all-topics":                "number", // {names}
	"search/repos":                        "number", // {items, total_count}
	"code-scanning/list-recent-analyses":  "number",
	"packages/get-all-package-versions-for-package-owned-by-org":  "number",
	"repos/list-for-authenticated-user":                           "number", // beside since and before, times
	"repos/compare-commits":                                       "number", // {commits, files}
	"repos/get-commit":                                            "number", // {parents, files}: the files are paged
	"migrations/get-commit-authors":                               "no",     // since, and no way to tell the next
	"repos/get-all-environments":                                  "no",     // {total_count, environments}
	"packages/list-packages-for-organization":                     "no",
	"packages/get-all-package-versions-for-package-owned-by-user": "no",
	"repos/get-clones":                                            "no", // {count, clones}, per day or week
	"repos/get-views":                                             "no",
	"git/get-tree":                                                "no", // {tree, truncated}
	"teams/list-idp-groups-in-org":                                "no",
}

// Beyond these, operations of GitHub are paged by what their descriptions say alone: by the
// first index, and by a cursor out of a Link header that is not declared.
var githubAlso = map[string]string{
	"enterprise-admin/list-provisioned-groups-enterprise":     "offset",
	"enterprise-admin/list-provisioned-identities-enterprise": "offset",
	"scim/list-provisioned-identities":                        "offset",
	"apps/list-webhook-deliveries":                            "link",
	"orgs/list-webhook-deliveries":                            "link",
	"repos/list-webhook-deliveries":                           "link",
}

func TestPagesOfGitHub(t *testing.T) {
	if n := len(githubPages); n != 40 {
		t.Fatalf("%d operations were checked by hand", n)
	}
	d := documents[0]
	report := d.generate(t).Report
	styles := make(map[string]string)
	for _, op := range report.Operations {
		if op.Method != "GET" {
			continue
		}
		styles[op.ID] = "no"
		if op.Paged != nil {
			styles[op.ID] = op.Paged.Style
			if op.Paged.Why == "" {
				t.Errorf("%s is paged by %s, and nobody knows why", op.ID, op.Paged.Style)
			}
		}
	}
	for id, want := range githubPages {
		if got := styles[id]; got != want {
			t.Errorf("%s: %s, not %s", id, got, want)
		}
	}
	// The others: all that have a page's number or a Link header, and none besides.
	paged := 0
	r := read(t, d.path(t))
	r.each(func(method, _ string, item, operation object) {
		if method != "get" {
			return
		}
		id, _ := operation["operationId"].(string)
		want := "no"
		switch {
		case r.hasLink(operation):
			want = "link"
		case slices.ContainsFunc(r.parameters(item, operation), func(p object) bool { return p["in"] == "query" && p["name"] == "page" }):
			want = "number"
		}
		if want != "no" {
			paged++
		}
		if got := styles[id]; got != want && got != githubAlso[id] {
			t.Errorf("%s: %s, not %s", id, got, want)
		}
	})
	if paged != 188 {
		t.Errorf("%d operations are paged", paged)
	}
}

// hasLink reports whether a success of the operation has a Link header.
func (r *reader) hasLink(operation object) bool {
	responses, _ := operation["responses"].(object)
	for status, response := range responses {
		headers, _ := r.resolve(response)["headers"].(object)
		for name := range headers {
			if strings.HasPrefix(status, "2") && strings.EqualFold(name, "Link") {
				return true
			}
		}
	}
	return false
}

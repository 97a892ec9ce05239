package doccheck_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/internal/doccheck"
)

const root = "../.."

// pages are those that are checked.
func pages(t *testing.T) []*doccheck.Page {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
	guides, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(guides) == 0 {
		t.Fatalf("%d guides, %v", len(guides), err)
	}
	for _, guide := range guides {
		names = append(names, "docs/"+filepath.Base(guide))
	}
	var pages []*doccheck.Page
	for _, name := range names {
		p, err := doccheck.ReadPage(root, name)
		if os.IsNotExist(err) {
			continue // not every project has all of them
		}
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, p)
	}
	return pages
}

func report(t *testing.T, problems []doccheck.Problem) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

func TestBlocksAreOfAKnownForm(t *testing.T) {
	for _, p := range pages(t) {
		report(t, p.Problems)
		report(t, doccheck.CheckLanguages(p))
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	report(t, doccheck.CheckLinks(root, all))
	start := "docs/README.md"
	if _, err := os.Stat(filepath.Join(root, start)); err != nil {
		start = "README.md"
	}
	for _, path := range doccheck.Unreachable(start, all) {
		t.Errorf("no links lead from %s to %s", start, path)
	}
}

func TestGoCompiles(t *testing.T) {
	c, err := doccheck.NewGoChecker(root, "testdata/preambles", "testdata/stubs")
	if err != nil {
		t.Fatal(err)
	}
	problems, err := c.Check(t.Context(), pages(t))
	if err != nil {
		t.Fatal(err)
	}
	report(t, problems)
}

package doccheck_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/doccheck"
)

// What is wrong on testdata/broken.md, by line.
var (
	wrongForms = []string{
		`78: nothing checks blocks of "js"`,
		"86: an indented block",
		"89: the comment before is for a block",
	}
	wrongLinks = []string{
		"3: the link absent.md leads to no file",
		"3: the link #a-page leads to no heading",
		"4: the link ../../../../elsewhere.md leads out of the project",
	}
	wrongGo = []string{
		"8: not enough arguments",
		"14: cannot use",
		"19: cannot use redis.Open",
		"19: no new variables",
		"23: neither declarations nor statements",
		"29: unknown field Expires",
		"35: \"fmt\" imported and not used",
		"38: declared and not used: unused",
		"44: there is no code in testdata/broken.md.go",
	}
	wrongCommands = []string{
		"50: ls absent",
		"56: make nothing",
		"60: go get github.com/endpointcache/endpointcache/absent",
		"69: the output is\none\ntwo",
		"74: grep present < block.sql: exit status 1",
	}
)

func brokenPage(t *testing.T) *doccheck.Page {
	t.Helper()
	p, err := doccheck.ReadPage("testdata", "broken.md")
	must(t, err)
	return p
}

// expect checks that the problems are those that are expected, in their order.
func expect(t *testing.T, want []string, got []doccheck.Problem) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		switch {
		case i >= len(got):
			t.Errorf("not found: %s", want[i])
		case i >= len(want):
			t.Errorf("found: %s", got[i])
		case !strings.HasPrefix(got[i].String(), "broken.md:"+want[i]):
			t.Errorf("found %s\nwant %s", got[i], want[i])
		}
	}
}

func TestMistakesAreFound(t *testing.T) {
	p := brokenPage(t)
	expect(t, wrongForms, slices.Concat(doccheck.CheckLanguages(p), p.Problems))
	expect(t, wrongLinks, doccheck.CheckLinks("testdata", []*doccheck.Page{p}))
	c, err := doccheck.NewGoChecker(root, "testdata/preambles", "testdata/stubs")
	must(t, err)
	found, err := c.Check(t.Context(), []*doccheck.Page{p})
	must(t, err)
	expect(t, wrongGo, found)
}

func TestFailuresAreFound(t *testing.T) {
	needShell(t)
	p := brokenPage(t)
	s := newScratch(t)
	var found []doccheck.Problem
	for i, b := range p.Blocks {
		if !doccheck.Runnable(b) || b.NotRun != "" || b.Lang == "go" {
			continue
		}
		_, problems := s.Run(t.Context(), b, "grep present")
		found = append(found, problems...)
		if i+1 < len(p.Blocks) && p.Blocks[i+1].OutputOf != "" {
			found = append(found, s.CheckOutput(p.Blocks[i+1])...)
		}
	}
	expect(t, wrongCommands, found)
}

// The check of the expired entries that the guide to files once had stopped at the first
// file: it ran, and printed too little.
func TestOtherOutputIsFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "transcript.txt")
	transcript, err := doccheck.ReadTranscript(file)
	must(t, err)
	ran := []doccheck.Ran{{Line: 3, Command: "find . \\\n  -print", Output: "a\nb\n"}, {Line: 5, Command: "rm a"}}
	transcript.Record(ran, true)
	must(t, transcript.Write())
	transcript, err = doccheck.ReadTranscript(file)
	must(t, err)
	expect(t, nil, transcript.Check("broken.md", ran))
	ran[0].Output = "a\n"
	ran = append(ran, doccheck.Ran{Line: 7, Command: "new"})
	expect(t, []string{"3: find", "7: new: this is new"}, transcript.Check("broken.md", ran))
	if others := transcript.Others(ran[1:]); len(others) != 1 {
		t.Errorf("%d commands did not run, want one", len(others))
	}
}

func TestAnEllipsisStandsForWhatDiffers(t *testing.T) {
	for i, c := range []struct {
		want, got string
		same      bool
	}{
		{"a\nb", "a\nb\n", true},
		{"a\nb", "a  \nb", true},
		{"a…c", "abbbc", true},
		{"a…c", "ab\nc", false},
		{"…\nz", "a\nb\nz", true},
		{"…\nz", "z", true},
		{"…\nz", "a\nb", false},
		{"a", "a\nb", false},
		{"a.c", "abc", false},
	} {
		if doccheck.Same(c.want, c.got) != c.same {
			t.Error(fmt.Sprint(i), c)
		}
	}
}

func TestToolsAreFound(t *testing.T) {
	b := &doccheck.Block{Lang: "sh", Text: "k=$(aws sts) | jq .x\nfind redis-cli; psql -c 'sqlite3 x'\n"}
	tools := doccheck.Tools(b, "", []string{"aws", "jq", "redis-cli", "psql", "sqlite3"})
	if !slices.Equal(tools, []string{"aws", "jq", "psql"}) {
		t.Error(tools)
	}
}

package doccheck_test

import (
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/doccheck"
	"github.com/endpointcache/endpointcache/internal/testenv"
)

var update = flag.Bool("update", false, "take the output of the pages' commands for right")

// sqlOf is the program that takes the SQL of a page.
func sqlOf(page string) string {
	if page == "docs/postgres.md" {
		return "psql -q"
	}
	return "sqlite3 music.db"
}

// needShell skips a test where the shell is missing that runs the commands.
func needShell(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		testenv.Skip(t, "there is no bash")
	}
}

func TestCommandsRun(t *testing.T) {
	needShell(t)
	for _, p := range pages(t) {
		if slices.ContainsFunc(p.Blocks, doccheck.Runnable) {
			t.Run(filepath.Base(p.Path), func(t *testing.T) { runPage(t, p) })
		}
	}
}

func runPage(t *testing.T, p *doccheck.Page) {
	s := newScratch(t)
	name := strings.TrimSuffix(filepath.Base(p.Path), ".md") + ".txt"
	transcript, err := doccheck.ReadTranscript(filepath.Join("testdata", "transcripts", name))
	must(t, err)
	prepared := make(map[string]bool)
	var all []doccheck.Ran
	complete := true
	for i, b := range p.Blocks {
		if !doccheck.Runnable(b) || b.NotRun != "" {
			continue
		}
		done := false
		t.Run(fmt.Sprint("line ", b.Line), func(block *testing.T) {
			need(block, t, s, doccheck.Tools(b, sqlOf(p.Path), slices.Collect(maps.Keys(tools))), prepared)
			ran, problems := s.Run(block.Context(), b, sqlOf(p.Path))
			report(block, problems)
			if b.OutputOf != "" {
				report(block, s.CheckOutput(b))
				return
			}
			if next := i + 1; next < len(p.Blocks) && p.Blocks[next].OutputOf == "-" {
				report(block, s.CheckOutput(p.Blocks[next]))
			}
			if b.Lang != "go" {
				all = append(all, ran...)
				if !*update {
					report(block, transcript.Check(p.Path, ran))
				}
			}
			done = len(problems) == 0
		})
		complete = complete && (done || b.OutputOf != "")
	}
	switch {
	case *update:
		transcript.Record(all, complete)
		must(t, transcript.Write())
	case complete:
		for _, command := range transcript.Others(all) {
			t.Errorf("testdata/transcripts/%s: the page does not have %q", name, command)
		}
	}
}

// need skips the test of a block on machines that do not have a program, or its server.
func need(t, page *testing.T, s *doccheck.Scratch, names []string, prepared map[string]bool) {
	for _, name := range names {
		tool := tools[name]
		if _, err := exec.LookPath(name); err != nil && !tool.ours {
			if tool.inCI {
				testenv.Skip(t, "there is no "+name)
			}
			t.Skip("there is no " + name)
		}
		if tool.prepare == nil || prepared[name] {
			continue
		}
		address := ""
		if tool.server != "" {
			address = testenv.URL(t, tool.server)
		}
		tool.prepare(page, s, address)
		prepared[name] = true
	}
}

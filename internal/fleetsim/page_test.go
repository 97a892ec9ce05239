package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/fleetsim/report"
)

const docs = "../../docs"

const again = "go run ./internal/fleetsim -out docs/images -page docs/fleet.md makes it"

// exact skips a test where numbers may differ in their last digit: other processors fuse a
// multiplication with an addition.
func exact(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the page was made on amd64")
	}
}

// TestThePageIsWhatTheProgramMakes simulates the fleets of the page; with -short those of 100
// processes, and no pictures.
func TestThePageIsWhatTheProgramMakes(t *testing.T) {
	exact(t)
	var o options
	if testing.Short() {
		o.processes = 100
	}
	tables, pictures, err := o.run()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(docs, "fleet.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		inPage, err := table.In(string(text))
		if err != nil {
			t.Error(err)
			continue
		}
		comparesTables(t, table, inPage)
	}
	for name, svg := range pictures {
		drawn, err := os.ReadFile(filepath.Join(docs, "images", name))
		if err != nil {
			t.Error(err)
		}
		if !testing.Short() && !bytes.Equal(drawn, svg) {
			t.Errorf("%s is an old picture: %s", name, again)
		}
		if !strings.Contains(string(text), "images/"+name) {
			t.Errorf("the page does not show %s", name)
		}
	}
}

// comparesTables compares with -short only the rows that were made: those of 100 processes.
func comparesTables(t *testing.T, made report.Table, inPage string) {
	t.Helper()
	rows, want := strings.Split(inPage, "\n"), strings.Split(made.Text, "\n")
	if testing.Short() {
		other := func(row string) bool {
			return strings.HasPrefix(row, "| 1,000 |") || strings.HasPrefix(row, "| 10,000 |")
		}
		rows = slices.DeleteFunc(rows, other)
		if made.Name == "cold-"+small {
			want = want[:2] // the page has no such fleet of 100
			rows = rows[:2]
		}
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the table %q is\n%s\nwant\n%s\n%s", made.Name, strings.Join(rows, "\n"), strings.Join(want, "\n"), again)
	}
}

package gen_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// go generate splits the line at spaces, takes off quotes, and expands variables.
func TestGoGenerateRunsTheCommandAsItIs(t *testing.T) {
	const told = "GEN_TEST_WORDS" // where the command, which is this program, writes its words
	if file := os.Getenv(told); file != "" {
		data, err := json.Marshal(quoted(flag.Args()))
		if err == nil {
			err = os.WriteFile(file, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	words := []string{
		"../$HOME/api.yaml", "${GOFILE}", "$$", "a b", "a\"b", "a`b", `a\b`, "a'b", "é", "", "a\nb", "//go:generate", "-c", "*", "\xff.yaml",
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := gen.Generate(t.Context(), small("\n  /a: {get: {"+answer+"}}"), gen.Options{
		Name: "doc\xff.yaml", Command: slices.Concat([]string{program, "-test.run=^" + t.Name() + "$", "--"}, words),
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := out.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	got := filepath.Join(dir, "words")
	cmd := exec.CommandContext(t.Context(), "go", "generate", "doc.go")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), told+"="+got)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	if err := json.Unmarshal(data, &ran); err != nil {
		t.Fatal(err)
	}
	if want := quoted(words); !slices.Equal(ran, want) {
		t.Errorf("the command has the words %s, not %s", ran, want)
	}
}

// quoted are words as JSON can have them.
func quoted(words []string) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = strconv.Quote(word)
	}
	return all
}

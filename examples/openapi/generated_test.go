package openapi_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/gen"
)

var update = flag.Bool("update", false, "write librarycache anew, as go generate does")

// The package in this folder is what the generator makes of the document today.
func TestLibraryCacheIsGenerated(t *testing.T) {
	out := generate(t, "../library.yaml")
	if *update {
		if err := out.WriteTo("librarycache"); err != nil {
			t.Fatal(err)
		}
		if err := out.Report.Text(os.Stdout); err != nil {
			t.Fatal(err)
		}
	}
	want := make(map[string]string)
	for _, f := range out.Files {
		want[f.Name] = string(f.Source)
	}
	names, err := filepath.Glob("librarycache/*")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, name := range names {
		data, err := os.ReadFile(name) // #nosec G304 -- a file of this package
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(name)] = string(data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("librarycache is not what is generated; go generate ./examples/openapi/... makes it anew (-want +got):\n%s", diff)
	}
}

// What docs/openapi.md shows of the configuration and of the report is theirs.
func TestThePageShowsWhatIsThere(t *testing.T) {
	page, err := os.ReadFile("../../docs/openapi.md")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("cache.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\n```text\n"+string(config)+"```\n") {
		t.Error("the page shows another cache.yaml")
	}
	var report strings.Builder
	if err := generate(t, "library.yaml").Report.Text(&report); err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```text\nlibrary.yaml: Library")
	shown, _, ok := strings.Cut("library.yaml: Library"+shown, "```")
	if !ok {
		t.Fatal("the page shows no report")
	}
	for line := range strings.Lines(shown) {
		if strings.TrimSpace(line) != "…" && !strings.Contains(report.String(), line) {
			t.Errorf("the report on the page has the line %q", line)
		}
	}
}

// generate makes the package of a document in this folder, which it calls by a name.
func generate(t *testing.T, name string) *gen.Output {
	t.Helper()
	document, err := os.ReadFile("library.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("cache.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	config, err := gen.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := gen.Generate(t.Context(), document, gen.Options{
		Name: name, Config: config,
		Command: []string{"go", "run", "github.com/endpointcache/endpointcache/cmd/endpointcache", "gen", "-c", "../cache.yaml", "-o", ".", "../library.yaml"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package openapi_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/gen"
)

var update = flag.Bool("update", false, "write librarycache anew, as go generate does")

// The package in this folder is what the generator makes of the document today.
func TestLibraryCacheIsGenerated(t *testing.T) {
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
		Name: "../library.yaml", Config: config,
		Command: "go run github.com/endpointcache/endpointcache/cmd/endpointcache gen -config ../cache.yaml -out . ../library.yaml",
	})
	if err != nil {
		t.Fatal(err)
	}
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

// Package gendocs_test generates declarations of the documents of well-known APIs, and proves
// them. The documents are files of other modules, which are downloaded.
package gendocs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// document is one of the documents: of another module, or of testdata.
type document struct {
	name   string // of its package
	module string
	file   string

	operations, gets int
	cached           int // how many of the GETs have to be
	config           string

	every      int  // which share of its operations is tried by their types: one of so many
	short      bool // its package is compiled in the short form, too
	reportOnly bool // its package is not compiled, as another is nearly the same
}

var documents = []document{
	{
		name: "github", module: "github.com/ogen-go/ogen@v1.25.0", file: "_testdata/examples/api.github.com.json",
		operations: 767, gets: 400, cached: 390, every: 20, short: true,
	},
	{name: "stripe", module: "github.com/pb33f/libopenapi@v0.42.5", file: "test_specs/stripe.yaml", gets: 229, every: 20},
	{name: "docusign", module: "github.com/pb33f/libopenapi@v0.42.5", file: "test_specs/docusignv3.1.json", gets: 164, every: 20},
	{name: "kubernetes", module: "github.com/pb33f/libopenapi@v0.42.5", file: "test_specs/k8s.json", gets: 426, every: 20}, // Swagger 2
	{name: "kubernetes3", module: "github.com/ogen-go/ogen@v1.25.0", file: "_testdata/examples/k8s.json", gets: 423, reportOnly: true},
	{name: "odd", file: "testdata/odd.yaml", gets: 79, every: 1, short: true},
}

// path is where the document is.
func (d *document) path(t *testing.T) string {
	t.Helper()
	if d.module == "" {
		return filepath.FromSlash(d.file)
	}
	return filepath.Join(download(t, d.module), filepath.FromSlash(d.file))
}

// download returns the folder of a module of others. No module here requires it.
func download(t *testing.T, module string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module) // #nosec G204 -- a module of the list
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	var got struct{ Dir, Error string }
	if jsonErr := json.NewDecoder(bytes.NewReader(out)).Decode(&got); jsonErr != nil || got.Dir == "" {
		testenv.Skip(t, module+" cannot be downloaded: "+got.Error+": "+errText(err))
	}
	return got.Dir
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name) // #nosec G304 -- a document of a module
	if err != nil {
		t.Fatal(err)
	}
	return data
}

package gen_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/gen"
)

var update = flag.Bool("update", false, "write the generated packages anew")

// golden are the documents of testdata, whose packages are in internal/golden, where the
// compiler, vet and the other tests see them.
var golden = []string{"parameters", "listings", "users"}

func TestGeneratedPackages(t *testing.T) {
	for _, name := range golden {
		t.Run(name, func(t *testing.T) {
			out := generateGolden(t, name)
			dir := filepath.Join("internal", "golden", name)
			var text bytes.Buffer
			if err := out.Report.Text(&text); err != nil {
				t.Fatal(err)
			}
			report := filepath.Join("testdata", name+".report.txt")
			if *update {
				if err := out.WriteTo(dir); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(report, text.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range out.Files {
				want, err := os.ReadFile(filepath.Join(dir, f.Name))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(f.Source)); diff != "" {
					t.Errorf("%s (-want +got; run with -update to take it):\n%s", f.Name, diff)
				}
			}
			want, err := os.ReadFile(report)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text.String()); diff != "" {
				t.Errorf("the report (-want +got):\n%s", diff)
			}
		})
	}
}

func generateGolden(t *testing.T, name string) *gen.Output {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join("testdata", name+".config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	config, err := gen.ReadConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	out, err := gen.Generate(t.Context(), document, gen.Options{Name: name + ".yaml", Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

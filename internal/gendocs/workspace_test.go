package gendocs_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/gen"
	"github.com/endpointcache/endpointcache/internal/gendocs/prove"
)

// module is what the generated packages belong to. Its path lets it import internal packages.
const module = "github.com/endpointcache/endpointcache/internal/gendocs/generated"

// workspace is a folder with a module of generated packages, which is built with the modules of
// this checkout.
type workspace struct{ folder string }

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{folder: t.TempDir()}
	w.write(t, "go.mod", []byte("module "+module+"\n\ngo 1.26.0\n"))
	w.write(t, "go.work", fmt.Appendf(nil, "go 1.26.0\n\nuse (\n\t.\n\t%q\n\t%q\n\t%q\n)\n",
		root, filepath.Join(root, "gen"), filepath.Join(root, "internal", "gendocs")))
	sums, err := os.ReadFile(filepath.Join(root, "go.work.sum")) // #nosec G304 -- this checkout's
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "go.work.sum", sums)
	return w
}

func (w *workspace) write(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join(w.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in the folder and returns what it has printed.
func (w *workspace) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...) // #nosec G204 -- the test's own commands
	cmd.Dir = w.folder
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(w.folder, "go.work"), "GOFLAGS=-buildvcs=false -trimpath")
	out, err := cmd.CombinedOutput()
	if s := cmd.ProcessState; s != nil {
		t.Logf("%s %s: %v of the processors", filepath.Base(name), strings.Join(args, " "), (s.UserTime() + s.SystemTime()).Round(time.Millisecond))
	}
	if err != nil {
		t.Errorf("%s %s: %v\n%.4000s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// staticcheck builds the program of that name.
func staticcheck(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "staticcheck")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, "honnef.co/go/tools/cmd/staticcheck") // #nosec G204 -- a fixed command
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// sample is another share of them, for runs by hand: each run of the tests has to try the same.
var sample = flag.Uint("sample", 0, "which of every so many operations are tried by their types")

// add writes a generated package, and a program beside it that proves it. It tries one operation
// of every so many by its types.
func (w *workspace) add(t *testing.T, name string, out *gen.Output, d *prove.Document, every int) {
	t.Helper()
	if err := out.WriteTo(filepath.Join(w.folder, name)); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, name+".json", data)
	w.write(t, name+"/proof/main.go", []byte(program(name, out.Report, every)))
}

// program is the source of a program that tries the cached GETs of a report.
func program(name string, report gen.Report, every int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `// Proof tries out a generated package.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/endpointcache/endpointcache/internal/gendocs/prove"

	api %q
)

func main() {
	document, err := prove.Read(os.Args[1])
	if err == nil {
		var figures *prove.Figures
		if figures, err = prove.Run(context.Background(), document, api.Create, endpoints, typed); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(figures)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

var endpoints = []*prove.Endpoint{
`, module+"/"+name)
	var some []gen.OperationReport
	for _, op := range report.Operations {
		if !op.Cached || op.Method != "GET" {
			continue
		}
		fmt.Fprintf(&b, "\tprove.Of(%q, api.%s),\n", op.Path, op.Var)
		some = append(some, op)
	}
	b.WriteString("}\n\nvar typed = []prove.Typed{\n")
	for i := int(*sample % uint(every)); i < len(some); i += every {
		next := "nil"
		if some[i].Paged != nil {
			next = "api." + some[i].Paged.Var
		}
		fmt.Fprintf(&b, "\tprove.With(%q, api.%s, %s),\n", some[i].Path, some[i].Var, next)
	}
	b.WriteString("}\n")
	return b.String()
}

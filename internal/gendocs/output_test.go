package gendocs_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/gen"
	"github.com/endpointcache/endpointcache/internal/gendocs/prove"
	"github.com/endpointcache/endpointcache/internal/memuse"
)

func (d *document) generate(t *testing.T) *gen.Output {
	t.Helper()
	config, err := gen.ReadConfig(strings.NewReader("package: " + d.name + "\n" + d.config))
	if err != nil {
		t.Fatal(err)
	}
	out, err := gen.Generate(t.Context(), readFile(t, d.path(t)), gen.Options{Name: filepath.Base(d.file), Config: config})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every operation is in the report once, and each GET is cached or left out for a reason.
func TestReports(t *testing.T) {
	for _, d := range documents {
		t.Run(d.name, func(t *testing.T) {
			out := d.generate(t)
			reported := make(map[string]int)
			reasons := make(map[string]int)
			cached, gets, paged := 0, 0, 0
			for _, op := range out.Report.Operations {
				reported[op.Method+" "+op.Path]++
				if op.Method == "GET" {
					gets++
				}
				switch {
				case (op.Cached || op.Write != "") == (op.Skipped != ""):
					t.Errorf("%s %s: cached is %v, the write is %q, and the reason to skip it %q", op.Method, op.Path, op.Cached, op.Write, op.Skipped)
				case op.Cached && (op.Var == "" || op.Repository == ""):
					t.Errorf("%s %s has no name", op.Method, op.Path)
				case op.Cached && op.Method == "GET":
					cached++
				case op.Method == "GET":
					reasons[op.Skipped]++
				}
				if op.Paged != nil {
					paged++
				}
			}
			operations := 0
			read(t, d.path(t)).each(func(method, path string, _, _ object) {
				operations++
				if n := reported[strings.ToUpper(method)+" "+path]; n != 1 {
					t.Errorf("%s %s is reported %d times", method, path, n)
				}
			})
			t.Logf("%d operations, %d GETs: %d cached, %d paged", operations, gets, cached, paged)
			for reason, n := range reasons {
				t.Logf("%d GETs are left out: %s", n, reason)
			}
			if gets != d.gets || d.operations > 0 && operations != d.operations || len(reported) != operations {
				t.Errorf("%d of %d operations are reported, %d of %d GETs", len(reported), operations, gets, d.gets)
			}
			if cached < d.cached {
				t.Errorf("%d of %d GETs are cached", cached, gets)
			}
			var text bytes.Buffer
			if err := out.Report.Text(&text); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(out.Report)
			if err != nil {
				t.Fatal(err)
			}
			for _, op := range out.Report.Operations {
				quoted, err := json.Marshal(op.Path)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(text.String(), op.Path) || !bytes.Contains(data, quoted) {
					t.Errorf("the report lacks %s", op.Path)
				}
			}
		})
	}
}

// The packages of the documents compile without a warning, and do what they are for.
func TestOutput(t *testing.T) {
	w := newWorkspace(t)
	var some []document
	var packages []string
	for _, d := range documents {
		if d.reportOnly || testing.Short() && !d.short {
			continue
		}
		some, packages = append(some, d), append(packages, "./"+d.name)
		w.add(t, d.name, d.generate(t), read(t, d.path(t)).document(t), d.every)
	}
	w.run(t, "go", append([]string{"vet"}, packages...)...)
	w.run(t, staticcheck(t), append([]string{"-checks", "inherit,ST1003,ST1020,ST1021,ST1022"}, packages...)...)
	for _, d := range some {
		out := w.run(t, "go", "run", "./"+d.name+"/proof", d.name+".json")
		var figures prove.Figures
		if err := json.Unmarshal([]byte(out), &figures); err != nil {
			t.Errorf("%s: %v", d.name, err)
			continue
		}
		t.Logf("%s: %+v", d.name, figures)
		if figures.Keys < figures.Endpoints || figures.Requests < figures.Keys || figures.Typed == 0 {
			t.Errorf("%s: so little was tried: %+v", d.name, figures)
		}
	}
}

// GitHub's document takes less than 10 seconds and 1 GiB on two processors. The time is told;
// it is no test, as machines are busy.
func TestCostOfGitHub(t *testing.T) {
	d := documents[0]
	begun := time.Now()
	out := d.generate(t)
	took := time.Since(begun)
	total, peak := memuse.Of(func() { d.generate(t) })
	bytes := 0
	for _, file := range out.Files {
		bytes += len(file.Source)
	}
	t.Logf("%v, %d MiB at most, %d MiB in all; %d files of %d bytes", took.Round(time.Millisecond), peak>>20, total>>20, len(out.Files), bytes)
	if peak > 1<<30 {
		t.Errorf("it takes %d MiB", peak>>20)
	}
}

// The same document gives the same bytes.
func TestOutputIsStable(t *testing.T) {
	d := documents[0]
	first, second := d.generate(t), d.generate(t)
	if len(first.Files) != len(second.Files) {
		t.Fatalf("%d files, then %d", len(first.Files), len(second.Files))
	}
	for i, file := range first.Files {
		if again := second.Files[i]; file.Name != again.Name || !bytes.Equal(file.Source, again.Source) {
			t.Errorf("%s differs", file.Name)
		}
	}
}

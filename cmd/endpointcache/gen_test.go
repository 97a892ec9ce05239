package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/gen"
)

// generate runs the command, and returns the exit code and what it prints.
func generate(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	code = p.run(t.Context(), append([]string{"gen"}, args...))
	return code, out.String(), errs.String()
}

// libraryFolder has copies of the example's document and configuration.
func libraryFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"library.yaml", "cache.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "..", "examples", "openapi", name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

func TestGenMakesThePackageOfTheExample(t *testing.T) {
	dir := libraryFolder(t)
	out := filepath.Join(dir, "librarycache")
	code, stdout, stderr := generate(t, filepath.Join(dir, "library.yaml"), "-o", out, "-c", filepath.Join(dir, "cache.yaml"))
	if code != exitOK || !strings.Contains(stdout, "GET /v1/books/{isbn} (getBook)") {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	want, err := filepath.Glob(filepath.Join("..", "..", "examples", "openapi", "librarycache", "*.go"))
	check(t, err)
	made, err := filepath.Glob(filepath.Join(out, "*"))
	check(t, err)
	if len(made) == 0 || len(made) != len(want) {
		t.Errorf("%v was made, want as many as %v", made, want)
	}
	for _, path := range want {
		committed, err := os.ReadFile(path)
		check(t, err)
		generated, err := os.ReadFile(filepath.Join(out, filepath.Base(path)))
		check(t, err)
		if !bytes.Equal(committed, generated) {
			t.Errorf("%s is not what the example has", filepath.Base(path))
		}
	}
}

// go generate takes variables for their values, and words with a dash for flags.
func TestGenMakesAGoGenerateLineThatFindsItsFiles(t *testing.T) {
	dir := libraryFolder(t)
	check(t, os.MkdirAll(filepath.Join(dir, "$HOME a"), 0o750))
	check(t, os.Rename(filepath.Join(dir, "library.yaml"), filepath.Join(dir, "$HOME a", "library.yaml")))
	check(t, os.Rename(filepath.Join(dir, "cache.yaml"), filepath.Join(dir, "-c.yaml")))
	code, _, stderr := generate(t, filepath.Join(dir, "$HOME a", "library.yaml"), "-o", dir, "-c", filepath.Join(dir, "-c.yaml"))
	if code != exitOK {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	made, err := os.ReadFile(filepath.Join(dir, "doc.go"))
	check(t, err)
	if want := ` gen -c ./-c.yaml -o . "${DOLLAR}HOME a/library.yaml"` + "\n"; !strings.Contains(string(made), want) {
		t.Errorf("there is no %s in\n%s", want, made)
	}
}

func TestGenReports(t *testing.T) {
	dir := libraryFolder(t)
	code, stdout, stderr := generate(t, filepath.Join(dir, "library.yaml"), "--dry-run", "--json")
	var report gen.Report
	if err := json.Unmarshal([]byte(stdout), &report); code != exitOK || err != nil || report.Total == 0 || report.Cached == 0 {
		t.Errorf("exit code %d, %v, %+v\n%s", code, err, report, stderr)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("after a dry run, there is %v (%v)", entries, err)
	}
}

func TestGenTellsWhatIsWrong(t *testing.T) {
	dir := libraryFolder(t)
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	document := filepath.Join(dir, "library.yaml")
	outside := write("outside.yaml", "openapi: 3.0.3\ninfo: {title: A, version: '1'}\npaths:\n  /a:\n    $ref: other.yaml#/a\n")
	write("other.yaml", "a: {get: {responses: {'200': {description: ok}}}}\n")
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no folder", []string{document}, exitUsage, "--out"},
		{"no document", []string{"--dry-run"}, exitUsage, "document"},
		{"an absent document", []string{filepath.Join(dir, "absent.yaml"), "--dry-run"}, exitError, "absent.yaml"},
		{"no OpenAPI", []string{filepath.Join(dir, "cache.yaml"), "--dry-run"}, exitError, "openapi"},
		{"an absent configuration", []string{document, "--dry-run", "-c", filepath.Join(dir, "absent.yaml")}, exitError, "absent.yaml"},
		{"a wrong configuration", []string{document, "--dry-run", "-c", write("wrong.yaml", "package: a\nexpires: 1h\n")}, exitError, "wrong.yaml"},
		{"a file outside", []string{outside, "--dry-run"}, exitError, "leads out of the document"},
		{"a file outside of the folder", []string{document, "--dry-run", "--refs", t.TempDir()}, exitUsage, "is not in"},
		{"a file that is allowed", []string{outside, "--dry-run", "--refs", dir}, exitOK, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := generate(t, test.args...)
			if code != test.code || !strings.Contains(stderr, test.want) {
				t.Errorf("exit code %d, want %d and %q in it\n%s%s", code, test.code, test.want, stdout, stderr)
			}
		})
	}
}

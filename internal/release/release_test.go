package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The modules of this repository agree.
func TestModulesAgree(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	r, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.check(); err != nil {
		t.Error(err)
	}
}

// files are a repository of three modules that agree.
var files = map[string]string{
	"go.work":           "go 1.26.0\n\nuse (\n\t.\n\t./a\n\t./a/b\n)\n",
	"go.mod":            "module example.com/x\n\ngo 1.26.0\n\nrequire example.com/other v1.0.0\n",
	"a/go.mod":          "module example.com/x/a\n\ngo 1.26.0\n\nreplace example.com/x => ..\n\nrequire (\n\texample.com/other v1.0.0\n\texample.com/x v0.1.0\n)\n",
	"a/b/go.mod":        "module example.com/x/a/b\n\ngo 1.26.0\n\nreplace example.com/x => ../..\n\nrequire example.com/x v0.1.0\n",
	"CHANGELOG.md":      "# Changes\n\n## v0.1.0\n",
	"a/testdata/go.mod": "no module",
}

func write(t *testing.T, changes ...string) *repo {
	t.Helper()
	r, err := load(writeFiles(t, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func writeFiles(t *testing.T, changes ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		for i := 0; i < len(changes); i += 3 {
			if changes[i] == name {
				if !strings.Contains(text, changes[i+1]) {
					t.Fatalf("%s has no %q", name, changes[i+1])
				}
				text = strings.Replace(text, changes[i+1], changes[i+2], 1)
			}
		}
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestNoGoVersion(t *testing.T) {
	for _, file := range []string{"go.work", "go.mod", "a/go.mod"} {
		if _, err := load(writeFiles(t, file, "go 1.26.0\n", "")); err == nil || !strings.Contains(err.Error(), file+" has no") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A version that Go would not take is written nowhere.
func TestWrongVersion(t *testing.T) {
	root := writeFiles(t)
	t.Setenv("GOWORK", filepath.Join(root, "go.work"))
	for _, version := range []string{"0.2.0", "v0.2", "v2.0.0", "v0.2.0+a", "latest"} {
		if err := run(version, false); err == nil {
			t.Errorf("%s is taken", version)
		}
	}
	if data, err := os.ReadFile(filepath.Join(root, "a", "go.mod")); err != nil || string(data) != files["a/go.mod"] {
		t.Errorf("%s, %v", data, err)
	}
}

func TestCheck(t *testing.T) {
	if err := write(t).check(); err != nil {
		t.Error(err)
	}
	for _, test := range []struct{ file, old, new, want string }{
		{"a/go.mod", "x v0.1.0", "x v0.2.0", "a/b/go.mod: example.com/x v0.1.0, others require v0.2.0"},
		{"a/go.mod", "other v1.0.0", "other v1.1.0", "a/go.mod: example.com/other v1.1.0, others require v1.0.0"},
		{"a/go.mod", "go 1.26.0", "go 1.25.0", "a/go.mod: go 1.25.0, the root has 1.26.0"},
		{"a/go.mod", "x => ..", "x => ./b", "a/go.mod: example.com/x is not replaced by its folder"},
		{"a/b/go.mod", "module example.com/x/a/b", "module example.com/x/b", "a/b/go.mod: module example.com/x/b, its folder says example.com/x/a/b"},
		{"go.work", "\t./a/b\n", "", "a/b/go.mod: it is not in go.work"},
		{"go.work", "go 1.26.0", "go 1.26.1", "go.work: go 1.26.1"},
		{"go.work", "\t./a/b\n)\n", "\t./a/b\n)\n\nreplace example.com/other => ./other\n", "go.work: it replaces modules"},
		{"a/go.mod", "replace example.com/x => ..", "replace example.com/x v0.0.9 => ..", "a/go.mod: example.com/x is not replaced by its folder"},
		{"a/go.mod", "replace ", "replace example.com/other => example.com/fork v1.0.0\n\nreplace ", "a/go.mod: example.com/other is replaced"},
		{"a/go.mod", "replace ", "exclude example.com/other v1.0.1\n\nreplace ", "a/go.mod: example.com/other@v1.0.1 is excluded"},
		{"CHANGELOG.md", "v0.1.0", "v0.1.1", "CHANGELOG.md has no heading for v0.1.0"},
		{"CHANGELOG.md", "v0.1.0", "v10.1.0", "CHANGELOG.md has no heading for v0.1.0"},
		{"CHANGELOG.md", "v0.1.0", "[0.1.0-rc.1]", "CHANGELOG.md has no heading for v0.1.0"},
	} {
		err := write(t, test.file, test.old, test.new).check()
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %q: %v, want %q", test.file, test.new, err, test.want)
		}
	}
}

func TestSet(t *testing.T) {
	r := write(t, "CHANGELOG.md", "v0.1.0", "v0.2.0")
	if err := r.set("v0.2.0"); err != nil {
		t.Fatal(err)
	}
	again, err := load(r.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.check(); err != nil || again.version() != "v0.2.0" {
		t.Errorf("%s, %v", again.version(), err)
	}
}

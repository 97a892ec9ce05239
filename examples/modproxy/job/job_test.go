package job

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/examples/internal/anystore"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// goMod requires modules that the made cache has, whole or in part, one that it
// does not have, and one that stands for a folder.
const goMod = `module example.com/app

go 1.24

require (
	example.com/one v1.2.0
	github.com/BurntSushi/toml v1.5.0
	example.com/old v2.0.0+incompatible
	example.com/forked v1.0.0
	example.com/absent v1.0.0
	example.com/here v1.0.0
)

replace example.com/forked => example.com/fork v1.0.1

replace example.com/here => ../here
`

// world is a machine: a go.mod in the working folder and a module cache.
type world struct {
	*testing.T
	cache string
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, cache: t.TempDir()}
	t.Setenv("GOMODCACHE", w.cache)
	t.Setenv("GOTOOLCHAIN", "local")
	t.Chdir(t.TempDir())
	w.write("go.mod", goMod)
	w.module("example.com/one", "v1.2.0", "v1.10.0\nv1.2.0\n")
	w.module("github.com/!burnt!sushi/toml", "v1.5.0", "v1.5.0\n")
	w.module("example.com/old", "v2.0.0+incompatible", "")
	w.module("example.com/fork", "v1.0.1", "v1.0.1\n")
	w.write(w.file("example.com/one", "v1.2.0.zip"), zipOf(t, "example.com/one@v1.2.0/go.mod"))
	return w
}

func (w *world) file(module, name string) string {
	return filepath.Join(w.cache, "cache", "download", filepath.FromSlash(module), "@v", name)
}

func (w *world) module(path, version, list string) {
	w.write(w.file(path, "list"), list)
	w.write(w.file(path, version+".info"), fmt.Sprintf(`{"Version":%q,"Time":"2026-02-03T04:05:06Z","Origin":{"VCS":"git"}}`, version))
	w.write(w.file(path, version+".mod"), "module "+strings.ReplaceAll(path, "!burnt!sushi", "BurntSushi")+"\n")
	w.write(w.file(path, version+".lock"), "")
}

func (w *world) write(path, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

func zipOf(t *testing.T, names ...string) string {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for _, name := range names {
		if _, err := z.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

// expect runs the program and checks its exit code and the last line of its
// output. It returns both outputs.
func (w *world) expect(code int, lastLine string, args ...string) (stdout, stderr string) {
	w.Helper()
	return w.expectContext(w.Context(), code, lastLine, args...)
}

func (w *world) expectContext(ctx context.Context, code int, lastLine string, args ...string) (stdout, stderr string) {
	w.Helper()
	var out, errs bytes.Buffer
	got := Command(anystore.New("sqlite:modproxy.db")).Run(ctx, args, &out, &errs)
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; got != code || last != lastLine {
		w.Errorf("run%q: exit code %d and %q, want %d and %q\n%s%s", args, got, last, code, lastLine, &out, &errs)
	}
	return out.String(), errs.String()
}

// expectRow checks the columns of a repository's row up to its bytes.
func (w *world) expectRow(stdout, want string) {
	w.Helper()
	rows := regexp.MustCompile(` +`).ReplaceAllString(stdout, " ")
	if !strings.Contains("\n"+rows, "\n"+want+" ") {
		w.Errorf("there is no row %q in\n%s", want, stdout)
	}
}

func TestSecondRunFetchesNothing(t *testing.T) {
	w := newWorld(t)
	stdout, stderr := w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed")
	w.expectRow(stdout, "repository rows live cached fetched absent failed bytes")
	w.expectRow(stdout, "list 4 4 0 4 0 0 29")
	w.expectRow(stdout, "info 4 4 0 4 0 0")
	if !strings.Contains(stdout, "sqlite3 'modproxy.db'") {
		t.Errorf("the file is not named:\n%s", stdout)
	}
	for _, line := range []string{"left out 3 keys", "info: 4 of 4 keys: 0 cached, 4 fetched, 0 absent, 0 failed\n"} {
		if !strings.Contains(stderr, line) {
			t.Errorf("there is no %q in\n%s", line, stderr)
		}
	}

	w.write("below/file", "")
	t.Chdir("below") // the same go.mod
	stdout, _ = w.expect(0, "total: 12 keys, 12 cached, 0 fetched, 0 absent, 0 failed", "-store", "../modproxy.db")
	w.expectRow(stdout, "mod 4 4 4 0 0 0 0")

	_, stderr = w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed", "-store", "sqlite:../modproxy.db", "-refresh", "-v")
	if !strings.Contains(stderr, "info example.com/old@v2.0.0+incompatible: confirmed\n") {
		t.Errorf("-v does not tell of the keys:\n%s", stderr)
	}
}

func TestZip(t *testing.T) {
	w := newWorld(t)
	w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed")
	stdout, _ := w.expect(0, "total: 13 keys, 12 cached, 1 fetched, 0 absent, 0 failed", "-zip")
	w.expectRow(stdout, "zip 1 1 0 1 0 0")
	w.expect(0, "total: 13 keys, 13 cached, 0 fetched, 0 absent, 0 failed", "-zip")
}

func TestExpire(t *testing.T) {
	w := newWorld(t)
	stdout, _ := w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed", "-expire", "1us")
	w.expectRow(stdout, "mod 4 0 0 4 0 0")
	w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed", "-expire", "1h")
	w.expect(0, "total: 12 keys, 12 cached, 0 fetched, 0 absent, 0 failed")
}

func TestFileIsReadable(t *testing.T) {
	w := newWorld(t)
	w.expect(0, "total: 13 keys, 0 cached, 13 fetched, 0 absent, 0 failed", "-zip")
	db, err := sql.Open(sql.Drivers()[0], "modproxy.db")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, test := range []struct{ query, want string }{
		{"SELECT name, round(julianday(expires_at) - julianday(cached_at), 3) FROM list WHERE module = 'example.com/one'", "v1.10.0, the latest of 2|1"},
		{"SELECT name, '' FROM list WHERE module = 'example.com/old'", "no tagged version|"},
		{"SELECT name, round(julianday(expires_at) - julianday(cached_at), 3) FROM info WHERE module = 'example.com/one'", "v1.2.0 of 2026-02-03|7"},
		{"SELECT name, expires_at FROM mod WHERE module = 'github.com/!burnt!sushi/toml' AND version = 'v1.5.0'", "github.com/BurntSushi/toml|never"},
		{"SELECT name, expires_at FROM zip", "example.com/one@v1.2.0|never"},
		{"SELECT payload ->> 'Origin' ->> 'VCS', status FROM info WHERE module = 'example.com/old'", "git|200"},
	} {
		var left, right string
		if err := db.QueryRow(test.query).Scan(&left, &right); err != nil {
			t.Errorf("%s: %v", test.query, err)
		} else if got := left + "|" + right; got != test.want {
			t.Errorf("%s: %s, want %s", test.query, got, test.want)
		}
	}
}

func TestFailures(t *testing.T) {
	w := newWorld(t)
	w.write(w.file("example.com/one", "v1.2.0.info"), "no JSON")
	stdout, stderr := w.expect(1, "total: 12 keys, 0 cached, 11 fetched, 0 absent, 1 failed")
	w.expectRow(stdout, "info 3 3 0 3 0 1")
	if !strings.Contains(stderr, "info example.com/one@v1.2.0: failed: ") {
		t.Errorf("the failed key is not shown:\n%s", stderr)
	}
	w.module("example.com/one", "v1.2.0", "")
	w.expect(0, "total: 12 keys, 11 cached, 1 fetched, 0 absent, 0 failed")
}

func TestManyMissing(t *testing.T) {
	w := newWorld(t)
	var requires strings.Builder
	for i := range 12 {
		fmt.Fprintf(&requires, "require example.com/m%d v1.0.0\n", i)
	}
	w.write("go.mod", "module example.com/app\n"+requires.String())
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	_, stderr := w.expect(1, "total: 36 keys, 0 cached, 0 fetched, 36 absent, 0 failed", "-proxy", proxy.URL)
	if shown := strings.Count(stderr, ": absent\n"); shown != 30 || strings.Count(stderr, "2 more are absent or failed") != 3 {
		t.Errorf("%d missing keys are shown:\n%s", shown, stderr)
	}
	_, stderr = w.expect(1, "total: 36 keys, 0 cached, 0 fetched, 36 absent, 0 failed", "-proxy", proxy.URL, "-v")
	if shown := strings.Count(stderr, ": absent\n"); shown != 36 {
		t.Errorf("%d missing keys are shown with -v:\n%s", shown, stderr)
	}
}

// A real proxy is asked for all keys, below the path of its URL.
func TestProxy(t *testing.T) {
	w := newWorld(t)
	files := http.StripPrefix("/go", http.FileServer(http.Dir(filepath.Join(w.cache, "cache", "download"))))
	proxy := httptest.NewServer(files)
	defer proxy.Close()
	stdout, stderr := w.expect(1, "total: 15 keys, 0 cached, 12 fetched, 3 absent, 0 failed", "-proxy", proxy.URL+"/go", "-rate", "1000", "-concurrency", "2")
	w.expectRow(stdout, "list 4 4 0 4 1 0")
	if !strings.Contains(stderr, "example.com/absent: absent\n") || strings.Contains(stderr, "left out") {
		t.Errorf("the absent key is not shown:\n%s", stderr)
	}
}

func TestInterrupt(t *testing.T) {
	w := newWorld(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var requests atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 2 {
			interrupt()
			<-r.Context().Done()
			return
		}
		fmt.Fprintln(rw, "v1.0.0")
	}))
	defer proxy.Close()
	stdout, stderr := w.expectContext(ctx, 130, "total: 15 keys, 0 cached, 2 fetched, 0 absent, 0 failed", "-proxy", proxy.URL, "-concurrency", "1")
	w.expectRow(stdout, "list 2 2 0 2 0 0")
	w.expectRow(stdout, "info 0 0 0 0 0 0")
	if !strings.Contains(stderr, "interrupted") || strings.Contains(stderr, "canceled") {
		t.Errorf("the interrupt is not told:\n%s", stderr)
	}
	// Of the two, one is not in the module cache, and so is no key of the next run.
	w.expect(0, "total: 12 keys, 1 cached, 11 fetched, 0 absent, 0 failed")
}

func TestWorkspace(t *testing.T) {
	w := newWorld(t)
	w.write("go.work", "go 1.24\n\nuse (\n\t.\n\t./tool\n)\n")
	w.write("tool/go.mod", "module example.com/app/tool\n\nrequire (\n\texample.com/one v1.1.0\n\texample.com/old v2.0.0+incompatible\n)\n")
	w.module("example.com/one", "v1.1.0", "v1.10.0\nv1.2.0\n")
	stdout, _ := w.expect(0, "total: 14 keys, 0 cached, 14 fetched, 0 absent, 0 failed")
	w.expectRow(stdout, "list 4 4 0 4 0 0 29")
	w.expectRow(stdout, "info 5 5 0 5 0 0")
	w.expect(0, "total: 6 keys, 6 cached, 0 fetched, 0 absent, 0 failed", "-mod", "tool/go.mod")
}

// Modules of the workspace are on this machine, and what go.work or one of them replaces
// is replaced for all.
func TestReplacedInAWorkspace(t *testing.T) {
	w := newWorld(t)
	w.write("go.work", "go 1.24\n\nuse (\n\t.\n\t./tool\n)\n\nreplace example.com/one => example.com/fork v1.0.1\n")
	w.write("tool/go.mod", "module example.com/app/tool\n\nrequire (\n\texample.com/app v1.0.0\n\texample.com/forked v1.0.0\n\texample.com/here v1.0.0\n)\n\n"+
		"replace example.com/one v1.2.0 => ../one\n")
	versions, err := requiredVersions("go.work")
	if err != nil {
		t.Fatal(err)
	}
	want := []VersionKey{{"example.com/absent", "v1.0.0"}, {"example.com/fork", "v1.0.1"}, {"example.com/old", "v2.0.0+incompatible"}, {"github.com/!burnt!sushi/toml", "v1.5.0"}}
	if d := cmp.Diff(want, versions); d != "" {
		t.Error(d)
	}
}

func TestNoModuleCache(t *testing.T) {
	w := newWorld(t)
	t.Setenv("GOMODCACHE", filepath.Join(t.TempDir(), "none"))
	w.expect(0, "total: 0 keys, 0 cached, 0 fetched, 0 absent, 0 failed")
}

func TestMemory(t *testing.T) {
	w := newWorld(t)
	stdout, _ := w.expect(0, "total: 12 keys, 0 cached, 12 fetched, 0 absent, 0 failed", "-store", "memory:")
	if strings.Contains(stdout, "sqlite3") {
		t.Errorf("there is no file to read:\n%s", stdout)
	}
	if _, err := os.Stat("modproxy.db"); err == nil {
		t.Error("there is a file")
	}
}

func TestJobFails(t *testing.T) {
	w := newWorld(t)
	w.write("broken.mod", "require")
	w.write("text.db", strings.Repeat("no database ", 1000))
	for _, args := range [][]string{
		{"-mod", "absent.mod"},
		{"-mod", "broken.mod"},
		{"-store", "text.db"},
	} {
		_, stderr := w.expect(1, "", args...)
		if !strings.Contains(stderr, args[1]) {
			t.Errorf("%q: the error does not name the file: %s", args, stderr)
		}
	}
	t.Chdir(t.TempDir())
	if _, stderr := w.expect(1, ""); !strings.Contains(stderr, "no go.mod") {
		t.Errorf("without a go.mod: %s", stderr)
	}
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-unknown"}, "-unknown"},
		{[]string{"more"}, `"more"`},
		{[]string{"-concurrency", "0"}, "-concurrency"},
		{[]string{"-rate", "-1"}, "-rate"},
		{[]string{"-rate", "NaN"}, "-rate"},
		{[]string{"-expire", "-1s"}, "-expire"},
		{[]string{"-expire", "soon"}, "-expire"},
		{[]string{"-proxy", "proxy.example.com"}, "-proxy"},
		{[]string{"-proxy", "https://user:%zhunter2@host"}, "-proxy"},
		{[]string{"-store", "mysql://localhost"}, "-store"},
		{[]string{"-store", ""}, "-store"},
	} {
		if _, stderr := w.expect(2, "", test.args...); !strings.Contains(stderr, test.want) {
			t.Errorf("%q: the error does not tell what is wrong: %s", test.args, stderr)
		} else if strings.Contains(stderr, "hunter2") {
			t.Errorf("the error tells a password: %s", stderr)
		}
	}
	var help, none bytes.Buffer
	if code := Command(anystore.New("sqlite:modproxy.db")).Run(t.Context(), []string{"-h"}, &help, &none); code != 0 || !strings.Contains(help.String(), "-store file") || none.Len() > 0 {
		t.Errorf("-h: exit code %d\n%s%s", code, &help, &none)
	}
}

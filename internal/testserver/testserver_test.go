package testserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// fake is a server that runs when it is said to.
type fake struct {
	url     string
	stopped *[]string
}

func (f fake) URL() string { return f.url }

func (f fake) Stop() error {
	*f.stopped = append(*f.stopped, f.url)
	return nil
}

// withKinds replaces the kinds of servers, none of which a package manager has.
func withKinds(t *testing.T, changed ...kind) {
	old := kinds
	t.Cleanup(func() { kinds = old })
	kinds = changed
}

func TestSet(t *testing.T) {
	var stopped []string
	starts := func(url string) func(context.Context, *Options, environment) (server, error) {
		return func(context.Context, *Options, environment) (server, error) { return fake{url, &stopped}, nil }
	}
	fails := func(context.Context, *Options, environment) (server, error) { return nil, errNotInstalled }
	needs := func(_ context.Context, _ *Options, env environment) (server, error) {
		return fake{env.get("A_TEST_URL") + "+", &stopped}, nil
	}
	withKinds(t,
		kind{name: "A", variable: "A_TEST_URL", start: starts("a")},
		kind{name: "B", variable: "B_TEST_URL", start: starts("b")},
		kind{name: "C", variable: "C_TEST_URL", start: fails},
		kind{name: "D", variable: "D_TEST_URL", after: "A_TEST_URL", start: needs},
	)
	t.Setenv("B_TEST_URL", "there already")
	t.Setenv("CI", "")
	var log strings.Builder
	s, err := Start(t.Context(), &Options{Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	env := s.Env()
	if len(env) != 3 || env[0] != "A_TEST_URL=a" || !strings.HasPrefix(env[1], "C_TEST_URL_ABSENT=not installed") || env[2] != "D_TEST_URL=a+" {
		t.Errorf("the variables are %q", env)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "no C, ") {
		t.Errorf("the log is %q", log.String())
	}
	if err := s.Stop(); err != nil || !slices.Equal(stopped, []string{"a+", "a"}) {
		t.Errorf("stopped %v: %v", stopped, err)
	}

	t.Setenv("CI", "true")
	stopped = nil
	if s, err := Start(t.Context(), nil); s != nil || !errors.Is(err, errNotInstalled) || !slices.Equal(stopped, []string{"a+", "a"}) {
		t.Errorf("in CI: %v, stopped %v", err, stopped)
	}
}

// recorder is a test that only notes how it has ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (*recorder) Helper() {}

func (r *recorder) Skip(args ...any) {
	r.skipped = args[0].(string)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.failed = args[0].(string)
	runtime.Goexit()
}

func TestURL(t *testing.T) {
	for _, test := range []struct {
		url, reason, ci                string
		wantURL, wantSkipped, wantFail string
	}{
		{url: "redis://x", ci: "1", wantURL: "redis://x"},
		{reason: "no Java", wantSkipped: "no X_TEST_URL: no Java"},
		{reason: "no Java", ci: "1", wantFail: "no X_TEST_URL: no Java"},
		{wantSkipped: "no X_TEST_URL: it is not set; make test"},
	} {
		t.Setenv("X_TEST_URL", test.url)
		t.Setenv("X_TEST_URL_ABSENT", test.reason)
		t.Setenv("CI", test.ci)
		r := &recorder{}
		var url string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			url = testenv.URL(r, "X_TEST_URL")
		}()
		<-ended
		if url != test.wantURL || !strings.HasPrefix(r.skipped, test.wantSkipped) || r.failed != test.wantFail ||
			(r.skipped == "") != (test.wantSkipped == "") {
			t.Errorf("%+v: %q, skipped %q, failed %q", test, url, r.skipped, r.failed)
		}
	}
}

// Programs of one folder are found together; a stray one on PATH is no server.
func TestFindPrograms(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are scripts")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := func(path, script string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	find := func() (string, error) {
		found, err := findPrograms(t.Context(), []string{"make-db", "db"}, filepath.Join(root, "versions", "*", "bin"))
		rel, _ := filepath.Rel(root, found)
		return rel, err
	}
	t.Setenv("PATH", filepath.Join(root, "stray")+string(filepath.ListSeparator)+filepath.Join(root, "links"))
	program("stray/make-db", "")
	program("versions/99/bin/make-db", "")
	program("versions/99/bin/db", "exit 1")
	if found, err := find(); !errors.Is(err, errNotInstalled) {
		t.Errorf("found %s: %v", found, err)
	}
	for _, version := range []string{"9.6", "15", "16", "8"} {
		program("versions/"+version+"/bin/make-db", "")
		program("versions/"+version+"/bin/db", "")
	}
	if found, err := find(); found != "versions/16/bin" || err != nil {
		t.Errorf("found %s: %v", found, err)
	}
	if err := os.Mkdir(filepath.Join(root, "links"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "versions/15/bin/make-db"), filepath.Join(root, "links/make-db")); err != nil {
		t.Fatal(err)
	}
	if found, err := find(); found != "versions/15/bin" || err != nil {
		t.Errorf("by a link found %s: %v", found, err)
	}
}

func TestInstall(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the programs are scripts")
	}
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if err := install(t.Context(), map[string]string{"brew": "db"}, nil); err == nil {
		t.Error("installed without a package manager")
	}
	if err := os.WriteFile(filepath.Join(bin, "brew"), []byte("#!/bin/sh\necho \"$@\"; exit $FAILS"), 0o755); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	if err := install(t.Context(), map[string]string{"brew": "db"}, &log); err != nil || !strings.HasSuffix(log.String(), "\ninstall -q db\n") {
		t.Errorf("%q: %v", log.String(), err)
	}
	t.Setenv("FAILS", "1")
	if err := install(t.Context(), map[string]string{"brew": "db"}, &log); err == nil {
		t.Error("the failure is not told")
	}
	if err := install(t.Context(), map[string]string{"apt-get": "db"}, &log); err == nil {
		t.Error("installed what the package manager does not have")
	}
}

func TestOnFreePort(t *testing.T) {
	var tried []int
	err := onFreePort(t.Context(), func(port int) error {
		if tried = append(tried, port); len(tried) < 3 {
			return errPortTaken
		}
		return nil
	})
	if err != nil || len(tried) != 3 || tried[0] == tried[1] {
		t.Errorf("tried %v: %v", tried, err)
	}
	tried = nil
	if err := onFreePort(t.Context(), func(port int) error {
		tried = append(tried, port)
		return errNotInstalled
	}); !errors.Is(err, errNotInstalled) || len(tried) != 1 {
		t.Errorf("tried %v: %v", tried, err)
	}
}

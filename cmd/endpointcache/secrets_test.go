package main

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const password = "hunter2secret"

// No error and no hint shows the password in the URL of a store, and none is a stack trace.
func TestPasswordsAreNotShown(t *testing.T) {
	for _, url := range []string{
		"postgres://user:" + password + "@127.0.0.1:1/db", "postgres://user:" + password + "%zz@127.0.0.1:1/db", "redis://user:" + password + "@127.0.0.1:1",
		"mongodb://user:" + password + "@127.0.0.1:1/db?serverSelectionTimeoutMS=100", "dynamodb://user:" + password + "@127.0.0.1:1?region=x",
		"mysql://user:" + password + "@host/db", "postgres://user:" + password + "@host:port/db", "redis://:" + password + "@127.0.0.1:1/x",
		"http://user:" + password + "@host", "user:" + password + "@host",
	} {
		for _, command := range [][]string{{"find"}, {"show", "--json"}, {"rm", "--yes", "--all"}, {"find", "--limit", "x"}} {
			p := &location{kind: "sqlite", url: "", program: program{now: newLocation(t, "memory").program.now}}
			args := append([]string{command[0], url}, command[1:]...)
			r := p.run(t, "", append(args, "--timeout", "5s")...)
			if r.code != exitError && r.code != exitUsage {
				t.Errorf("%q ends with %d", args, r.code)
			}
			if out := r.stdout + r.stderr; strings.Contains(out, password) || strings.Contains(out, "goroutine") || r.stderr == "" {
				t.Errorf("%q prints %q", args, out)
			}
		}
	}
}

func TestTheNextCommandHasNoSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:music.db":                         "sqlite:music.db",
		"sqlite:my music.db":                      "'sqlite:my music.db'",
		"postgres://host/db":                      "postgres://host/db",
		"postgres://u:" + password + "@host/db":   "STORE",
		"redis://:" + password + "@host":          "STORE",
		"dynamodb://key:" + password + "@host":    "STORE",
		"postgres://host/db?password=" + password: "STORE",
	} {
		t.Setenv(storeVariable, "")
		if got := (target{Store: storeURL(url)}).given(); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, want %q", url, got, want)
		}
		t.Setenv(storeVariable, url)
		if got := (target{Store: storeURL(url), Name: "n"}).given(); len(got) != 2 || got[1] != "n" {
			t.Errorf("with the environment %s is %q", url, got)
		}
	}
}

// Commands that look leave files as they are, and make none.
func TestLookingChangesNothing(t *testing.T) {
	for _, kind := range []string{"sqlite", "filesystem"} {
		t.Run(kind, func(t *testing.T) {
			p := filled(t, newLocation(t, kind))
			_, path, _ := strings.Cut(p.url, ":")
			if kind == "sqlite" {
				path = filepath.Dir(path)
			}
			before := snapshot(t, path)
			for _, args := range [][]string{
				{"ls"}, {"keys"}, {"find"}, {"find", "--sort", "name"}, {"find", "--sort", "size", "--desc", "--limit", "1"}, {"show", "tracks", "harder"}, {"stats", "--bodies"},
				{"verify"}, {"why", music + "/v1/tracks/aero"}, {"rm", "--all", "--dry-run"}, {"clear", "--expired", "--dry-run"}, {"rm", "--all"},
				{"expire", "--all", "--dry-run", "--json"}, {"show", "nothing", "x"},
			} {
				p.run(t, "", args...)
			}
			if d := cmp.Diff(before, snapshot(t, path)); d != "" {
				t.Errorf("something has changed:\n%s", d)
			}
		})
	}
}

func TestAnAbsentCacheIsNotMade(t *testing.T) {
	folder := t.TempDir()
	for _, url := range []string{"sqlite:" + filepath.Join(folder, "absent.db"), "file:" + filepath.Join(folder, "absent")} {
		for _, args := range [][]string{{"ls"}, {"find"}, {"rm", "--all", "--yes"}, {"clear", "--expired", "--yes"}, {"touch", "x", "y", "--never", "--yes"}} {
			p := &location{kind: "sqlite", url: url}
			if r := p.run(t, "", args...); r.code != exitError || !strings.Contains(r.stderr, "there is no cache") {
				t.Errorf("%q of %s: %+v", args, url, r)
			}
		}
	}
	if left := snapshot(t, folder); len(left) > 1 {
		t.Errorf("there is %v", left)
	}
}

// snapshot is what a folder holds: names, times and contents.
func snapshot(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	check(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		what := info.ModTime().String()
		if !entry.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(content)
			what += string(sum[:])
		}
		files[path] = what
		return nil
	}))
	return files
}

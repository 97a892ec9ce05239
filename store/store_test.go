package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/store"
)

func TestOpenTellsWhatAURLMayBe(t *testing.T) {
	t.Chdir(t.TempDir())
	for address, want := range map[string]string{
		"":                              "none of sqlite:file, memory:",
		"music.db":                      "write sqlite:music.db",
		"mysql://user:hunter22@host/db": "none of",
		`C:\music.db`:                   "none of",
		"sqlite:":                       "without a path",
		"file:":                         "without a path",
		"file://host/folder":            "file:path or file:///path",
		"sqlite:///music.db?mode=rwc":   "sqlite:///path?mode=ro",
		"sqlite:music.db?mode=rwc":      "sqlite:path?mode=ro",
		"sqlite:music.db?cache=shared":  "sqlite:path?mode=ro",
		"sqlite:music.db?mode=ro":       "music.db",
		"sqlite:music.db?mode":          "question mark",
		"sqlite:music.db?":              "question mark",
		"file:music?":                   "question mark",
		"file:music?mode=ro":            "file:path or file:///path",
		"memory:more":                   "takes no name",
		"postgres://user:hunter%2@host": "postgres: open",
		"redis://user:hunter%2@host":    "redis: open",
		"redis:":                        "redis: open",
		"mongodb://user:hunter%2@host":  "mongodb: open",
		"mongodb:":                      "mongodb: open",
		"dynamodb:table":                "dynamodb: open",
	} {
		s, err := store.Open(t.Context(), address, nil)
		if err == nil {
			t.Errorf("%s: no error", address)
			s.Close()
			continue
		}
		if s != nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, %v: want an error that tells %q", address, s, err, want)
		}
	}
	if entries, err := os.ReadDir("."); err != nil || len(entries) > 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}

func TestPathsOfURLs(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	absolute := filepath.ToSlash(folder)
	if !strings.HasPrefix(absolute, "/") {
		absolute = "/" + absolute // C:/folder
	}
	for address, want := range map[string]string{
		"sqlite:music.db":                      "music.db",
		"SQLite:a%20b?.db":                     "a%20b?.db",
		"sqlite://" + absolute + "/a%20b.db":   "a b.db",
		"file:music":                           "music",
		"file:" + filepath.Join(folder, "abs"): "abs",
		"file://" + absolute + "/c%23d":        "c#d",
	} {
		s, err := store.Open(t.Context(), address, &store.Options{Name: "ignored"})
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if _, err := os.Stat(filepath.Join(folder, want)); err != nil {
			t.Errorf("%s: %v", address, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASQLiteFileIsOpenedToBeRead(t *testing.T) {
	t.Chdir(t.TempDir())
	spec := driver.TableSpec{Name: "tracks", Key: []driver.Column{{Name: "id", Kind: driver.String}}}
	for _, address := range []string{"sqlite:music.db", "sqlite:music.db?mode=ro"} {
		s, err := store.Open(t.Context(), address, nil)
		if err != nil {
			t.Fatal(err)
		}
		table, err := s.OpenTable(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		err = table.Put(t.Context(), []driver.Entry{{Key: driver.Key{"a"}}})
		if refused := errors.Is(err, driver.ErrReadOnly); refused != strings.HasSuffix(address, "ro") {
			t.Errorf("%s: a save is %v", address, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestKind(t *testing.T) {
	for address, want := range map[string]string{
		"sqlite:x": "sqlite", "memory:": "memory", "FILE:x": "filesystem", "postgresql://h": "postgres", "rediss://h": "redis",
		"mongodb+srv://h": "mongodb", "dynamodb://": "dynamodb", "x": "", "": "", "http://h": "",
	} {
		if got := store.Kind(address); got != want {
			t.Errorf("Kind(%q) = %q, want %q", address, got, want)
		}
	}
}

package anystore

import (
	"flag"
	"strings"
	"testing"
)

func TestWithoutPassword(t *testing.T) {
	for database, want := range map[string]string{
		"postgres://u:secret@host:5432/db?sslmode=disable": "postgres://u@host:5432/db?sslmode=disable",
		"postgres://host/db":                        "postgres://host/db",
		"postgres://host/db?password=secret&user=u": "postgres://host/db?user=u",
		"postgres://host/db?sslpassword=secret":     "postgres://host/db",
		"postgres://u:sec%ret@host/db":              "postgres://…",
	} {
		if got := withoutPassword(database); got != want {
			t.Errorf("%s: %s", database, got)
		}
	}
}

func TestStoreFlag(t *testing.T) {
	for text, want := range map[string]Store{
		"music.db":        "sqlite:music.db",
		"a/b c.db":        "sqlite:a/b c.db",
		"sqlite:music.db": "sqlite:music.db",
		"memory:":         "memory:",
		"file:music":      "file:music",
	} {
		if s := parseStore(t, text); s != want || s.Check() != nil {
			t.Errorf("%q: %q, %v, want %q", text, s, s.Check(), want)
		}
	}
	for _, text := range []string{"", "mysql://user:secret@host/db"} {
		if err := parseStore(t, text).Check(); err == nil || !strings.Contains(err.Error(), "sqlite:file") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error does not tell what there is, or a password: %v", text, err)
		}
	}
}

func TestQuery(t *testing.T) {
	for store, want := range map[Store]string{
		"sqlite:music.db": "sqlite3 'music.db' 'SELECT id FROM t'",
		"SQLite:it's.db":  `sqlite3 'it'\''s.db' 'SELECT id FROM t'`,
		"memory:":         "",
	} {
		if got := store.Query("id", "name", "t"); got != want {
			t.Errorf("%s: %s", store, got)
		}
	}
}

func parseStore(t *testing.T, text string) Store {
	t.Helper()
	var s Store
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	s.Flag(flags)
	if err := flags.Parse([]string{"-store", text}); err != nil {
		t.Fatal(err)
	}
	return s
}

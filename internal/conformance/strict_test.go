package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheStrictFormRepairsTheCheck(t *testing.T) {
	const check = "if (response.headers.has(header[0]) && response.headers[header[0]]) {\n  const v = response.headers[header[0]]\n}"
	for _, e := range []edition{released, repository} {
		dir := t.TempDir()
		path := filepath.Join(dir, e.engine, "client", "test.mjs")
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := makeStrict(dir, e); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: without a file: %v", e.name, err)
		}
		if err := os.WriteFile(path, []byte(check), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := makeStrict(dir, e); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), strict) != places || strings.Contains(string(text), lenient) {
			t.Errorf("%s: %s, %v", e.name, text, err)
		}
		if err := makeStrict(dir, e); !errors.Is(err, errOtherCheck) {
			t.Errorf("%s: where it is not found: %v", e.name, err)
		}
	}
}

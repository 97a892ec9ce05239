package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// stranger is a program of someone who uses the library.
const stranger = `package main

import (
	"context"
	"log"
	"net/http"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
	"github.com/endpointcache/endpointcache/transport"
)

func main() {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, "music.db", nil)
	if err != nil {
		log.Fatal(err)
	}
	c, err := cache.New(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := cache.CreateRepository(ctx, c, settings.CatchAll("responses", nil)); err != nil {
		log.Fatal(err)
	}
	_ = &http.Client{Transport: transport.New(c, nil)}
}
`

// maxRequirements is how many modules such a program has in its go.mod.
const maxRequirements = 8

// A program beside this repository builds and runs with few requirements, and without
// the clients of stores that it does not use. It may have to download modules, so the
// short tests leave it out.
func TestStranger(t *testing.T) {
	if testing.Short() {
		t.Skip("may need the network")
	}
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"main.go": stranger,
		"go.mod": "module example.com/stranger\n\ngo 1.26.0\n\nrequire github.com/endpointcache/endpointcache v0.1.0\n\n" +
			"replace github.com/endpointcache/endpointcache => " + modfile.AutoQuote(filepath.ToSlash(root)) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{"mod tidy", "run ."} {
		cmd := exec.CommandContext(t.Context(), "go", strings.Fields(args)...)
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args, err, out)
		}
	}
	data, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Require) > maxRequirements {
		t.Errorf("%d requirements, at most %d are wanted:\n%s", len(file.Require), maxRequirements, data)
	}
	sums, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"aws", "mongo", "rueidis", "pgx", "modernc.org/sqlite"} {
		if strings.Contains(string(data), module) {
			t.Errorf("%s is required:\n%s", module, data)
		}
		for line := range strings.Lines(string(sums)) {
			if strings.Contains(line, module) && !strings.Contains(line, "/go.mod ") {
				t.Errorf("%s is downloaded: %s", module, line)
			}
		}
	}
}

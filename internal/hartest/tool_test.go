package hartest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

// tool is the command endpointcache, in a folder of its own.
type tool struct {
	program, folder string
}

// built is a command of this project, which is in the folder given.
func built(t *testing.T, module, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join("../..", module), "-o", program, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	return program
}

// run runs the command, and returns what it prints.
func (c *tool) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.program, args...)
	cmd.Dir = c.folder
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%v ends with %d, not %d: %s%s", args, got, code, out, &stderr)
	}
	return string(out)
}

// What the example of an SDK has left is explored, shown, compared, expired, copied to PostgreSQL and back, and opened
// by readers of HAR.
func TestTheCacheThatAnExampleLeaves(t *testing.T) {
	postgres := testenv.URL(t, "POSTGRES_TEST_URL")
	folder := t.TempDir()
	music := exec.CommandContext(t.Context(), built(t, "examples", "./musicsdk/cmd/music"), "-delay", "0s")
	music.Dir = folder
	if out, err := music.CombinedOutput(); err != nil {
		t.Fatalf("music: %v\n%s", err, out)
	}
	c := &tool{built(t, "cmd/endpointcache", "."), folder}

	for _, want := range []string{"tracks ", "albums ", "new_releases "} {
		if got := c.run(t, 0, "ls", "sqlite:music.db"); !strings.Contains(got, "\n"+want) {
			t.Errorf("there is no %s in\n%s", want, got)
		}
	}
	found := strings.Split(c.run(t, 0, "find", "sqlite:music.db", "tracks", "--status", "200", "--limit", "1", "--json"), "\n")
	var track struct {
		Key  map[string]string `json:"key"`
		Name string            `json:"name"`
	}
	check(t, json.Unmarshal([]byte(found[0]), &track))
	key := []string{"sqlite:music.db", "tracks", "id=" + track.Key["id"], "market=" + track.Key["market"]}
	of := func(command string, flags ...string) []string { return slices.Concat([]string{command}, key, flags) }
	if got := c.run(t, 0, of("show")...); !strings.Contains(got, "it would be served") || !strings.Contains(got, `"title": `) {
		t.Errorf("shown is %s", got)
	}
	body := c.run(t, 0, of("show", "--raw")...)

	var answer atomic.Value
	answer.Store(body)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/tracks/"+track.Key["id"] {
			t.Errorf("the origin is asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "private, max-age=3600")
		fmt.Fprint(w, answer.Load())
	}))
	defer origin.Close()
	c.run(t, 0, of("diff", "--base", origin.URL)...)
	answer.Store(strings.Replace(body, `"number":`, `"number":1`, 1))
	if got := c.run(t, 4, of("diff", "--base", origin.URL)...); !strings.Contains(got, "/number") || strings.Contains(got, "/title") {
		t.Errorf("the difference is %s", got)
	}

	c.run(t, 0, of("expire", "--yes")...)
	if got := c.run(t, 0, of("show")...); !strings.Contains(got, "it would be fetched") {
		t.Errorf("shown is %s", got)
	}
	c.run(t, 0, of("touch", "--for", "30d", "--yes")...)

	schema := tracktest.NewName()
	defer func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, postgres)
		check(t, err)
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE")
		check(t, errors.Join(err, conn.Close(ctx)))
	}()
	c.run(t, 0, "cp", "sqlite:music.db", postgres, "--to-name", schema)
	c.run(t, 0, "cp", postgres, "sqlite:back.db", "--from-name", schema)
	c.run(t, 0, "verify", "sqlite:back.db")
	c.run(t, 0, "export", "sqlite:music.db", "--sorted", "-o", "music.jsonl")
	c.run(t, 0, "export", "sqlite:back.db", "--sorted", "-o", "back.jsonl")
	original, err := os.ReadFile(filepath.Join(folder, "music.jsonl"))
	check(t, err)
	back, err := os.ReadFile(filepath.Join(folder, "back.jsonl"))
	check(t, err)
	if string(back) != string(original) {
		t.Error("what comes back from PostgreSQL is not what was copied there")
	}

	npm := reader(t)
	c.run(t, 0, "export", "sqlite:music.db", "tracks", "-o", filepath.Join(npm, "tracks.har"))
	read := (&tool{"node", npm}).run(t, 0, "read.mjs", "tracks.har")
	var entries []entry
	check(t, json.Unmarshal([]byte(read), &entries))
	if !slices.ContainsFunc(entries, func(e entry) bool { return strings.Contains(e.URL, track.Key["id"]) && string(e.Body) == body }) {
		t.Errorf("the track is not among %d entries of the HAR", len(entries))
	}
}

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/store"
)

// succeeds runs a command that has to succeed.
func (p *location) succeeds(t *testing.T, args ...string) string {
	t.Helper()
	r := p.run(t, "", args...)
	if r.code != 0 {
		t.Fatalf("%v ends with %d: %s%s", args, r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// named is a flag with the name of the place's tables, where the store has one.
func (p *location) named(flag string) []string {
	if p.kind == "sqlite" || p.kind == "filesystem" || p.kind == "memory" {
		return nil
	}
	return []string{flag, p.name}
}

// copies runs cp, which has flags of its own for names.
func (p *location) copies(t *testing.T, args ...string) string {
	t.Helper()
	bare := *p
	bare.kind = "sqlite"
	return bare.succeeds(t, append([]string{"cp"}, args...)...)
}

// What is copied or exported and comes back is what it was, whatever the store.
func TestContentsTravelBetweenStores(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		filled(t, p)
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }
		read := func(name string) []string {
			t.Helper()
			text, err := os.ReadFile(file(name))
			check(t, err)
			return strings.Split(string(text), "\n")
		}
		if got, want := p.succeeds(t, "export", "-o", file("all.jsonl"), "--sorted", "--json"), `{"exported":11,"file":"`+file("all.jsonl")+"\"}\n"; got != want {
			t.Errorf("export tells %s", got)
		}
		want := read("all.jsonl")
		same := func(what, name string) {
			t.Helper()
			if d := cmp.Diff(want, read(name)); d != "" {
				t.Errorf("%s: %s", what, d)
			}
		}
		aside := func(url string) *location { // in SQLite
			other := *p
			other.kind, other.url, other.program.open = "sqlite", url, nil
			return &other
		}

		copied := aside("sqlite:" + file("copy.db"))
		if got := p.copies(t, append(p.named("--from-name"), p.url, copied.url)...); !strings.HasPrefix(got, "Copied 11 of 11 entries, ") {
			t.Errorf("cp tells %s", got)
		}
		copied.succeeds(t, "export", "-o", file("copy.jsonl"), "--sorted")
		same("copied", "copy.jsonl")

		imported := aside("sqlite:" + file("import.db"))
		imported.succeeds(t, "import", file("all.jsonl"))
		imported.succeeds(t, "export", "-o", file("import.jsonl"), "--sorted")
		same("imported", "import.jsonl")

		p.succeeds(t, "clear", "--all", "--yes")
		p.copies(t, append(p.named("--to-name"), copied.url, p.url)...)
		if got := p.copies(t, append(p.named("--to-name"), copied.url, p.url, "--yes", "--json")...); got != `{"looked":11,"copied":0,"equal":11,"kept":0,"damaged":0,"tooLarge":0,"bytes":0,"dryRun":false}`+"\n" {
			t.Errorf("a second copy: %s", got)
		}
		p.succeeds(t, "export", "-o", file("back.jsonl"), "--sorted")
		same("back", "back.jsonl")

		p.succeeds(t, "export", "tracks", "-o", file("tracks.har"))
		har := aside("sqlite:" + file("har.db"))
		if got := har.succeeds(t, "import", file("tracks.har"), "--repository", "all"); got != "Imported 4 responses.\n" {
			t.Errorf("import tells %s", got)
		}
		for _, name := range []string{"all.jsonl", "tracks.har"} {
			info, err := os.Stat(file(name))
			check(t, err)
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has the mode %v", name, info.Mode())
			}
		}
		entries, err := os.ReadDir(dir)
		check(t, err)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				t.Errorf("%s is left", e.Name())
			}
		}
	})
}

func TestDoctorAndVacuumOnEveryStore(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		filled(t, p)
		for _, args := range [][]string{{"doctor"}, {"doctor", "--thorough"}} {
			n := 0
			for line := range strings.Lines(p.succeeds(t, append(args, "--json")...)) {
				var f finding
				check(t, json.Unmarshal([]byte(line), &f))
				if f.Level == "fault" || f.Subject == "" || f.Value == "" || (f.Level == "good") != (f.Advice == "") {
					t.Errorf("%s", line)
				}
				n++
			}
			if n == 0 && p.kind != "memory" {
				t.Error("nothing is told")
			}
			if got := p.succeeds(t, args...); !strings.HasPrefix(got, "LEVEL") && p.kind != "memory" {
				t.Error(got)
			}
		}
		p.succeeds(t, "clear", "pages", "--all", "--yes")
		r := p.run(t, "", "vacuum")
		if r.code != 0 && r.code != exitNothing {
			t.Errorf("vacuum ends with %d: %s%s", r.code, r.stdout, r.stderr)
		}
		if got := p.succeeds(t, "find", "tracks"); strings.Count(got, "\n") != 5 {
			t.Errorf("there is\n%s", got)
		}
	})
}

func TestMistakesOfMoves(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "there.har"), []byte(`{"log": 1}`), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "cut.jsonl"), []byte(`{"format":"endpointcache","version":1}`+"\n"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "text.txt"), []byte("a text\n"), 0o600))
	file := strings.TrimPrefix(p.url, "sqlite:")
	check(t, os.Link(file, filepath.Join(dir, "hard.db")))
	check(t, os.Symlink(file, filepath.Join(dir, "symbolic.db")))
	p.golden(t, "move", p.url, "STORE", dir, "DIR", "../"+filepath.Base(dir), "../DIRNAME")
}

func TestServe(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	s := p.serve(t, "serve")
	if got := get(t, s.base); !strings.HasPrefix(got, "200") || !strings.Contains(got, "tracks") {
		t.Error(got)
	}
	resp, err := http.Post(s.base+"delete", "text/plain", nil)
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode < 400 {
		t.Errorf("a change is answered with %s", resp.Status)
	}
	if r := s.end(); r.code != 0 || r.stdout != "" || r.stderr != "" {
		t.Errorf("serve ends with %d: %s%s", r.code, r.stdout, r.stderr)
	}
}

// What a target cannot hold is told in the result, beside all that was copied.
func TestACopyWithoutWhatIsTooLarge(t *testing.T) {
	p := filled(t, newLocation(t, "sqlite"))
	p.program.open = func(ctx context.Context, url string, opts *store.Options) (driver.Store, error) {
		if url == "memory:" {
			return memory.New(&memory.Options{MaxBytes: 1 << 10})
		}
		return store.Open(ctx, url, opts)
	}
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, pages)
	check(t, err)
	check(t, r.Save(t.Context(), pageKey{Number: 100}, strings.Repeat("long", 1<<10), repository.AsOf(noon)))
	check(t, c.Close())
	got := p.run(t, "", "cp", p.url, "memory:", "pages", "--json")
	var told copied
	check(t, json.Unmarshal([]byte(got.stdout), &told))
	if got.code != exitDifferent || got.stderr != "" || told.TooLarge != 1 || told.Copied != 7 {
		t.Errorf("cp ends with %d: %s%s", got.code, got.stdout, got.stderr)
	}
}

// A store of a server is the same by another URL, which the server tells.
func TestNoStoreIsCopiedToItself(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		other := strings.Replace(p.url, "127.0.0.1", "localhost", 1)
		if other == p.url {
			t.Skip("its URL has no other form")
		}
		filled(t, p)
		unnamed := *p
		unnamed.kind = "sqlite" // cp has no --name
		got := unnamed.run(t, "", "cp", p.url, other, "--from-name", p.name, "--to-name", p.name, "--yes")
		if got.code != exitUsage || !strings.Contains(got.stderr, "the two stores are the same") {
			t.Errorf("%+v", got)
		}
	})
}

// A recording of long ago has expired when it is imported, unless a life is said.
func TestImportedResponsesLiveAsLongAsIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.har")
	check(t, os.WriteFile(path, []byte(`{"log":{"version":"1.2","creator":{"name":"a browser","version":"1"},"entries":[{
		"startedDateTime":"2001-01-01T00:00:00Z","time":1,"cache":{},"timings":{"send":0,"wait":1,"receive":0},
		"request":{"method":"GET","url":"https://api.test/a","httpVersion":"HTTP/1.1","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":0},
		"response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","cookies":[],"headers":[{"name":"Content-Type","value":"text/plain"}],
			"content":{"size":1,"mimeType":"text/plain","text":"a"},"redirectURL":"","headersSize":-1,"bodySize":1}}]}}`), 0o600))
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{nil, "expired"}, {[]string{"--for", "7d"}, "expired"}, {[]string{"--for", "200y"}, "live"}, {[]string{"--never"}, "live"},
	} {
		p := newLocation(t, "sqlite")
		p.succeeds(t, append([]string{"import", path, "--repository", "all", "--yes"}, test.flags...)...)
		if got := p.succeeds(t, "keys", "--state", test.want, "--json"); !strings.Contains(got, "https://api.test/a") {
			t.Errorf("with %q, it is not %s: %s", test.flags, test.want, got)
		}
	}
}

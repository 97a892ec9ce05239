package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/preview"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// texts are such as a terminal would obey, or show as something else.
var texts = []string{
	"\x1b[2J\x1b]0;owned\a", "two\nlines\r\x00", "\u202egpj.exe", "\xff\xfebytes", "\u009b31m", "it's; rm -rf $HOME `x`", "key=key=1", "-rf", "<script>alert(1)</script>", " ",
}

type textKey struct{ Text, Other string }

func (p *location) hostile(t *testing.T) {
	t.Helper()
	c := p.cache(t, nil)
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[textKey, string]{Name: "texts", Payload: payload.String(), NameOf: func(v string) string { return v }})
	check(t, err)
	for _, text := range texts {
		e, err := repository.NewEntry(200, repository.Head{Header: http.Header{"X-Text": {strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(text)}}}, []byte(text))
		check(t, err)
		check(t, r.SaveEntry(t.Context(), textKey{text, "x"}, e))
	}
	check(t, c.Close())
}

// Whatever is stored, what is shown of it is UTF-8 and moves no cursor.
func TestHostileContentsAreShownAsText(t *testing.T) {
	onEveryStore(t, func(t *testing.T, p *location) {
		p.hostile(t)
		if r := p.run(t, "", "keys", "--json"); strings.Count(r.stdout, "\n") != len(texts) {
			t.Fatalf("%d texts are there: %s%s", len(texts), r.stdout, r.stderr)
		}
		harmless := func(args ...string) string {
			t.Helper()
			r := p.run(t, "", args...)
			for _, out := range []string{r.stdout, r.stderr} {
				if !utf8.ValidString(out) || preview.Visible(out) != out {
					t.Errorf("%q prints %q", args, out)
				}
			}
			if r.code != exitOK {
				t.Errorf("%q ends with %d: %s", args, r.code, r.stderr)
			}
			return r.stdout
		}
		for _, command := range []string{"ls", "keys", "find", "stats", "verify"} {
			harmless(command)
			harmless(command, "--json")
		}
		harmless("rm", "--all", "--dry-run")
		harmless("find", "texts", "--sort", "name")
		for line := range strings.Lines(harmless("find", "--json")) {
			var e struct{ Key json.RawMessage }
			check(t, json.Unmarshal([]byte(line), &e))
			harmless("show", "texts", "--key-json", string(e.Key))
			harmless("show", "texts", "--json", "--key-json", string(e.Key))
		}
	})
}

// A key can be given as it is shown: as words of a shell, or as JSON. What is stored comes out byte for byte.
func TestEveryKeyCanBeGiven(t *testing.T) {
	p := newLocation(t, "sqlite")
	p.hostile(t)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash here")
	}
	keys := p.run(t, "", "keys").stdout
	for _, line := range strings.Split(strings.TrimSpace(keys), "\n")[1:] {
		words := strings.TrimSpace(strings.TrimPrefix(line, "texts"))
		for _, locale := range []string{"C", "C.UTF-8"} {
			command := exec.CommandContext(t.Context(), bash, "--noprofile", "-c", "printf '%s\\0' "+words)
			command.Env = append(os.Environ(), "LC_ALL="+locale)
			out, err := command.Output()
			check(t, err)
			args := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
			r := p.run(t, "", append([]string{"show", "texts", "--raw"}, args...)...)
			if r.code != exitOK || !contains(texts, r.stdout) {
				t.Errorf("%s shows %q, %s", words, r.stdout, r.stderr)
			}
		}
	}
	for line := range strings.Lines(p.run(t, "", "keys", "--json").stdout) {
		var e struct{ Key json.RawMessage }
		check(t, json.Unmarshal([]byte(line), &e))
		r := p.run(t, "", "show", "texts", "--raw", "--key-json", string(e.Key))
		if r.code != exitOK || !contains(texts, r.stdout) {
			t.Errorf("%s shows %q, %s", e.Key, r.stdout, r.stderr)
		}
	}
}

func contains(all []string, text string) bool {
	for _, t := range all {
		if t == text {
			return true
		}
	}
	return false
}

func TestALargeBody(t *testing.T) {
	size := 50 << 20
	if testing.Short() {
		size = 5 << 20
	}
	for _, kind := range []string{"sqlite", "filesystem"} {
		t.Run(kind, func(t *testing.T) {
			p := newLocation(t, kind)
			c := p.cache(t, nil)
			r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{Name: "files", Payload: payload.Bytes()})
			check(t, err)
			body := []byte(`{"rows":[` + strings.Repeat(`{"n":12345678901234567890},`, size/27) + `{}]}`)
			check(t, r.Save(t.Context(), "large", body))
			check(t, r.Save(t.Context(), "binary", bytes.Repeat([]byte{0, 1, 2, 255}, size/4)))
			check(t, c.Close())

			if got := p.run(t, "", "show", "files", "large", "--raw"); got.code != exitOK || got.stdout != string(body) {
				t.Errorf("the body is of %d bytes: %s", len(got.stdout), got.stderr)
			}
			path := filepath.Join(t.TempDir(), "body")
			check(t, okay(p.run(t, "", "show", "files", "large", "-o", path)))
			if written, err := os.ReadFile(path); err != nil || !bytes.Equal(written, body) {
				t.Errorf("the file is of %d bytes: %v", len(written), err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
				t.Errorf("the file is for others, too: %v, %v", info.Mode(), err)
			}
			if got := p.run(t, "", "show", "files", "large", "-o", path); got.code != exitError {
				t.Errorf("a file that is there is overwritten: %+v", got)
			}
			if got := p.run(t, "", "show", "files", "large"); got.code != exitOK || strings.Count(got.stdout, "12345678901234567890") != size/27 {
				t.Errorf("a body of %d bytes is shown in %d: %s", len(body), len(got.stdout), got.stderr)
			}
			if got := p.run(t, "", "show", "files", "binary"); got.code != exitOK || len(got.stdout) > 10_000 {
				t.Errorf("%d bytes are shown of a binary body: %s", len(got.stdout), got.stderr)
			}
		})
	}
}

// okay is an error where a command has failed.
func okay(r result) error {
	if r.code != exitOK {
		return &exec.ExitError{Stderr: []byte(r.stderr)}
	}
	return nil
}

package hartest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/archive"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

//go:embed package.json package-lock.json .npmrc read.mjs
var files embed.FS

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reader is a folder with the packages of npm.
func reader(t *testing.T) (folder string) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not on this machine", tool)
		}
		t.Skipf("%s is not on this machine", tool)
	}
	folder = t.TempDir()
	check(t, os.CopyFS(folder, files))
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return folder
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write([]byte(text))
	check(t, err)
	check(t, z.Close())
	return b.String()
}

type entry struct {
	URL     string
	Status  int
	Started time.Time
	Body    []byte
}

func TestReadersOfNPMTakeAHAR(t *testing.T) {
	folder := reader(t)
	store, err := memory.New(nil)
	check(t, err)
	c, err := cache.New(store, nil)
	check(t, err)
	defer c.Close()
	_, err = cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, []byte]{
		Name: "tracks", Pattern: "GET api.test/tracks/{id}", Payload: payload.Bytes(),
	})
	check(t, err)
	at := time.Date(2026, 11, 29, 12, 0, 0, 123456000, time.UTC)
	text := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	want := make(map[string]entry)
	var all []cache.Stored
	add := func(repo, key string, status int, h http.Header, body, plain string) {
		e, err := repository.NewEntry(status, repository.Head{Header: h, Proto: "HTTP/2.0"}, []byte(body))
		check(t, err)
		e.CachedAt = at
		all = append(all, cache.Stored{Repository: repo, Key: []cache.KeyColumn{{Name: "key", Value: key}}, Entry: e})
		url := "https://api.test/tracks/" + key
		if repo != "tracks" {
			url = "endpointcache:///" + repo + "?key=" + key
		}
		want[url] = entry{url, status, at.Truncate(time.Millisecond), []byte(plain)}
	}
	add("tracks", "text", 200, text, "<b>\u2028 & ä", "<b>\u2028 & ä")
	add("tracks", "binary", 200, http.Header{"Content-Type": {"image/png"}}, "\x89PNG\x00\xff", "\x89PNG\x00\xff")
	add("tracks", "coded", 200, http.Header{"Content-Type": {"text/html"}, "Content-Encoding": {"gzip"}}, zipped(t, "<p>coded</p>"), "<p>coded</p>")
	add("tracks", "odd", 404, http.Header{"X-Odd": {"\xff", ""}, "Set-Cookie": {"a=b"}}, "", "")
	add("tracks", "moved", 302, http.Header{"Location": {"https://api.test/tracks/text"}}, "", "")
	add("unknown", "a", 200, nil, "x", "x")
	_, err = c.Contents().Save(t.Context(), func(yield func(cache.Stored, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}, nil)
	check(t, err)

	for i, q := range []cache.Query{{}, {MinStatus: 998}} {
		path := filepath.Join(folder, fmt.Sprint(i, ".har"))
		file, err := os.Create(path)
		check(t, err)
		n, err := archive.WriteHAR(t.Context(), file, c.Contents(), q)
		check(t, err)
		check(t, file.Close())
		node := exec.CommandContext(t.Context(), "node", "read.mjs", path)
		node.Dir = folder
		out, err := node.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var got []entry
		check(t, json.Unmarshal(out, &got))
		if len(got) != n || i == 0 && n != len(want) {
			t.Errorf("%d entries were read, %d written", len(got), n)
		}
		for _, e := range got {
			if w := want[e.URL]; fmt.Sprint(e) != fmt.Sprint(w) {
				t.Errorf("read as %v, want %v", e, w)
			}
		}
	}
}

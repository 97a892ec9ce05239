package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output runs the program, without what differs from run to run.
func output(t *testing.T, folder string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), folder, &out); err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`ttl=\d+`).ReplaceAllString(out.String(), "ttl=…")
	return regexp.MustCompile(` +\n`).ReplaceAllString(text, "\n")
}

const firstRun = `The first run

GET                         status   from        Cache-Status
/v1/tracks/a                200      the API
/v1/tracks/b                200      the API
/v1/tracks/a                200      the cache   "music"; hit; ttl=…
/v1/search?q=blue&limit=2   200      the API
/v1/search?limit=2&q=blue   200      the cache   "music"; hit; ttl=…
/v1/me                      200      the API
/v1/tracks/unknown          404      the API
/v1/tracks/unknown          404      the cache   "music"; hit; ttl=…

Prefetch of 5 tracks: 2 cached, 2 fetched, 1 absent, 0 failed, with 1 requests.
  a is "Blue in Green"
  b is "So What"
  c is "Freddie Freeloader"
  d is "All Blues"
  unknown is absent
Of the cache: 6 hits, 7 misses, 7 stored. The API was asked 6 times.

`

const laterRun = `
GET                         status   from        Cache-Status
/v1/tracks/a                200      the cache   "music"; hit; ttl=…
/v1/tracks/b                200      the cache   "music"; hit; ttl=…
/v1/tracks/a                200      the cache   "music"; hit; ttl=…
/v1/search?q=blue&limit=2   200      the cache   "music"; hit; ttl=…
/v1/search?limit=2&q=blue   200      the cache   "music"; hit; ttl=…
/v1/me                      200      the cache   "music"; hit; ttl=…
/v1/tracks/unknown          404      the cache   "music"; hit; ttl=…
/v1/tracks/unknown          404      the cache   "music"; hit; ttl=…

Prefetch of 5 tracks: 4 cached, 0 fetched, 1 absent, 0 failed, with 0 requests.
  a is "Blue in Green"
  b is "So What"
  c is "Freddie Freeloader"
  d is "All Blues"
  unknown is absent
Of the cache: 13 hits, 0 misses, 0 stored. The API was asked 0 times.

`

func TestRun(t *testing.T) {
	if got, want := output(t, t.TempDir()), firstRun+"The second run\n"+laterRun; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A folder is given again.
func TestRunAgain(t *testing.T) {
	folder := t.TempDir()
	output(t, folder)
	// The API is at another port, which the key of a track does not have and
	// that of the rest does.
	got := output(t, folder)
	if !strings.Contains(got, "/v1/me                      200      the API") || !strings.Contains(got, "4 cached, 0 fetched") {
		t.Errorf("got:\n%s", got)
	}
	content, err := os.ReadFile(filepath.Join(folder, "music.db"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("Bearer")) {
		t.Error("the file has the credentials")
	}
}

func TestTemporaryFolder(t *testing.T) {
	used := ""
	err := inFolder("", func(folder string) error {
		used = folder
		return os.WriteFile(filepath.Join(folder, "music.db"), nil, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(used); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
}

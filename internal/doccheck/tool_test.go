package doccheck_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/doccheck"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// prepareTool builds the command endpointcache, and makes the files that its pages look into.
func prepareTool(t *testing.T, s *doccheck.Scratch, _ string) {
	t.Helper()
	program := filepath.Join(s.Dir, ".tool", "endpointcache")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", filepath.Join(s.Root, "cmd", "endpointcache"), "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, os.Remove(filepath.Join(s.Dir, "music.db")))
	fillMusic(t, filepath.Join(s.Dir, "music.db"))
	recordTracks(t, program, s.Dir)
}

// fillMusic saves tracks in a file, under the URLs that the pages have.
func fillMusic(t *testing.T, file string) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), file, nil)
	must(t, err)
	c, err := cache.New(store, &cache.Options{KeepExpired: -1})
	must(t, err)
	type key struct {
		ID     string `path:"id"`
		Market string `query:"market"`
	}
	repo, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[key, track]{
		Name: "tracks", Pattern: "GET api.example.com/v1/tracks/{id}", NameOf: func(t track) string { return t.Title },
	})
	must(t, err)
	for _, s := range saved {
		if s.key.Market == "" {
			s.key.ID, s.key.Market = "6fW", "DE"
		}
		body := fmt.Sprintf(`{"id": %q, "title": %q, "popularity": %d, "artists": [{"name": %q}]}`, s.key.ID, s.title, s.popularity, s.artist)
		entry, err := repository.NewEntry(s.status, repository.Head{Header: http.Header{"Content-Type": {"application/json"}, "Etag": {`"1"`}}}, []byte(body))
		must(t, err)
		must(t, repo.SaveEntry(t.Context(), key{s.key.ID, s.key.Market}, entry, repository.AsOf(savedAt), repository.ExpireAt(s.expires)))
	}
	must(t, c.Close())
}

// recordTracks makes the recording that the pages replay.
func recordTracks(t *testing.T, program, dir string) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"id":"6fW","title":"One More Time"}`)
	}))
	defer api.Close()
	record := exec.CommandContext(t.Context(), program, "record", api.URL+"/v1", "--store", "sqlite:recorded.db")
	record.Dir = dir
	out, err := record.StdoutPipe()
	must(t, err)
	must(t, record.Start())
	base, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	resp, err := http.Get(strings.TrimSpace(base) + "/tracks/6fW")
	must(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	must(t, record.Process.Signal(os.Interrupt))
	must(t, record.Wait())
}

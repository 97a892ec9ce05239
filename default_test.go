package endpointcache_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache"
	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/payload"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

// cacheFolder makes a new folder the user's for caches, where the environment tells it.
func cacheFolder(t *testing.T) string {
	t.Helper()
	switch runtime.GOOS {
	case "windows", "darwin", "ios", "plan9":
		t.Skip("the system tells the folder otherwise")
	}
	folder := filepath.Join(t.TempDir(), "caches")
	t.Setenv("XDG_CACHE_HOME", folder)
	return folder
}

func openDefault(t *testing.T, app string, opts *cache.Options) (*cache.ResponseCache, *repository.ResponseRepository[string, string]) {
	t.Helper()
	c, err := endpointcache.OpenDefault(t.Context(), app, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	r, err := cache.CreateRepository(t.Context(), c, settings.RepositorySettings[string, string]{
		Name: "tracks", Pattern: "GET api.test/tracks/{id}", Payload: payload.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, r
}

func TestDefaultCacheIsTheUsersAlone(t *testing.T) {
	folder := cacheFolder(t)
	_, tracks := openDefault(t, "com.example.music", nil)
	if err := tracks.Save(t.Context(), "a", "body"); err != nil {
		t.Fatal(err)
	}
	_, same := openDefault(t, "com.example.music", nil)
	if body, ok, err := same.Get(t.Context(), "a"); body != "body" || !ok || err != nil {
		t.Errorf("another cache of the app has %q, %v, %v", body, ok, err)
	}
	_, other := openDefault(t, "other", nil)
	if _, ok, err := other.Get(t.Context(), "a"); ok || err != nil {
		t.Errorf("another app has it: %v, %v", ok, err)
	}
	for path, mode := range map[string]os.FileMode{"com.example.music": 0o700 | os.ModeDir, "com.example.music/responses.db": 0o600} {
		info, err := os.Stat(filepath.Join(folder, path))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("the mode of %s is %v, want %v", path, info.Mode(), mode)
		}
	}
}

func TestDefaultCacheSetsADamagedFileAside(t *testing.T) {
	folder := filepath.Join(cacheFolder(t), "music")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "responses.db"), []byte(strings.Repeat("this is no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	_, tracks := openDefault(t, "music", &cache.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err := tracks.Save(t.Context(), "a", "body"); err != nil {
		t.Fatal(err)
	}
	aside, err := filepath.Glob(filepath.Join(folder, "responses.db.damaged-*Z"))
	if err != nil || len(aside) != 1 {
		t.Errorf("set aside are %q, %v", aside, err)
	}
	if !strings.Contains(log.String(), "damaged") {
		t.Errorf("the log is %q", log.String())
	}
}

func TestDefaultCacheNeedsAName(t *testing.T) {
	cacheFolder(t)
	for _, app := range []string{"", ".", "..", "a/b", `a\b`, "../x", "a b", "a.", "-a", "_", "ä", "C:", "nul", "COM1.x", "a\x00", strings.Repeat("a", 101)} {
		if _, err := endpointcache.OpenDefault(t.Context(), app, nil); err == nil {
			t.Errorf("%q is taken for an app's name", app)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := endpointcache.OpenDefault(t.Context(), "music", nil); err == nil {
		t.Error("there is a cache of a user without a home")
	}
}

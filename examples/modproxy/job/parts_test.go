package job

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/prefetch"
)

// The proxy serves the files of the protocol, and no others.
func TestLocalProxy(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.cache, "cache", "secret.mod"), "secret")
	w.write(filepath.Join(w.cache, "cache", "download", "example.com", "one.mod"), "not in @v")
	w.write(filepath.Join(w.file("example.com/one", "folder.mod"), "file"), "")
	outside := filepath.Join(w.cache, "cache", "secret.mod")
	if err := os.Symlink(outside, w.file("example.com/one", "link.mod")); err != nil {
		t.Logf("without a link: %v", err)
	}
	proxy, err := startLocalProxy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(method, path string) (int, string, string) {
		t.Helper()
		req, err := http.NewRequest(method, proxy.url.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = "//" + proxy.url.Host + path // as it is
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), string(body)
	}
	for path, want := range map[string]string{
		"/example.com/one/@v/list":                            "text/plain; charset=utf-8",
		"/example.com/one/@v/v1.2.0.info":                     "application/json",
		"/example.com/one/@v/v1.2.0.mod":                      "text/plain; charset=utf-8",
		"/example.com/one/@v/v1.2.0.zip":                      "application/zip",
		"/github.com/%21burnt%21sushi/toml/@v/v1.5.0.mod":     "text/plain; charset=utf-8",
		"/example.com/old/@v/v2.0.0+incompatible.info?query=": "application/json",
	} {
		if status, contentType, _ := get("GET", path); status != 200 || contentType != want {
			t.Errorf("%s: status %d, %s", path, status, contentType)
		}
	}
	for _, path := range []string{
		"/", "/example.com/", "/example.com/one/@v/", "/example.com/one/@v", "/example.com/one.mod",
		"/example.com/one/@v/v1.2.0.lock", "/example.com/one/@v/v9.9.9.info", "/example.com/one/@v/folder.mod",
		"/example.com/one/@v/link.mod", "/../secret.mod", "/example.com/one/@v/../../../../secret.mod",
		"/example.com/one/@v/%2e%2e/@v/list", "/example.com/one/@v/list/", "//example.com/one/@v/list",
	} {
		if status, _, body := get("GET", path); status != 404 || strings.Contains(body, "secret") {
			t.Errorf("%s: status %d: %s", path, status, body)
		}
	}
	if status, _, _ := get("POST", "/example.com/one/@v/list"); status != 404 {
		t.Errorf("POST: status %d", status)
	}
}

func TestLines(t *testing.T) {
	const first = "info: 2 of 4 keys: 0 cached, 1 fetched, 0 absent, 1 failed\n"
	const last = "info: 4 of 4 keys: 0 cached, 2 fetched, 1 absent, 1 failed\n"
	for every, want := range map[time.Duration]string{0: first + last, time.Hour: last} {
		var out bytes.Buffer
		show := newLines(&out, "info", every)
		show(prefetch.Progress{Done: 2, Total: 4, Fetched: 1, Failed: 1})
		show(prefetch.Progress{Done: 4, Total: 4, Fetched: 2, Absent: 1, Failed: 1, Ended: true})
		if out.String() != want {
			t.Errorf("a line in %v:\n%swant\n%s", every, &out, want)
		}
	}
}

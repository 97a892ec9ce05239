package job

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/endpointcache/endpointcache/examples/internal/program"
)

// localProxy is a module proxy on a loopback port. It serves this machine's
// module download cache, whose folders are laid out as the protocol says.
type localProxy struct {
	files fs.FS
	url   *url.URL
	close func() error
}

// startLocalProxy starts a proxy that runs until Close. Where there is no cache,
// it has no files.
func startLocalProxy(ctx context.Context) (*localProxy, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module cache: go env GOMODCACHE: %w", err)
	}
	folder := filepath.Join(strings.TrimSpace(string(out)), "cache", "download")
	p := &localProxy{files: embed.FS{}} // an empty one
	closeRoot := func() error { return nil }
	root, err := os.OpenRoot(folder) // nothing outside of it can be read
	switch {
	case err == nil:
		p.files, closeRoot = root.FS(), root.Close
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	server, err := program.Serve(ctx, p)
	if err != nil {
		return nil, errors.Join(err, closeRoot())
	}
	p.url = server.URL
	p.close = func() error { return errors.Join(server.Close(), closeRoot()) }
	return p, nil
}

// Close stops the proxy.
func (p *localProxy) Close() error { return p.close() }

// contentTypes are those of the files of the protocol, by extension. The list of
// versions has none. No other file is served: the cache has more, such as locks.
var contentTypes = map[string]string{
	"":      "text/plain; charset=utf-8",
	".info": "application/json",
	".mod":  "text/plain; charset=utf-8",
	".zip":  "application/zip",
}

// has reports whether the proxy answers a request for this path.
func (p *localProxy) has(urlPath string) bool {
	folder, file := path.Split(urlPath)
	ext := path.Ext(file)
	if _, ok := contentTypes[ext]; !ok || !strings.HasSuffix(folder, "/@v/") || ext == "" && file != "list" {
		return false
	}
	info, err := fs.Stat(p.files, strings.TrimPrefix(urlPath, "/"))
	return err == nil && info.Mode().IsRegular()
}

func (p *localProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || !p.has(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentTypes[path.Ext(r.URL.Path)])
	http.ServeFileFS(w, r, p.files, strings.TrimPrefix(r.URL.Path, "/"))
}

package clients_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/studio-b12/gowebdav"
	"golang.org/x/net/webdav"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
)

// files is a server of files for one user.
func files() http.Handler {
	handler := &webdav.Handler{
		FileSystem: &ticking{FileSystem: webdav.NewMemFS(), changed: make(map[string]int)},
		LockSystem: webdav.NewMemLS(),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "alice" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="files"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// ticking is a file system whose times are counts of its changes, and whose folders are
// sorted, so that it always looks the same.
type ticking struct {
	webdav.FileSystem

	mu      sync.Mutex
	now     int
	changed map[string]int
}

func (fs *ticking) touch(name string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.now++
	fs.changed[path.Clean(name)] = fs.now
}

func (fs *ticking) timed(name string, info os.FileInfo) os.FileInfo {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return timedInfo{info, first.Add(time.Duration(fs.changed[path.Clean(name)]) * time.Minute)}
}

func (fs *ticking) Mkdir(ctx context.Context, name string, perm os.FileMode) error {
	fs.touch(name)
	return fs.FileSystem.Mkdir(ctx, name, perm)
}

func (fs *ticking) OpenFile(ctx context.Context, name string, flag int, perm os.FileMode) (webdav.File, error) {
	if flag&os.O_CREATE != 0 {
		fs.touch(name)
	}
	file, err := fs.FileSystem.OpenFile(ctx, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &timedFile{file, fs, name}, nil
}

func (fs *ticking) Rename(ctx context.Context, from, to string) error {
	if err := fs.FileSystem.Rename(ctx, from, to); err != nil {
		return err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for name, at := range fs.changed {
		if rest, ok := strings.CutPrefix(name, path.Clean(from)); ok && (rest == "" || rest[0] == '/') {
			delete(fs.changed, name)
			fs.changed[path.Clean(to)+rest] = at
		}
	}
	return nil
}

func (fs *ticking) Stat(ctx context.Context, name string) (os.FileInfo, error) {
	info, err := fs.FileSystem.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	return fs.timed(name, info), nil
}

type timedFile struct {
	webdav.File
	fs   *ticking
	name string
}

func (f *timedFile) Stat() (os.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return f.fs.timed(f.name, info), nil
}

func (f *timedFile) Readdir(count int) ([]os.FileInfo, error) {
	list, err := f.File.Readdir(count)
	for i, info := range list {
		list[i] = f.fs.timed(path.Join(f.name, info.Name()), info)
	}
	slices.SortFunc(list, func(a, b os.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

type timedInfo struct {
	os.FileInfo
	at time.Time
}

func (i timedInfo) ModTime() time.Time { return i.at }

// folder is a client of a server of files, and what it has read.
type folder struct {
	*gowebdav.Client
	seen []any
}

func newFolder(via http.RoundTripper) *folder {
	f := &folder{Client: gowebdav.NewClient("http://"+host, "alice", "secret")}
	f.SetTransport(via)
	return f
}

// did notes what has become of a write.
func (f *folder) did(err error) { f.seen = append(f.seen, said(err)) }

func (f *folder) write(name, text string) { f.did(f.Write(name, []byte(text), 0)) }

// look reads each file twice.
func (f *folder) look(names ...string) {
	for range 2 {
		for _, name := range names {
			text, err := f.Read(name)
			f.seen = append(f.seen, string(text), said(err))
		}
	}
}

// list reads what is known of a folder and its members.
func (f *folder) list(name string) {
	members, err := f.ReadDir(name)
	f.seen = append(f.seen, said(err))
	for _, member := range members {
		f.seen = append(f.seen, member.Name(), member.Size(), member.ModTime())
	}
	info, err := f.Stat(name)
	if f.seen = append(f.seen, said(err)); err == nil {
		f.seen = append(f.seen, info.Name(), info.IsDir())
	}
}

// inFolder is a client that works in a folder.
func inFolder(work func(*folder)) func(testing.TB, int, http.RoundTripper) any {
	return func(_ testing.TB, _ int, via http.RoundTripper) any {
		f := newFolder(via)
		f.did(f.Connect())
		work(f)
		return f.seen
	}
}

func TestWebDAVFiles(t *testing.T) {
	(&scene{
		origin: files, policy: written, control: written,
		client: inFolder(func(f *folder) {
			f.did(f.MkdirAll("/a/b", 0))
			f.write("/a/b/one.txt", "the first text")
			f.write("/a/two.txt", "another text")
			f.list("/a")
			f.look("/a/b/one.txt", "/a/two.txt", "/a/absent.txt")
			f.write("/a/b/one.txt", "the second")
			f.look("/a/b/one.txt", "/a/two.txt")
			f.list("/a/b")
			part, err := f.ReadStreamRange("/a/two.txt", 3, 5)
			if f.did(err); err == nil {
				text, err := io.ReadAll(part)
				f.seen = append(f.seen, string(text), said(err), said(part.Close()))
			}
			f.did(f.Remove("/a/two.txt"))
			f.look("/a/two.txt")
			f.list("/a")
		}),
	}).compare(t)
}

var (
	written = asked{cold: reached{22, 0}, warm: reached{20, 0}, expired: reached{20, 0}}
	moved   = asked{cold: reached{27, 0}, warm: reached{23, 0}, expired: reached{24, 1}}
)

func TestWebDAVCopyAndMove(t *testing.T) {
	(&scene{
		origin: files, policy: moved, control: moved,
		client: inFolder(func(f *folder) {
			f.write("/one.txt", "one")
			f.write("/two.txt", "two")
			f.look("/one.txt", "/two.txt", "/three.txt")
			f.did(f.Copy("/one.txt", "/two.txt", true))
			f.look("/one.txt", "/two.txt", "/three.txt")
			f.did(f.Rename("/two.txt", "/three.txt", true))
			f.look("/one.txt", "/two.txt", "/three.txt")
			f.write("/one.txt", "another one")
			f.did(f.Rename("/one.txt", "/three.txt", true))
			f.look("/one.txt", "/two.txt", "/three.txt")
			f.did(f.Rename("/one.txt", "/three.txt", false))
			f.list("/")
		}),
	}).compare(t)
}

func workInFolders(f *folder) {
	all := []string{"/a/x.txt", "/a/deep/y.txt", "/b/x.txt", "/b/deep/y.txt"}
	f.did(f.MkdirAll("/a/deep", 0))
	f.write("/a/x.txt", "x")
	f.write("/a/deep/y.txt", "y")
	f.look(all...)
	f.did(f.Copy("/a", "/b", true))
	f.look(all...)
	f.write("/b/x.txt", "another x")
	f.look(all...)
	f.did(f.Rename("/b", "/a", true))
	f.look(all...)
	f.did(f.RemoveAll("/a"))
	f.look(all...)
	f.list("/")
}

// obeying declares what changes more than its own URL.
func obeying(pattern string) func(testing.TB, *cache.ResponseCache) {
	return func(t testing.TB, c *cache.ResponseCache) {
		t.Helper()
		type target struct {
			Path string `path:"path"`
		}
		_, err := cache.AddWrite(c, settings.WriteSettings[target]{Pattern: pattern, InvalidatesAll: []string{"all"}})
		check(t, err)
	}
}

// What changes folders changes their members, which the program has to declare.
func TestWebDAVFolders(t *testing.T) {
	want := asked{cold: reached{38, 0}, warm: reached{38, 0}, expired: reached{38, 0}}
	(&scene{
		origin: files, client: inFolder(workInFolders), policy: want, control: want,
		declare: obeying("DELETE|COPY|MOVE /{path...}"),
	}).compare(t)
}

// Whoever caches listings declares all that changes them.
func TestWebDAVListings(t *testing.T) {
	(&scene{
		origin: files,
		client: inFolder(func(f *folder) {
			f.list("/")
			f.did(f.MkdirAll("/a/b", 0))
			for _, text := range []string{"a text", "another"} {
				f.list("/")
				f.list("/")
				f.list("/a")
				f.write("/a/b/one.txt", text)
				f.list("/a/b")
				f.list("/a/b")
				f.list("/a/b/one.txt")
			}
			f.did(f.RemoveAll("/a/b"))
			f.list("/a")
			f.list("/a")
			f.list("/a/b")
		}),
		options: cache.Options{Policy: policy.Policy{
			Methods: []string{"PROPFIND"}, Statuses: []int{http.StatusOK, http.StatusMultiStatus},
		}},
		declare: obeying("PUT|MKCOL|PROPPATCH|DELETE|COPY|MOVE /{path...}"),
		policy:  asked{cold: reached{30, 0}, warm: reached{28, 0}, expired: reached{28, 0}},
		control: asked{cold: reached{40, 0}, warm: reached{38, 0}, expired: reached{38, 0}}, // they have no validators
	}).compare(t)
}

package privacy

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/filesystem"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// watch knows all secrets of a test, and all that was told while it ran.
type watch struct {
	t     *testing.T
	scope settings.Scope // of what is declared

	mu      sync.Mutex
	secrets map[string]string // what each stands for
	kept    map[string]bool   // those that are stored as declared: in a key, or in a body without rules
	told    []told
}

type told struct{ where, text string }

func newWatch(t *testing.T) *watch {
	return &watch{t: t, secrets: make(map[string]string), kept: make(map[string]bool)}
}

// secret makes one, which looks like a token.
func (w *watch) secret(what string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := fmt.Sprintf("s3cretQ%dZ%d", len(w.secrets), time.Now().UnixNano()%100000)
	w.secrets[s] = what
	return s
}

// stored is a secret that is stored, but not told.
func (w *watch) stored(what string) string {
	s := w.secret(what)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[s] = true
	return s
}

// Write takes log lines.
func (w *watch) Write(p []byte) (int, error) {
	w.tell("a log line", string(p))
	return len(p), nil
}

func (w *watch) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }

func (w *watch) tell(where, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, told{where, text})
}

// lines is how much was told.
func (w *watch) lines() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.told)
}

// failed takes an error that there has to be.
func (w *watch) failed(where string, err error) {
	w.t.Helper()
	if err == nil {
		w.t.Errorf("%s: no error", where)
		return
	}
	w.tell("the error of "+where, err.Error()+fmt.Sprintf(" %+v", err))
}

// tries takes an error that there may be.
func (w *watch) tries(where string, err error) {
	if err != nil {
		w.tell("the error of "+where, err.Error())
	}
}

// forms are what a secret looks like to whoever reads what was written.
func forms(secret string) [][]byte {
	all := [][]byte{[]byte(secret), []byte(strings.ToLower(secret))}
	for _, prefix := range []string{"", "user:", "Bearer "} {
		sum := sha256.Sum256([]byte(prefix + secret))
		all = append(all, []byte(hex.EncodeToString(sum[:])))
	}
	return append(all, []byte(base64.StdEncoding.EncodeToString([]byte("user:"+secret))), []byte(base64.StdEncoding.EncodeToString([]byte(secret))))
}

// check looks for the secrets in all that was told, and in the files of a folder.
func (w *watch) check(dir string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for secret, what := range w.secrets {
		for _, form := range forms(secret) {
			for _, told := range w.told {
				if bytes.Contains([]byte(told.text), form) {
					w.t.Errorf("%s has %s: %s", told.where, what, told.text)
				}
			}
		}
	}
	if len(w.told) == 0 {
		w.t.Error("nothing was told")
	}
	if dir == "" {
		return
	}
	size := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size += len(content)
		content = append(content, path...)
		for secret, what := range w.secrets {
			for _, form := range forms(secret) {
				if at := bytes.Index(content, form); at >= 0 && !w.kept[secret] {
					w.t.Errorf("%s has %s: %.120q", filepath.Base(path), what, content[max(0, at-40):])
				}
			}
		}
		return nil
	})
	if err != nil || size == 0 {
		w.t.Errorf("%d bytes are stored, %v", size, err)
	}
}

// store is a kind of store whose files can be read.
type store struct {
	name string
	open func(t *testing.T, dir string, w *watch) driver.Store
}

var stores = []store{
	{"sqlite", func(t *testing.T, dir string, _ *watch) driver.Store {
		s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cache.db"), nil)
		check(t, err)
		return s
	}},
	{"filesystem", func(t *testing.T, dir string, w *watch) driver.Store {
		s, err := filesystem.Open(t.Context(), dir, &filesystem.Options{Logger: w.logger()})
		check(t, err)
		return s
	}},
}

// damage writes into all files of a folder, without changing their size.
func damage(t *testing.T, dir string) {
	t.Helper()
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "lock-") || d.Name() == "table.json" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i := len(content) / 3; i < len(content); i += 7 {
			content[i] ^= 0x55
		}
		return os.WriteFile(path, content, 0o600)
	}))
}

// api is an origin that has secrets in all that it says.
type api struct {
	*httptest.Server
	w        *watch
	password string
}

func newAPI(t *testing.T, w *watch) *api {
	a := &api{w: w, password: w.secret("a member of the body")}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	for _, name := range []string{
		"Set-Cookie", "Authorization", "Authentication-Info", "X-Auth-Token", "Refresh-Token", "X-Csrf-Token", "X-Api-Key",
	} {
		h.Set(name, a.w.secret("the header "+name+" of a response"))
	}
	h.Set("Trailer", "X-Access-Token")
	defer func() { h.Set("X-Access-Token", a.w.secret("a trailer")) }()
	h.Set("Link", "</next?access_token="+a.w.secret("a parameter of a Link")+`>; rel="next"`)
	h.Set("Content-Location", "https://user:"+a.w.secret("the user of a Content-Location")+"@h/?sig="+a.w.secret("a parameter of a Content-Location"))
	body := `{"id":"a","password":"` + a.password + `","n":1}`
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	switch kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); kind {
	case "moved":
		http.Redirect(rw, r, "/v1/ok/a?token="+a.w.secret("a parameter of a Location"), http.StatusMovedPermanently)
	case "nowhere":
		h.Set("Location", "http://h%zz/?token="+a.w.secret("a Location that cannot be parsed"))
		rw.WriteHeader(http.StatusFound)
	case "loop":
		http.Redirect(rw, r, r.URL.Path+"?code="+a.w.secret("a parameter of a redirect that goes on"), http.StatusFound)
	case "scheme":
		h.Set("Location", "ftp://user:"+a.w.secret("the user of a Location")+"@h/?token="+a.w.secret("a parameter of another scheme"))
		rw.WriteHeader(http.StatusFound)
	case "fail":
		rw.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(rw, body)
	case "refuse":
		h.Set("Www-Authenticate", "Basic realm=x")
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(rw, body)
	case "slow":
		<-r.Context().Done()
	case "cut":
		h.Set("Content-Length", "1000")
		_, _ = io.WriteString(rw, body)
	case "text":
		_, _ = io.WriteString(rw, `<html token=`+a.w.stored("a body that cannot be decoded"))
	case "type":
		_, _ = io.WriteString(rw, `{"id":"a","password":"`+a.password+`","n":"`+a.w.secret("a member of the wrong type")+`"}`)
	case "batch":
		_, _ = io.WriteString(rw, `{"items":"token=`+a.w.secret("a batch that cannot be split")+`","n":"otp=`+a.w.secret("an item of the wrong type")+`"}`)
	default:
		h.Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, body)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reopen opens a store that may be damaged.
func reopen(kind store, t *testing.T, dir string, w *watch) (driver.Store, error) {
	if kind.name == "sqlite" {
		s, err := sqlite.Open(t.Context(), filepath.Join(dir, "cache.db"), nil)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	return kind.open(t, dir, w), nil
}

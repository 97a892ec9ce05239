package transport_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/sqlite"
)

// journal is a log that many may write to.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Split(strings.TrimSpace(j.text.String()), "\n")
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func TestAStoreThatHangsIsLeftAlone(t *testing.T) {
	for name, deaf := range map[string]bool{"until its context ends": false, "whatever its context says": true} {
		for _, op := range []string{"get", "put"} {
			t.Run(name+", in a "+op, func(t *testing.T) {
				var log journal
				var hung atomic.Int64
				released := make(chan struct{})
				store := &faulty{Store: memoryStore(t)}
				h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) },
					&options{StoreTimeout: 200 * time.Millisecond, Logger: log.logger()})
				store.set(func(ctx context.Context, at string) error {
					if at != op {
						return nil
					}
					hung.Add(1)
					if deaf {
						<-released
						return nil
					}
					<-ctx.Done()
					return ctx.Err()
				})
				begun := time.Now()
				for i := range 100 {
					if _, body := h.get(fmt.Sprint("/", i)); body != fmt.Sprint("/", i) {
						t.Errorf("%q", body)
					}
				}
				// The first one has paid; beside the requests a probe may have been made now and then.
				if n, probes := hung.Load(), int64(time.Since(begun)/(250*time.Millisecond)); n < 1 || n > 1+probes {
					t.Errorf("%d operations have hung, of which %d may be probes", n, probes)
				}
				if s := h.transport.Stats(); s.StoreErrors < 100 {
					t.Errorf("%d errors of the store are counted", s.StoreErrors)
				}
				if lines := log.lines(); len(lines) != 1 || !strings.Contains(lines[0], "level=WARN") {
					t.Errorf("logged while it hangs: %q", lines)
				}
				close(released)
				store.heal()
				waitfor.True(t, "it is used again", func() bool {
					resp, _ := h.get("/again")
					return hit(resp)
				})
				lines := log.lines()
				if len(lines) != 2 || !strings.Contains(lines[1], "the store answers again") || !strings.Contains(lines[1], "skipped=") {
					t.Errorf("logged after it: %q", lines)
				}
			})
		}
	}
}

// Reads work, and saves do not: that is one spell, not one for each save.
func TestAStoreThatCanOnlyBeReadIsOneSpellOfFailures(t *testing.T) {
	var log journal
	store := &faulty{Store: memoryStore(t)}
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "body") }, &options{Logger: log.logger()})
	store.set(func(_ context.Context, at string) error {
		if at == "put" {
			return errFault
		}
		return nil
	})
	for i := range 50 {
		h.get(fmt.Sprint("/", i))
	}
	if lines := log.lines(); len(lines) != 1 {
		t.Errorf("logged: %q", lines)
	}
	store.heal()
	waitfor.True(t, "saves work again", func() bool {
		resp, _ := h.get("/again")
		return hit(resp)
	})
	if lines := log.lines(); len(lines) != 2 {
		t.Errorf("logged: %q", lines)
	}
}

func TestAFileThatIsLockedCostsOneRequestItsTime(t *testing.T) {
	var log journal
	path := filepath.Join(t.TempDir(), "cache.db")
	store, err := sqlite.Open(t.Context(), path, nil)
	check(t, err)
	h := startOn(t, store, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) },
		&options{StoreTimeout: time.Second, Logger: log.logger()}) // longer than a save takes
	h.get("/before")
	db, err := sql.Open(sqlDriver(t), path)
	check(t, err)
	defer db.Close()
	other, err := db.Conn(t.Context())
	check(t, err)
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	check(t, err)
	for i := range 20 {
		if _, body := h.get(fmt.Sprint("/", i)); body != fmt.Sprint("/", i) {
			t.Errorf("%q", body)
		}
	}
	if lines := log.lines(); len(lines) != 1 {
		t.Errorf("logged while it is locked: %q", lines)
	}
	_, err = other.ExecContext(t.Context(), "ROLLBACK")
	check(t, err)
	waitfor.True(t, "it is used again", func() bool {
		resp, _ := h.get("/again")
		return hit(resp)
	})
	if resp, _ := h.get("/before"); !hit(resp) {
		t.Error("what was stored before is not served")
	}
}

// sqlDriver is the name by which the SQLite driver of this build is registered.
func sqlDriver(t *testing.T) string {
	t.Helper()
	for _, name := range sql.Drivers() {
		if strings.HasPrefix(name, "sqlite") {
			return name
		}
	}
	t.Fatal("no driver for SQLite is registered")
	return ""
}

package main

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func init() { exchange.DefaultStoreTimeout = waitfor.Limit }

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the program.
func start(t *testing.T, args ...string) (exitCode int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	exitCode = newCommand().Run(t.Context(), args, &out, &errs)
	return exitCode, regexp.MustCompile(` in \S+`).ReplaceAllString(out.String(), ""), errs.String()
}

const firstRun = `new releases           949 albums; 21 requests
tracks of the newest   47 tracks, 2h45m3s; 5 requests
artists of the newest  5 artists, 25 albums; 6 requests
library                1000 tracks: 47 cached, 901 fetched, 52 absent, 0 failed; 20 requests

table          entries    live
tracks            1000    1000
albums             949     949
artists              5       5
album_tracks         5       5
artist_albums        5       5
new_releases        20      20

total: 52 requests
`

func TestSecondRunFetchesNothing(t *testing.T) {
	for name, store := range map[string]string{
		"SQLite": "sqlite:" + filepath.Join(t.TempDir(), "music.db"),
		"folder": "file:" + filepath.Join(t.TempDir(), "music"),
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"-store", store, "-tracks", "1000", "-delay", "0"}
			exitCode, first, stderr := start(t, args...)
			// One request or two were answered with 503 and repeated.
			repeated := regexp.MustCompile(`\d+ requests`)
			if exitCode != 0 || repeated.ReplaceAllString(first, "") != repeated.ReplaceAllString(firstRun, "") {
				t.Fatalf("exit code %d, stderr %q, got\n%s\nwant\n%s", exitCode, stderr, first, firstRun)
			}
			for _, more := range []string{"-v", "-offline", "-offline -api http://127.0.0.1:1 -client-id music"} {
				exitCode, second, stderr := start(t, append(args, strings.Fields(more)...)...)
				if exitCode != 0 || !strings.HasSuffix(second, "total: 0 requests\n") ||
					!strings.Contains(second, "1000 tracks: 948 cached, 0 fetched, 52 absent, 0 failed; 0 requests") {
					t.Errorf("exit code %d, stderr %q, stdout\n%s", exitCode, stderr, second)
				}
			}
		})
	}
}

func TestWithoutAStore(t *testing.T) {
	exitCode, stdout, stderr := start(t, "-no-store", "-delay", "0")
	if exitCode != 0 || strings.Contains(stdout, "library") || !strings.Contains(stdout, "949 albums") {
		t.Errorf("exit code %d, stderr %q, stdout\n%s", exitCode, stderr, stdout)
	}
}

func TestOfflineWithNothingStored(t *testing.T) {
	exitCode, _, stderr := start(t, "-store", "memory:", "-offline")
	if exitCode != 1 || !strings.Contains(stderr, "new releases: ") || !strings.Contains(stderr, "offline and not stored") {
		t.Errorf("exit code %d, stderr %q", exitCode, stderr)
	}
}

// cancelling cancels when something is written.
type cancelling struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (w *cancelling) Write(p []byte) (int, error) {
	w.cancel()
	return w.Buffer.Write(p)
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := "sqlite:" + filepath.Join(t.TempDir(), "music.db")
	var stderr bytes.Buffer
	if exitCode := newCommand().Run(ctx, []string{"-store", store, "-delay", "0"}, &cancelling{cancel: cancel}, &stderr); exitCode != 130 {
		t.Errorf("exit code %d, stderr %q", exitCode, stderr.String())
	}
	// The new releases were listed, and are stored.
	if _, stdout, _ := start(t, "-store", store, "-tracks", "0", "-delay", "0"); !strings.Contains(stdout, "949 albums; 0 requests") {
		t.Errorf("the next run:\n%s", stdout)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"x", "-tracks -1", "-rate -1", "-rate NaN", "-delay -1s", "-offline -no-store", "-unknown"} {
		if exitCode, stdout, stderr := start(t, strings.Fields(args)...); exitCode != 2 || stdout != "" || !strings.Contains(stderr, "music -h") {
			t.Errorf("%s: exit code %d, stderr %q, stdout\n%s", args, exitCode, stderr, stdout)
		}
	}
	if exitCode, stdout, _ := start(t, "-h"); exitCode != 0 || !strings.Contains(stdout, "sqlite:file") {
		t.Errorf("-h: exit code %d\n%s", exitCode, stdout)
	}
	if exitCode, _, stderr := start(t, "-store", "nothing://user:secret@host"); exitCode != 2 || strings.Contains(stderr, "secret") {
		t.Errorf("an unknown store: exit code %d, stderr %q", exitCode, stderr)
	}
}

func TestNothingAnswers(t *testing.T) {
	exitCode, _, stderr := start(t, "-store", "memory:", "-api", "http://127.0.0.1:1")
	if exitCode != 1 || !strings.Contains(stderr, "music: musicsdk: new releases: ") {
		t.Errorf("exit code %d, stderr %q", exitCode, stderr)
	}
}

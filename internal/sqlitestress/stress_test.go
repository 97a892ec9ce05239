package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/waitfor"
)

func TestMain(m *testing.M) {
	if isWorker() {
		work()
		return
	}
	os.Exit(m.Run())
}

// A short form: no operation fails, no answer is wrong, and the log is short, also after
// another program has kept it long. How long something takes is not looked at.
func TestProcessesShareOneFile(t *testing.T) {
	p := plan{
		Path: filepath.Join(t.TempDir(), "stress.db"), Processes: 3, Rows: 500,
		Duration: 3 * time.Second, Reader: time.Second,
	}
	if testing.Short() {
		p.Duration = 2 * time.Second
	}
	r, err := run(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	for _, err := range r.Errors {
		t.Error(err)
	}
	if r.Times["get"].count() == 0 || r.Times["save"].count() == 0 {
		t.Error("nothing was done")
	}
	// The last process has closed the file.
	waitfor.True(t, "the log is gone", func() bool { return size(p.Path+"-wal") == 0 })
}

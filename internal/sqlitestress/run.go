package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/endpointcache/endpointcache/sqlite"
)

// plan is what is to be done.
type plan struct {
	Path      string
	Processes int
	Rows      int
	Duration  time.Duration
	Reader    time.Duration
}

// planVariable has the plan of a worker's process, and workerVariable its number.
const (
	planVariable   = "SQLITESTRESS_PLAN"
	workerVariable = "SQLITESTRESS_WORKER"
)

func isWorker() bool { return os.Getenv(planVariable) != "" }

// run starts the processes and waits for them.
func run(ctx context.Context, p plan) (*report, error) {
	store, err := sqlite.Open(ctx, p.Path, nil) // so that the file is there
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	total := newReport()
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { total.watch(watched, p) })

	var working sync.WaitGroup
	var mu sync.Mutex
	for i := range p.Processes {
		working.Go(func() {
			r, err := start(ctx, p, i)
			mu.Lock()
			defer mu.Unlock()
			total.add(r)
			if err != nil {
				total.Errors = append(total.Errors, fmt.Sprintf("process %d: %v", i, err))
			}
		})
	}
	working.Wait()
	stop()
	watching.Wait()
	total.FileAfter, total.LogAfter = size(p.Path), size(p.Path+"-wal")
	return total, nil
}

// start runs one worker's process and returns its report.
func start(ctx context.Context, p plan, number int) (report, error) {
	var r report
	text, err := json.Marshal(p)
	if err != nil {
		return r, err
	}
	program, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, program) //nolint:gosec // this program
	cmd.Env = append(os.Environ(), planVariable+"="+string(text), workerVariable+"="+strconv.Itoa(number))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return r, errors.Join(err, json.Unmarshal(out, &r))
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Sqlitestress has several processes read, save, clear and delete in one SQLite file, and says
// how long that took them, what went wrong, and how large the write-ahead log became:
//
//	go run ./internal/sqlitestress -processes 8 -duration 10m
//	go run ./internal/sqlitestress -duration 2m -reader 1m    # one program reads for a minute
//
// It ends with an error where an operation failed or an answer was wrong. How long
// something took depends on the machine, so that is only printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	if isWorker() {
		work()
		return
	}
	plan := plan{}
	flag.IntVar(&plan.Processes, "processes", 8, "how many processes use the file")
	flag.DurationVar(&plan.Duration, "duration", time.Minute, "for how long")
	flag.DurationVar(&plan.Reader, "reader", 0, "how long another program reads in one transaction, from a tenth of the duration on")
	flag.IntVar(&plan.Rows, "rows", 2_000, "how many entries each process has")
	flag.StringVar(&plan.Path, "path", "", "the file; a temporary one by default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if plan.Path == "" {
		folder, err := os.MkdirTemp("", "sqlitestress-")
		fail(err)
		defer func() { _ = os.RemoveAll(folder) }()
		plan.Path = filepath.Join(folder, "stress.db")
	}
	r, err := run(ctx, plan)
	fail(err)
	fmt.Print(r)
	if len(r.Errors) > 0 {
		os.Exit(1)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sqlitestress:", err)
		os.Exit(1)
	}
}

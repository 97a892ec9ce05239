package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
)

// report is what was seen.
type report struct {
	Times  map[string]*times // by operation
	Errors []string          // failures and wrong answers

	MaxLog     int64         // bytes, without those while another program was reading
	MaxLogRead int64         // while it was, and until the log was short again
	ShortAgain time.Duration // from its end until the log was short
	FileAfter  int64
	LogAfter   int64
	Entries    int64 // that were saved
}

func newReport() *report { return &report{Times: make(map[string]*times)} }

// maxErrors is how many errors of one process are told.
const maxErrors = 20

func (r *report) fail(format string, args ...any) {
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, fmt.Sprintf(format, args...))
	}
}

func (r *report) add(other report) {
	for op, t := range other.Times {
		r.times(op).add(t)
	}
	r.Errors = append(r.Errors, other.Errors...)
	r.Entries += other.Entries
}

func (r *report) times(op string) *times {
	t := r.Times[op]
	if t == nil {
		t = &times{}
		r.Times[op] = t
	}
	return t
}

// short is the size of a log that is as it should be.
const short = 64 << 20

// watch looks at the log's size, and has another program read for a while.
func (r *report) watch(ctx context.Context, p plan) {
	var mu sync.Mutex
	var reading bool
	var ended time.Time // of the reading, until the log is short
	var reader sync.WaitGroup
	if p.Reader > 0 {
		reader.Go(func() {
			if !sleep(ctx, p.Duration/10) {
				return
			}
			mu.Lock()
			reading = true
			mu.Unlock()
			err := readFor(ctx, p.Path, p.Reader)
			mu.Lock()
			defer mu.Unlock()
			reading, ended = false, time.Now()
			if err != nil && ctx.Err() == nil {
				r.fail("the other program: %v", err)
			}
		})
	}
	for sleep(ctx, 5*time.Millisecond) {
		log := size(p.Path + "-wal")
		mu.Lock()
		switch {
		case !ended.IsZero() && log <= short:
			r.ShortAgain, ended = time.Since(ended), time.Time{}
		case reading || !ended.IsZero():
			r.MaxLogRead = max(r.MaxLogRead, log)
		default:
			r.MaxLog = max(r.MaxLog, log)
		}
		mu.Unlock()
	}
	reader.Wait()
	if log := size(p.Path + "-wal"); log > short {
		r.fail("the log has %s at the end", megabytes(log))
	}
}

// readFor reads in a transaction of so long.
func readFor(ctx context.Context, path string, d time.Duration) error {
	db, err := sql.Open(driverName, path)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n); err != nil {
		return err
	}
	sleep(ctx, d)
	return nil
}

// sleep reports whether ctx has let it sleep so long.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// times counts durations in buckets, each an eighth of a power of two wide.
type times struct {
	Buckets [400]int64
	Max     time.Duration
}

func (t *times) note(d time.Duration) {
	t.Buckets[bucket(d)]++
	t.Max = max(t.Max, d)
}

func bucket(d time.Duration) int {
	return min(int(8*math.Log2(float64(max(d, 1)))), len(times{}.Buckets)-1)
}

func (t *times) add(other *times) {
	for i, n := range other.Buckets {
		t.Buckets[i] += n
	}
	t.Max = max(t.Max, other.Max)
}

func (t *times) count() (n int64) {
	for _, k := range t.Buckets {
		n += k
	}
	return n
}

// quantile is the time that a share of the operations took at most, to 9%.
func (t *times) quantile(q float64) time.Duration {
	left := int64(math.Ceil(q * float64(t.count())))
	for i, n := range t.Buckets {
		if left -= n; left <= 0 {
			return min(t.Max, time.Duration(math.Exp2(float64(i+1)/8)))
		}
	}
	return t.Max
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %9s %10s %10s %10s %10s\n", "", "calls", "median", "p99", "p99.9", "max")
	for _, op := range operations {
		if t := r.Times[op]; t != nil {
			fmt.Fprintf(&b, "%-12s %9d %10v %10v %10v %10v\n", op, t.count(), round(t.quantile(0.5)), round(t.quantile(0.99)), round(t.quantile(0.999)), round(t.Max))
		}
	}
	fmt.Fprintf(&b, "%d entries saved; the log had at most %s, the file has %s at the end, the log %s\n",
		r.Entries, megabytes(r.MaxLog), megabytes(r.FileAfter), megabytes(r.LogAfter))
	if r.MaxLogRead > 0 {
		fmt.Fprintf(&b, "while another program was reading, the log had at most %s; it was short %v later\n", megabytes(r.MaxLogRead), round(r.ShortAgain))
	}
	for _, err := range r.Errors {
		fmt.Fprintln(&b, "ERROR", err)
	}
	return b.String()
}

func round(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(100 * time.Microsecond)
	default:
		return d.Round(10 * time.Millisecond)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

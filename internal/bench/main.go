// Bench measures endpointcache against hand-written code that does the same
// work on the same driver, and says how much the library costs:
//
//	go run .                         # all lines, 100,000 rows
//	go run . -run 'get-raw$'         # one line
//	go run . -rows 2000 -rounds 2    # does everything work? (seconds)
//	go run . -run clear -cpuprofile ours.prof && go tool pprof -top ours.prof
//
// Each measurement is a line:
//
//	RATIO sqlite-get-raw 1.08 target 1.15   8.1us vs 7.5us a get, 8us vs 7.5us of processor, 9 vs 5 allocs (1.05-1.11, 41 rounds)
//
// The number after the name is the library's time divided by the hand-written
// code's, the median over the rounds; the target is what the project wants it to
// be at most. Behind it are the median times of an operation, the library's
// first, the processor time (the process's on all processors, in user code and
// the kernel), the allocations, and the quartiles of the ratio: where they are far
// apart, the machine was busy, and the processor time tells more. A missed target does not change the exit status;
// an error, or two sides that do not return or leave behind the same data, does.
//
// # How it measures
//
// A round runs the one side and then the other on the same keys, the next round
// in the other order, each after a garbage collection; a first round is not
// counted. What the sides returned, or wrote, is compared after each round.
//
// The hand-written side has the driver's connection itself, without database/sql,
// and statements that it prepares once; it has the pragmas of the library's
// connections, and the library has made its tables. It stops at what the task
// needs: a bulk get fills a slice by the key's number (the library returns a
// map), a get reads one row and no further, an iteration holds one statement open
// from end to end. It has one connection where the library may use several at
// once: that is what the library is for, and needs more than one free processor to
// be seen.
//
// With PostgreSQL, the hand-written side has one connection of pgx. The server is
// that of POSTGRES_TEST_URL, or one of its own; where there is none, its lines are
// skipped. In postgres-get-many-1000-vs-singles, both sides are the library's; so they
// are in the lines about limits, growth, checksums and compression, with and without.
// The lines about limits and growth end with what SQLite itself takes for that: the same
// two sides by hand.
//
//	…, by hand 1.63: 6.9us vs 4.2us, 6.9us vs 4.2us of processor (1.60-1.66)
//
// Reads go to one file. For writes each side has a copy of it, which is put back
// and checkpointed before each run. The server of the prefetch is a process of its
// own, so that its garbage is collected at neither side's expense.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
)

// backends are the stores whose lines are alike.
var backends = []*backend{filesystemBackend, redisBackend, dynamodbBackend, mongodbBackend}

// lines are the other measurements, in the order in which they are made.
var lines = []line{
	{"sqlite-get-raw", 1.15, "a get", 41, getRaw},
	{"sqlite-get-typed", 1.12, "a get", 41, getTyped},
	{"sqlite-get-8-goroutines", 1.30, "a get", 41, getConcurrently},
	{"sqlite-get-checked", 1.03, "a get", 41, getLayered(asItIs, trust, settings.Uncompressed)},
	{"sqlite-save-checked", 1.03, "a save", 21, saveLayered(1_000, false, asItIs, trust)},
	{"sqlite-save-many-checked", 1.03, "a row", 41, saveLayered(10_000, true, asItIs, trust)},
	{"sqlite-get-compressed", 1.35, "a get", 41, getLayered(asItIs, asItIs, settings.Zstd)},
	{"seal-get", 1.25, "a get", 41, getLayered(encrypted, asItIs, settings.Uncompressed)},
	{"seal-save-many", 1.15, "a row", 41, saveLayered(10_000, true, encrypted, asItIs)},
	{"sqlite-get-many-1000", 1.00, "a key", 61, getMany(1_000)},
	{"sqlite-get-many-10000", 1.00, "a key", 25, getMany(10_000)},
	{"sqlite-get-many-typed-10000", 0.70, "a key", 25, getManyTyped(10_000)},
	{"sqlite-save-many-10000-new", 1.15, "a row", 15, saveNew(10_000)},
	{"sqlite-save-many-10000-overwrite", 1.15, "a row", 15, overwrite(10_000)},
	{"sqlite-save-64-callers", 0.60, "a save", 21, saveConcurrently},
	{"sqlite-save-bounded", 1.15, "a row", 11, saveBounded(settings.LeastRecentlyUsed)},
	{"sqlite-save-bounded-oldest", 1.15, "a row", 11, saveBounded(settings.OldestFirst)},
	{"sqlite-delete-many-10000", 1.15, "a row", 15, deleteMany(10_000)},
	{"sqlite-iterate-live", 1.25, "a row", 15, iterate},
	{"sqlite-clear-few-expired", 1.20, "a clear", 61, clearExpired},
	{"sqlite-clear-expired-1000000", 1.50, "a clear", 21, clearGrown(largeTimes)},
	{"sqlite-growth-1000000", 1.50, "a get", 21, getGrown(largeTimes)},
	{"sqlite-growth-5000000", 1.50, "a get", 21, getGrown(largerTimes)},
	{"sqlite-list-first-page", 1.50, "a page", 21, listSQLite(cache.ByName)},
	{"sqlite-list-first-page-by-size", 1.50, "a page", 21, listSQLite(cache.BySize)},
	{"postgres-get-raw", 1.15, "a get", 21, postgresGet},
	{"postgres-get-typed", 1.15, "a get", 21, postgresGetTyped},
	{"postgres-get-many-1000", 1.15, "a key", 61, postgresGetMany(1_000)},
	{"postgres-get-many-10000", 1.15, "a key", 25, postgresGetMany(10_000)},
	{"postgres-get-many-1000-vs-singles", 0.167, "a key", 25, postgresManyOrSingles},
	{"postgres-save-many-10000", 1.15, "a row", 15, postgresSave(10_000)},
	{"postgres-delete-many-10000", 1.15, "a row", 15, postgresDelete(10_000)},
	{"postgres-list-first-page", 1.50, "a page", 21, listPostgres(cache.ByName)},
	{"postgres-list-first-page-by-size", 1.50, "a page", 21, listPostgres(cache.BySize)},
	{"filesystem-get-raw", 1.30, "a get", 41, filesystemGetRaw},
	{"http-hit", 1.25, "a call", 41, httpHit},
	{"http-miss", 1.15, "a call", 21, httpMiss(1_000)},
	{"http-hit-memory-gregjones", 1.00, "a call", 21, httpPeer(2_000, true)},
	{"http-miss-memory-gregjones", 1.00, "a call", 21, httpPeer(1_000, false)},
	{"fetch-hit", 1.10, "a fetch", 41, fetchHit},
	{"memory-get-typed", 1.15, "a get", 41, memoryGet},
	{"hooks-unset", 1.02, "a fetch", 201, hooksUnset},
	{"tier-get", 1.25, "a get", 41, getTiered([2]opening{ours: tiered(tierFile), theirs: plainMemory})},
	{"redis-tier-get", 0.05, "a get", 21, getTiered([2]opening{ours: tiered(tierRedis), theirs: tierRedis})},
	{"prefetch-warm-10000", 1.10, "a key", 25, prefetchWarm(10_000)},
	{"prefetch-cold-2000", 1.60, "a key", 21, prefetchCold(2_000)},
	{"refresh-304-10000", 1.15, "a key", 11, refresh(10_000)},
	{"redis-miss-leased", 1.00, "a miss", 21, redisBackend.missLeased(500)},
	{"prefetch-batch-10000", 1.25, "a key", 21, prefetchBatch(10_000, 0)},
	{"prefetch-batch-10000-2kib", 1.25, "a key", 11, prefetchBatch(10_000, payloadSize)},
}

func main() {
	var o options
	pattern := flag.String("run", "", "measure the lines whose names match this regular `expression`")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the library's side to this `file`")
	flag.IntVar(&o.rounds, "rounds", 0, "how many rounds a line is measured; 0 is its own number")
	flag.IntVar(&o.rows, "rows", 100_000, "how many rows a table has, at least 100")
	flag.DurationVar(&o.latency, "latency", 0, "how long the server of prefetch-cold waits before it answers")
	server := flag.String("serve", "", "be that server, for these `rows`; the program starts it itself")
	longRun := flag.String("long", "", "be the process of prefetch-memory, for this `number` of keys and file; the program starts it itself")
	flag.Parse()
	o.profiling = *profile != ""
	do := func() error { return run(o, *pattern, *profile) }
	switch {
	case *server != "":
		do = func() error { return serve(*server) }
	case *longRun != "":
		do = func() error { return long(*longRun) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options, pattern, profile string) (err error) {
	selected, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	if o.rows < 100 {
		return fmt.Errorf("%d rows are too few", o.rows)
	}
	ctx := context.Background()
	d, err := newDataset(ctx, o.rows, o.latency)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, d.close()) }()
	all := slices.Clone(lines)
	for _, b := range backends {
		all = append(all, b.lines()...)
	}
	measured, met := 0, 0
	for _, l := range all {
		if !selected.MatchString(l.name) {
			continue
		}
		r, err := l.measure(ctx, d, &o)
		var skipped errSkipped
		if errors.As(err, &skipped) {
			fmt.Printf("SKIP %s %v\n", l.name, skipped)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Println(r)
		measured++
		if r.met() {
			met++
		}
	}
	if selected.MatchString(prefetchMemory) {
		fits, err := measureMemory(ctx, d)
		if err != nil {
			return fmt.Errorf("%s: %w", prefetchMemory, err)
		}
		measured++
		if fits {
			met++
		}
	}
	if measured == 0 {
		return fmt.Errorf("no line matches %q", pattern)
	}
	fmt.Printf("%d of %d targets met\n", met, measured)
	if o.profiling {
		return o.writeProfile(profile)
	}
	return nil
}

// Run starts the servers of the tests for a command and removes them after it:
//
//	go run ./internal/testserver/run go test ./postgres
//
// The command finds them in variables such as POSTGRES_TEST_URL, which package
// testserver lists. A server whose variable is set already is not started. Without
// a command the program prints the variables and keeps the servers until it is
// interrupted.
//
// A server that cannot be had is told once, and the tests that need it are
// skipped. Where the variable CI is set, that is an error.
//
// The exit code is the command's; that of one which a signal ended is 128 and the
// signal's number. It is 2 if the servers or the command could not be started.
// Interrupts and the like are passed to the command and all that it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/endpointcache/endpointcache/internal/testserver"
)

const exitFailed = 2

func main() {
	o := &testserver.Options{Log: os.Stderr}
	flag.BoolVar(&o.Durable, "durable", false, "let the servers wait for the disk as they do by default, which tests do not need")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), "Usage: run [flags] [command [argument ...]]\n\nRuns the command with the servers that tests need.\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go watchParent(signals)
	os.Exit(run(o, flag.Args(), signals))
}

// run is the program. It returns the exit code.
func run(o *testserver.Options, args []string, signals <-chan os.Signal) int {
	servers, err := startServers(o, signals)
	if err != nil {
		fmt.Fprintf(os.Stderr, "run: %v\n", err)
		return exitFailed
	}
	code, err := serve(servers, args, signals)
	if err = errors.Join(err, servers.Stop()); err != nil {
		fmt.Fprintf(os.Stderr, "run: %v\n", err)
		code = exitFailed
	}
	return code
}

// startServers gives up at the first signal.
func startServers(o *testserver.Options, signals <-chan os.Signal) (*testserver.Set, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	started := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			cancel(fmt.Errorf("stopped by a signal: %v", s))
		case <-started:
		}
	}()
	servers, err := testserver.Start(ctx, o)
	close(started)
	<-watched
	if cause := context.Cause(ctx); cause != nil {
		if servers != nil {
			err = servers.Stop()
		}
		return nil, errors.Join(cause, err)
	}
	return servers, err
}

// serve runs the command, or waits where there is none, and returns the exit code.
func serve(servers *testserver.Set, args []string, signals <-chan os.Signal) (int, error) {
	if len(args) > 0 {
		return runCommand(args, servers.Env(), signals)
	}
	for _, variable := range servers.Env() {
		fmt.Println(variable)
	}
	fmt.Fprintln(os.Stderr, "The servers run until this program is interrupted.")
	<-signals
	return 0, nil
}

// watchParent sends a signal when this program's parent is gone and has sent none,
// as go run is when it is terminated.
func watchParent(signals chan<- os.Signal) {
	for parent := os.Getppid(); os.Getppid() == parent; {
		time.Sleep(time.Second / 4)
	}
	signals <- syscall.SIGTERM
}

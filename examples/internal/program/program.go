// Package program is what the commands of the examples have in common: signals, flags,
// servers on loopback ports and exit codes.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"

	"github.com/endpointcache/endpointcache/driver"
)

// Exit codes.
const (
	exitFailed      = 1
	exitWrongFlags  = 2
	exitInterrupted = 130
)

// Command is a command: its flags, and what it does with them.
type Command struct {
	Name  string
	Usage string // what it does, above the flags in the help
	Flags *flag.FlagSet

	// Check returns an error where the flags do not go together.
	Check func() error

	// Do is the job. Its result goes to stdout, all else to stderr. It returns how much
	// is missing at its end; what it has fetched is stored, whatever it returns.
	Do func(ctx context.Context, stdout, stderr io.Writer) (missing int, err error)
}

// Store is the store that a program uses, as a flag names it.
type Store interface {
	// Flag defines -store.
	Flag(flags *flag.FlagSet)

	// Check returns an error where the program cannot open that store.
	Check() error

	// Open opens the store. On a server that others use as well, the name keeps the
	// tables apart; in PostgreSQL it is their schema.
	Open(ctx context.Context, name string) (driver.Store, error)

	// Query is a command that shows columns of a table, or empty where no shell of a
	// database does.
	Query(columns, name, table string) string
}

// Main runs a command until it ends or is interrupted, and the process with it.
func Main(c *Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	os.Exit(c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run parses the arguments and does the job. It returns the exit code: 0 if nothing is
// missing, 1 if something is or the job failed, 2 for wrong flags and 130 after an
// interrupt.
func (c *Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) (exitCode int) {
	if err := c.parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, "Usage: ", c.Name, " [flags]\n\n", c.Usage, "\n")
		c.Flags.SetOutput(stdout)
		c.Flags.PrintDefaults()
		return 0
	} else if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n%[1]s -h lists the flags.\n", c.Name, err)
		return exitWrongFlags
	}
	missing, err := c.Do(ctx, stdout, stderr)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted. What was fetched is stored; the next run fetches the rest.\n", c.Name)
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return exitFailed
	case missing > 0:
		return exitFailed
	}
	return 0
}

func (c *Command) parse(args []string) error {
	c.Flags.SetOutput(io.Discard) // Run prints the errors
	if err := c.Flags.Parse(args); err != nil {
		return err
	}
	if c.Flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: there are only flags", c.Flags.Arg(0))
	}
	return c.Check()
}

// CheckRate returns an error where the value of -rate is none.
func CheckRate(rate float64) error {
	if !(rate >= 0) || math.IsInf(rate, 1) {
		return fmt.Errorf("-rate is %v: it is a number of requests in a second, or 0", rate)
	}
	return nil
}

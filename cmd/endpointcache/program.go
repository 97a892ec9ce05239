package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"reflect"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/posener/complete"

	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/store"
)

// program is what all commands have in common: where they read and write, and what tests replace.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	now         func() time.Time  // nil: time.Now
	open        opener            // nil: store.Open
	origin      http.RoundTripper // nil: http.DefaultTransport
	interactive bool              // stdin is asked though it is no terminal
}

type opener func(ctx context.Context, url string, opts *store.Options) (driver.Store, error)

// session is one run of a command.
type session struct {
	*program
	common
	begun time.Time    // ages are those of this instant, so that what is shown is what is changed
	out   *term.Output // what the command has to tell; all else goes to stderr
	log   *slog.Logger
}

// common are the flags of all commands.
type common struct {
	JSON    bool          `help:"Write JSON: one object, or for lists an object on each line."`
	Local   bool          `help:"Show times in the local zone, not in UTC."`
	Timeout time.Duration `help:"Give up after this time, such as 30s." placeholder:"DURATION"`
}

// commands are the command line.
type commands struct {
	common

	Ls   lsCommand   `cmd:"" help:"List repositories: how many entries they have, how much they take, how old they are." group:"look"`
	Keys keysCommand `cmd:"" help:"List the keys of stored responses." group:"look"`
	Find findCommand `cmd:"" help:"List stored responses: status, size, age, expiry." group:"look"`
	Show showCommand `cmd:"" help:"Show one entry: status, headers, times, body, and what would become of it now." group:"look"`
	Why  whyCommand  `cmd:"" help:"Tell why a request is a hit or a miss." group:"look"`

	Diff   diffCommand   `cmd:"" help:"Compare an entry with what the origin answers at this moment." group:"look"`
	Serve  serveCommand  `cmd:"" help:"Show the cache as pages in a browser." group:"look"`
	Stats  statsCommand  `cmd:"" help:"Tell in numbers what is stored: by status, age, expiry and size." group:"look"`
	Verify verifyCommand `cmd:"" help:"Read entries whole, and tell with which something is wrong." group:"look"`
	Doctor doctorCommand `cmd:"" help:"Tell how the store is set up, and what is not as it should be." group:"look"`

	Rm     rmCommand     `cmd:"" help:"Delete entries." group:"change"`
	Expire expireCommand `cmd:"" help:"Make entries expire, so that the origin is asked again." group:"change"`
	Touch  touchCommand  `cmd:"" help:"Make entries live on." group:"change"`
	Clear  clearCommand  `cmd:"" help:"Delete what has expired, or everything." group:"change"`

	Vacuum vacuumCommand `cmd:"" help:"Give back the space that deleted entries have left." group:"change"`

	Cp     cpCommand     `cmd:"" help:"Copy a cache to another store." group:"move"`
	Export exportCommand `cmd:"" help:"Write stored responses to a HAR or JSON lines." group:"move"`
	Import importCommand `cmd:"" help:"Read responses from a HAR or JSON lines." group:"move"`

	Record recordCommand `cmd:"" help:"Answer as an API does, and record its answers." group:"cassette"`
	Replay replayCommand `cmd:"" help:"Answer as the recorded API did, without it." group:"cassette"`

	Gen genCommand `cmd:"" help:"Make a Go package with the declarations for an API out of its OpenAPI document." group:"other"`

	Completion kongcompletion.Completion `cmd:"" help:"Tell how a shell completes this program's arguments." group:"other" completion-shell-default:"true"`
}

var groups = []kong.Group{
	{Key: "look", Title: "Look into a cache (nothing is changed):"},
	{Key: "change", Title: "Change it (asks before it does, or takes --yes):"},
	{Key: "move", Title: "Copy and exchange:"},
	{Key: "cassette", Title: "Record and replay an API:"},
	{Key: "other", Title: "Others:"},
	{Key: "request", Title: "The request:"},
	{Key: "select", Title: "Conditions, of which entries fulfil all:"},
}

const description = `Looks into the cache of any program that uses endpointcache, and does something about what it finds.

A store is given by its URL: ${stores}. With ENDPOINTCACHE_STORE set, it can be left out.

The exit code is 0 if all went well, 1 after an error, 2 if the command line is wrong or says too little, 3 if nothing was found, 4 if there are differences or faults, and 130 after an interrupt.`

// The exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNothing     = 3
	exitDifferent   = 4
	exitInterrupted = 130
)

// Errors that only choose the exit code.
var (
	errNothing   = errors.New("nothing found")
	errDifferent = errors.New("differences or faults found")
)

// told is an error of which the output has told already.
type told struct{ error }

func (e told) Unwrap() error { return e.error }

// usageError is an error of who wrote the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run does what the arguments say, and returns the exit code.
func (p *program) run(ctx context.Context, args []string) (code int) {
	var c commands
	command := ""
	ended := false // by --help or the like
	parser, err := kong.New(&c,
		kong.Name("endpointcache"), kong.Description(description), kong.Vars{"stores": storeForms()},
		kong.Writers(p.stdout, p.stderr), kong.Exit(func(n int) { ended, code = true, n }),
		kong.ExplicitGroups(groups), kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeString)),
	)
	if err != nil {
		return p.report(ctx, command, err)
	}
	kongcompletion.Register(parser, kongcompletion.WithPredictor("repository", complete.PredictFunc(func(typed complete.Args) []string {
		return p.repositories(ctx, typed.Completed)
	})))
	if ended {
		return code
	}
	parsed, err := parser.Parse(args)
	if ended {
		return code
	}
	if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) {
		parsed = wrong.Context
	}
	if parsed != nil && parsed.Selected() != nil {
		command = parsed.Selected().Name + " "
	}
	if unwritten := (*fs.PathError)(nil); errors.As(err, &unwritten) { // such as of --help
		return p.report(ctx, command, err)
	}
	if err == nil {
		err = givenOnce(parsed)
	}
	if err != nil {
		return p.report(ctx, command, usageError{err})
	}
	if c.Timeout < 0 {
		return p.report(ctx, command, usagef("--timeout is negative"))
	}
	if c.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("not done after %v, as --timeout says", c.Timeout))
		defer cancel()
		ctx = limited
	}
	s := &session{program: p, common: c.common, begun: p.clock(), out: term.New(p.stdout)}
	s.log = slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	parsed.BindTo(ctx, (*context.Context)(nil))
	err = parsed.Run(s)
	if flushed := s.out.Flush(); err == nil || errors.Is(flushed, syscall.EPIPE) {
		err = flushed
	}
	if ended && err == nil {
		return code
	}
	return p.report(ctx, command, err)
}

// givenOnce refuses flags for one value that are given twice: what they select would be what the last one says alone.
func givenOnce(parsed *kong.Context) error {
	given := make(map[*kong.Flag]bool)
	for _, at := range parsed.Path {
		f := at.Flag
		if f == nil || f.Group == nil || f.Group.Key != "select" && f.Group.Key != "request" || f.IsCumulative() {
			continue
		}
		if given[f] {
			return fmt.Errorf("--%s is given twice: it takes one value", f.Name)
		}
		given[f] = true
	}
	return nil
}

// decodeString takes an argument as it is: kong's own way is by JSON, which has no bytes other than UTF-8.
func decodeString(ctx *kong.DecodeContext, to reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	to.SetString(token.String())
	return nil
}

// report tells an error of a command, and returns the exit code for it.
func (p *program) report(ctx context.Context, command string, err error) int {
	var child childExit
	switch {
	case err == nil, errors.Is(err, syscall.EPIPE): // whoever reads has seen enough
		return exitOK
	case errors.Is(err, errDifferent):
		return exitDifferent
	case errors.As(err, &child):
		return int(child)
	case errors.Is(err, errNothing):
		if already := (told{}); !errors.As(err, &already) {
			p.say("%v", err)
		}
		return exitNothing
	case errors.Is(context.Cause(ctx), context.Canceled):
		p.say("interrupted")
		return exitInterrupted
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err) // which tells what was not done
	}
	p.say("%v", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		fmt.Fprintf(p.stderr, "See endpointcache %s--help.\n", command)
		return exitUsage
	}
	return exitError
}

// say writes a line to whoever runs the program. It has no secrets, such as the password in a URL.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, "endpointcache: %s\n", lines(fmt.Sprintf(format, args...)))
}

func (p *program) clock() time.Time {
	if p.now != nil {
		return p.now()
	}
	return time.Now()
}

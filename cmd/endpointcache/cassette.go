package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/cassette"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/redact"
	"github.com/endpointcache/endpointcache/store"
)

// proxying is what record and replay have in common: which recording, where the proxy listens, and what runs with it.
type proxying struct {
	Store      string   `help:"The URL of the store: ${stores}." placeholder:"STORE" env:"ENDPOINTCACHE_STORE"`
	Name       string   `help:"The name that keeps the program's tables apart from others on a server." placeholder:"NAME"`
	Keys       keyFiles `help:"A file with the keys of a sealed store: see --keys of endpointcache show." placeholder:"FILE" type:"string" sep:"none"`
	Repository string   `completion-predictor:"repository" help:"The repository that holds the recording." default:"cassette"`
	listening
	Env string `help:"The variable in which the command finds the proxy's base URL." default:"ENDPOINTCACHE_URL"`
}

// arguments are those of record and replay, which are told apart by what they look like: what follows -- need not be one of a kind.
type arguments struct {
	First  *string  `arg:"" optional:"" name:"store" help:"The store's URL, if --store does not tell."`
	Second *string  `arg:"" optional:"" name:"url" help:"The API's URL, such as https://api.example.com/v1."`
	Rest   []string `arg:"" optional:"" name:"command" help:"After --, a command that is run, and ends the proxy."`
}

func (a *arguments) all() []string {
	var all []string
	for _, word := range []*string{a.First, a.Second} {
		if word != nil {
			all = append(all, *word)
		}
	}
	return append(all, a.Rest...)
}

// words are the arguments: the store's URL, which --store or the environment may tell instead, the API's URL, and the command.
func (p *proxying) words(words []string) (api string, command []string) {
	if len(words) > 0 && store.Kind(words[0]) != "" {
		p.Store, words = words[0], words[1:]
	}
	if len(words) > 0 && (strings.HasPrefix(words[0], "http://") || strings.HasPrefix(words[0], "https://")) {
		api, words = words[0], words[1:]
	}
	return api, words
}

func (p *proxying) target() target {
	return target{Store: storeURL(p.Store), Name: p.Name, Keys: p.Keys}
}

type recordCommand struct {
	arguments
	proxying

	New          bool     `help:"Ask the API only for what is not recorded; without it, all is asked for and recorded anew."`
	Last         bool     `help:"Keep only the last answer to requests that are the same, not one after the other."`
	Methods      []string `help:"The methods whose responses are recorded; without it, all." placeholder:"METHOD"`
	MatchHeader  []string `help:"A header that makes requests differ, besides Accept, conditions and ranges." placeholder:"NAME" sep:"none"`
	IgnoreQuery  []string `help:"A parameter of the query that makes no difference." placeholder:"NAME" sep:"none"`
	IgnoreBody   []string `help:"A field of the request's body that makes no difference: a name, a JSON Pointer, or * for all of it." placeholder:"NAME" sep:"none"`
	SortQuery    bool     `help:"The order of the query's parameters makes no difference."`
	RedactHeader []string `help:"A response header that is not stored." placeholder:"NAME" sep:"none"`
	RedactQuery  []string `help:"A parameter of the query that is neither stored nor makes a difference." placeholder:"NAME" sep:"none"`
	RedactJSON   []string `name:"redact-json" help:"A member of JSON bodies that is stored as null: /user/email, /items/*/token." placeholder:"POINTER" sep:"none"`
	Cookies      bool     `help:"Store Set-Cookie, which is a session's secret mostly."`
}

// Help is what --help tells besides.
func (recordCommand) Help() string {
	return `Answers requests as the API does, by asking it, and keeps what it answers: a cassette for tests. The API's paths are the proxy's.

  endpointcache record https://api.example.com/v1 --store sqlite:testdata/api.db
  endpointcache record https://api.example.com/v1 --store sqlite:testdata/api.db -- go test ./...

It prints the base URL to use instead of the API's; a command finds it in ENDPOINTCACHE_URL. Recorded is every response, whatever it says about caching, until an interrupt or the end of the command, but no credentials of requests. See endpointcache replay.`
}

// Run records.
func (r *recordCommand) Run(ctx context.Context, s *session) error {
	api, command := r.words(r.all())
	if api == "" {
		return usagef("it is not said what to record: give the API's URL, such as https://api.example.com/v1")
	}
	if err := r.check(); err != nil {
		return err
	}
	for i, method := range r.Methods {
		r.Methods[i] = strings.ToUpper(method)
	}
	chosen := cassette.Settings{
		API: api, Methods: r.Methods, MatchHeaders: r.MatchHeader, IgnoreQuery: r.IgnoreQuery, IgnoreBody: r.IgnoreBody, SortQuery: r.SortQuery,
		Redact: redact.Rules{Headers: r.RedactHeader, Query: r.RedactQuery, JSON: r.RedactJSON}, Cookies: r.Cookies,
	}
	if err := chosen.Validate(); err != nil {
		return usageError{err}
	}
	return r.target().with(ctx, s, true, func(c *cache.ResponseCache) error {
		tape, err := cassette.Record(ctx, c, r.Repository, chosen)
		if errors.Is(err, cassette.ErrOther) {
			return fmt.Errorf("%w: leave the flags away to add to it as it is, or record into another store or --repository", err)
		}
		if err != nil {
			return err
		}
		base := http.DefaultTransport.(*http.Transport).Clone()
		defer base.CloseIdleConnections()
		recorder := &cassette.Recorder{Cassette: tape, Base: base, Log: s.log, New: r.New, Last: r.Last}
		err = r.serve(ctx, s, tape, recorder, command)
		recorded, played, left := recorder.Counts()
		s.say("%s recorded, %s answered from the recording, %s not recorded", human.Things(recorded, "response", "responses"), human.Count(played), human.Count(left))
		return errors.Join(err, recorder.Finish(context.WithoutCancel(ctx)))
	})
}

type replayCommand struct {
	arguments
	proxying
}

// Help is what --help tells besides.
func (replayCommand) Help() string {
	return `Answers as the recorded API did. Nothing is sent: what was not recorded is answered with 504, and a text that names what was.

  endpointcache replay sqlite:testdata/api.db
  endpointcache replay sqlite:testdata/api.db -- go test ./...

It prints the base URL to use instead of the API's; a command finds it in ENDPOINTCACHE_URL, and its exit code is that of the program, too. Of requests that are the same, the first gets the first answer that was recorded, the second the second, and those behind the last one the last.`
}

// Run replays.
func (r *replayCommand) Run(ctx context.Context, s *session) error {
	_, command := r.words(r.all())
	if err := r.check(); err != nil {
		return err
	}
	return r.target().with(ctx, s, false, func(c *cache.ResponseCache) error {
		tape, err := cassette.Open(ctx, c, r.Repository)
		if errors.Is(err, cassette.ErrNone) {
			return fmt.Errorf("%w: there is no recording %s", errNothing, term.Quote(r.Repository))
		}
		if err != nil {
			return err
		}
		player := &cassette.Player{Cassette: tape, Contents: c.Contents(r.Repository)}
		err = r.serve(ctx, s, tape, player, command)
		played, missed := player.Counts()
		s.say("%s answered, %s not recorded", human.Things(played, "request", "requests"), human.Count(missed))
		return err
	})
}

// serve is the proxy, until an interrupt or until the command has ended.
func (p *proxying) serve(ctx context.Context, s *session, tape *cassette.Cassette, transport http.RoundTripper, command []string) error {
	api, err := url.Parse(tape.API)
	if err != nil {
		return err
	}
	proxy := &cassette.Proxy{Cassette: tape, Transport: transport, Log: s.log, Remote: p.AllowRemote}
	return p.listen(ctx, s, proxy.Handler(), func(ctx context.Context, base string) error {
		base += api.EscapedPath()
		if len(command) > 0 {
			return runCommand(ctx, s, command, p.Env+"="+base)
		}
		return s.announceAt(ctx, base)
	})
}

// childExit is the exit code of a command that was run.
type childExit int

func (c childExit) Error() string { return fmt.Sprintf("the command ended with exit code %d", int(c)) }

// runCommand runs a command with a variable, and returns its exit code as an error where that is not 0. An interrupt reaches it, too.
func runCommand(ctx context.Context, s *session, command []string, variable string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) // #nosec G204 -- the user names it
	cmd.Env = append(os.Environ(), variable)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.stdin, s.stdout, s.stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return childExit(exitCode(exit.ProcessState))
	}
	return err
}

// exitCode is the code of a process that has ended; where a signal ended it, that which a shell has for it, 130 for an interrupt.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

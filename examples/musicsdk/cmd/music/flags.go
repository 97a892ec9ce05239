package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/store"
)

const usage = `Usage: music [flags]

Lists the new releases of a music API, the tracks of some albums, and fetches
tracks by their ids. What it has is not fetched again.

`

// options are what the flags say.
type options struct {
	store   string
	api     string // empty: serve one
	id      string // of the client, where the API is another's
	secret  string
	market  string
	tracks  int
	rate    float64
	delay   time.Duration
	offline bool
	verbose bool
}

func newFlagSet(o *options) *flag.FlagSet {
	flags := flag.NewFlagSet("music", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the errors
	flags.StringVar(&o.store, "store", "sqlite:music.db", "the `URL` of what keeps the responses:\n"+strings.Join(store.Forms(), ",\n")+",\nor nothing, to keep none")
	flags.StringVar(&o.api, "api", "", "the `URL` of the API; by default it is served on a loopback port")
	flags.StringVar(&o.id, "client-id", "", "the `id` to get tokens with from the API of -api, if it asks for tokens;\nthe environment variable MUSIC_CLIENT_SECRET has the secret")
	flags.StringVar(&o.market, "market", "DE", "the `market` to ask for, none if it is empty")
	flags.IntVar(&o.tracks, "tracks", 2000, "the `number` of tracks to fetch by their ids")
	flags.Float64Var(&o.rate, "rate", 0, "the `number` of requests in a second, at most; 0 is no limit")
	flags.DurationVar(&o.delay, "delay", 5*time.Millisecond, "how long the API that is served takes to answer, a `duration`")
	flags.BoolVar(&o.offline, "offline", false, "ask no API: only what is stored is there")
	flags.BoolVar(&o.verbose, "v", false, "tell what became of each track that is not cached, and when the API asks to wait")
	return flags
}

func printUsage(w io.Writer) {
	flags := newFlagSet(new(options))
	flags.SetOutput(w)
	fmt.Fprint(w, usage)
	flags.PrintDefaults()
}

func parseFlags(args []string) (*options, error) {
	o := &options{secret: os.Getenv("MUSIC_CLIENT_SECRET")}
	flags := newFlagSet(o)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: there are only flags", flags.Arg(0))
	case o.tracks < 0:
		return nil, fmt.Errorf("-tracks is %d: it cannot be negative", o.tracks)
	case !(o.rate >= 0) || math.IsInf(o.rate, 1):
		return nil, fmt.Errorf("-rate is %v: it is a number of requests in a second, or 0", o.rate)
	case o.delay < 0:
		return nil, fmt.Errorf("-delay is %v: it cannot be negative", o.delay)
	case o.offline && o.store == "":
		return nil, errors.New("-offline needs a -store")
	}
	return o, nil
}

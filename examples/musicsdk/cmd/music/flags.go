package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/endpointcache/endpointcache/examples/internal/program"
)

// name is that of the program, and keeps its tables apart on a server that others use
// as well.
const name = "music"

const usage = `Lists the new releases of a music API, the tracks of some albums, and fetches
tracks by their ids. What is stored already is not fetched again.
`

// options are what the flags say.
type options struct {
	store   program.Store // what keeps the responses
	noStore bool          // keep none
	api     string        // empty: serve one
	local   bool          // it is the one that is served
	id      string        // of the client, where the API is another's
	secret  string
	market  string
	tracks  int
	rate    float64
	delay   time.Duration
	offline bool
	verbose bool
}

func (o *options) flags() *flag.FlagSet {
	o.secret = os.Getenv("MUSIC_CLIENT_SECRET")
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	o.store.Flag(flags)
	flags.BoolVar(&o.noStore, "no-store", false, "keep no responses")
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

func (o *options) check() error {
	switch {
	case o.tracks < 0:
		return fmt.Errorf("-tracks is %d: it cannot be negative", o.tracks)
	case o.delay < 0:
		return fmt.Errorf("-delay is %v: it cannot be negative", o.delay)
	case o.offline && o.noStore:
		return errors.New("-offline needs a store")
	}
	return errors.Join(program.CheckRate(o.rate), o.store.Check())
}

package musicapi

import (
	"cmp"
	"fmt"
	"math"
	"time"
)

// Limits of the API, which its clients have to know.
const (
	MaxBatch    = 50 // the ids in one request, at most
	MaxPage     = 50 // the items of one page, at most
	DefaultPage = 20 // the items of one page without a limit in the request
)

// Options are the settings of a [Server]. A nil *Options means the defaults: a
// server that asks for no token and is never slow, busy or broken.
type Options struct {
	Albums         int // how many albums there are; the default is 1,000
	TracksPerAlbum int // how many tracks each of them has; the default is 10
	Artists        int // how many artists have made them; the default is 200

	// ClientID and ClientSecret are what a client gets tokens for, at POST
	// /token. All other requests then need one. The default is to ask for none.
	ClientID     string
	ClientSecret string

	// TokenLifetime is how long a token holds. Requests with an older one are
	// answered with 401. The default is an hour.
	TokenLifetime time.Duration

	// Delay is how long each answer takes, except for those of POST /token.
	// The default is none.
	Delay time.Duration

	// Rate is how many requests each token may make in a second, and Burst how
	// many of them at once. Those beyond it are answered with 429 and a
	// Retry-After of whole seconds. Where no tokens are asked for, it is for
	// all clients together. The defaults are no limit, and a burst of one
	// second's requests.
	Rate  float64
	Burst int

	// FailEvery has every so many requests answered with 503, whichever client makes
	// them. The default is none.
	FailEvery int

	// Now is the clock by which tokens expire and requests are limited. The
	// default is [time.Now].
	Now func() time.Time
}

// withDefaults is o with the defaults filled in.
func (o *Options) withDefaults() (Options, error) {
	var filled Options
	if o != nil {
		filled = *o
	}
	if err := filled.validate(); err != nil {
		return filled, err
	}
	filled.Albums = cmp.Or(filled.Albums, 1000)
	filled.TracksPerAlbum = cmp.Or(filled.TracksPerAlbum, 10)
	filled.Artists = cmp.Or(filled.Artists, 200)
	filled.TokenLifetime = cmp.Or(filled.TokenLifetime, time.Hour)
	filled.Burst = cmp.Or(filled.Burst, max(1, int(filled.Rate)))
	if filled.Rate == 0 {
		filled.Rate = math.Inf(1)
	}
	if filled.Now == nil {
		filled.Now = time.Now
	}
	return filled, nil
}

func (o *Options) validate() error {
	for name, value := range map[string]int{
		"Albums": o.Albums, "TracksPerAlbum": o.TracksPerAlbum, "Artists": o.Artists,
		"Burst": o.Burst, "FailEvery": o.FailEvery,
	} {
		if value < 0 {
			return fmt.Errorf("musicapi: %s is %d: it cannot be negative", name, value)
		}
	}
	switch {
	case o.TokenLifetime < 0:
		return fmt.Errorf("musicapi: TokenLifetime is %v: it cannot be negative", o.TokenLifetime)
	case o.Delay < 0:
		return fmt.Errorf("musicapi: Delay is %v: it cannot be negative", o.Delay)
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 1):
		return fmt.Errorf("musicapi: Rate is %v: it is a number of requests in a second, or 0 for no limit", o.Rate)
	}
	return nil
}

package musicsdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
)

// Options are the settings of a client. A nil *Options means the defaults.
type Options struct {
	// Store keeps the API's responses: a file, a database, or this process's
	// memory. The client takes it over: [Client.Close] closes it, and so does
	// [New] where it fails. The default is to keep nothing.
	Store driver.Store

	// Token tells the API who the user is: see [ClientCredentials]. The default is to send no
	// token.
	Token TokenSource

	// StoredFrom is the base URL of the API that the stored responses are from. What one API
	// has answered is never returned for another, such as its staging. With
	// [settings.AnyBaseURL], it is. The default is the client's own.
	StoredFrom string

	// Market is the country whose licences count, as in "DE". The default is
	// to ask for none in particular.
	Market string

	// Transport makes the requests. The default has connections of its own.
	Transport http.RoundTripper

	// Rate is how many requests are sent in a second, at most. What is stored
	// costs none. The default is no limit but those that the API tells, by 429
	// and Retry-After.
	Rate float64

	// InFlight is how many requests are under way at once, at most. The default
	// is 8.
	InFlight int

	// Gather is how long a call for one item waits for others, to share a
	// request with them. The default is not to wait.
	Gather time.Duration

	// Offline has the client make no request: what is stored is returned,
	// expired or not, and all else is [ErrOffline].
	Offline bool

	// OnWait is told when the API asks to wait, and for how long, by any
	// goroutine. The default is nil.
	OnWait func(time.Duration)

	// Logger is told when the store fails, which fails no call. The default is
	// [slog.Default].
	Logger *slog.Logger

	// Now is the clock by which what is stored expires. The default is
	// [time.Now].
	Now func() time.Time
}

// Client asks the music API. Many goroutines may use it at once.
type Client struct {
	market string

	requests *fetch.Client
	cache    *cache.ResponseCache // nil: nothing is kept

	tracks       *fetch.Fetcher[TrackKey, Track]
	albums       *fetch.Fetcher[AlbumKey, Album]
	artists      *fetch.Fetcher[ArtistKey, Artist]
	albumTracks  *fetch.Fetcher[AlbumTracksKey, TrackPage]
	artistAlbums *fetch.Fetcher[ArtistAlbumsKey, []Album]
	newReleases  *fetch.Fetcher[NewReleasesKey, ReleasePage]
}

// New returns a client of the API at baseURL, as in "https://api.example.com", which
// is to be closed. ctx is for preparing the store.
func New(ctx context.Context, baseURL string, opts *Options) (*Client, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	c := &Client{market: o.Market}
	if err := c.open(ctx, baseURL, o); err != nil {
		return nil, errors.Join(fmt.Errorf("musicsdk: %w", err), c.Close())
	}
	return c, nil
}

func (c *Client) open(ctx context.Context, baseURL string, o Options) (err error) {
	if o.Store != nil {
		if c.cache, err = cache.New(o.Store, cacheOptions(o)); err != nil {
			return errors.Join(err, o.Store.Close())
		}
	}
	if err := c.connect(baseURL, o); err != nil {
		return err
	}
	f := &fetch.FetcherOptions{Gather: o.Gather, Concurrency: o.InFlight}
	return errors.Join(
		add(ctx, c, &c.tracks, Tracks, f),
		add(ctx, c, &c.albums, Albums, f),
		add(ctx, c, &c.artists, Artists, f),
		add(ctx, c, &c.albumTracks, AlbumTracks, f),
		add(ctx, c, &c.artistAlbums, ArtistAlbums, f),
		add(ctx, c, &c.newReleases, NewReleases, f),
	)
}

func cacheOptions(o Options) *cache.Options {
	c := &cache.Options{Name: "music", BaseURL: o.StoredFrom, Now: o.Now, Logger: o.Logger}
	if o.Offline {
		c.Policy.Use = policy.Offline
	}
	return c
}

// connect makes what sends the requests: from a call to the API, they are repeated,
// held back, and given the token, which is for the host of the API alone.
func (c *Client) connect(baseURL string, o Options) (err error) {
	if baseURL == "" {
		return errors.New("the base URL is empty")
	}
	manners := &origin.Options{
		Limits: origin.Limits{Rate: o.Rate, InFlight: cmp.Or(o.InFlight, 8)},
		Pause:  pause,
	}
	if o.Token != nil {
		manners.Credentials = &origin.Credentials{Token: o.Token}
	}
	if o.OnWait != nil {
		manners.OnPause = func(_ string, d time.Duration) { o.OnWait(d) }
	}
	c.requests, err = fetch.NewClient(&fetch.Options{
		BaseURL: baseURL, Origin: manners, Transport: o.Transport, Offline: o.Offline,
	})
	return err
}

// pause is the first one after a 503, where the API does not say how long: it is back
// soon, as a rule.
const pause = 200 * time.Millisecond

// add sets one of the client's fetchers, with a table in its cache if it has one.
func add[K comparable, V any](ctx context.Context, c *Client, f **fetch.Fetcher[K, V], s settings.RepositorySettings[K, V], opts *fetch.FetcherOptions) (err error) {
	if c.cache == nil {
		*f, err = fetch.Uncached(c.requests, s, opts)
		return err
	}
	*f, err = fetch.Create(ctx, c.cache, c.requests, s, opts)
	return err
}

// Cache is what the client keeps, to be counted or cleared; nil where that is nothing.
func (c *Client) Cache() *cache.ResponseCache { return c.cache }

// Close ends what is under way, waits for it and closes the store. The transport of
// [Options] stays the caller's.
func (c *Client) Close() error {
	var errs []error
	if c.requests != nil {
		errs = append(errs, c.requests.Close())
	}
	if c.cache != nil {
		errs = append(errs, c.cache.Close())
	}
	return errors.Join(errs...)
}

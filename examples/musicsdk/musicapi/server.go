// Package musicapi is a music API to try clients with: a handler that makes up its
// data, the same for each server, and behaves as such APIs do.
//
//	GET /v1/tracks/{id}           a track; 404 where it is not licensed in the market
//	GET /v1/tracks?ids=a,b        {"tracks": [...]}, null for an unknown id
//	GET /v1/albums/{id}           an album
//	GET /v1/albums?ids=a,b        {"albums": [...]}, unknown ids left out
//	GET /v1/albums/{id}/tracks    by offset and limit, with the total and the next URL
//	GET /v1/artists/{id}          an artist
//	GET /v1/artists?ids=a,b       {"artists": {"a": ...}}, unknown ids left out
//	GET /v1/artists/{id}/albums   by page and limit, a bare list with Link headers
//	GET /v1/new-releases          all albums, the newest first, by cursor and limit
//	POST /token                   a token by the client credentials grant of OAuth 2
//
// All of tracks and albums take a market, such as DE: what is not licensed in it is
// not there. A market in which the API is not offered is refused with 403, and an
// id that cannot be one with 400, also where it is one of many. Answers have an
// ETag and Cache-Control, and a conditional request is answered with 304.
//
// By its [Options] the server is slow, limits its clients, fails now and then, and
// asks for tokens that expire. [Server.Stats] counts what it was asked.
package musicapi

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Server is the API's handler. Many goroutines may use it at once.
type Server struct {
	opts Options
	data *catalogue
	mux  *http.ServeMux

	mu       sync.Mutex
	stats    Stats
	inFlight int
	served   int                 // requests but those for tokens, to fail every so many of them
	sessions map[string]*session // by token
	anyone   *rate.Limiter       // of all clients, where no tokens are asked for
}

// session is what the server knows of a token.
type session struct {
	expires time.Time
	limiter *rate.Limiter
}

// Stats are what a server was asked.
type Stats struct {
	Total       int
	Requests    map[string]int // by endpoint, as in "GET /v1/tracks/{id}"
	Statuses    map[int]int    // by the status of the answer
	MaxInFlight int            // requests that were being answered at once, at most
}

// New returns an API. opts may be nil.
func New(opts *Options) (*Server, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:     o,
		data:     newCatalogue(o),
		mux:      http.NewServeMux(),
		stats:    Stats{Requests: make(map[string]int), Statuses: make(map[int]int)},
		sessions: make(map[string]*session),
	}
	s.anyone = s.newLimiter()
	s.mux.HandleFunc("POST /token", s.serveToken)
	for pattern, find := range map[string]endpoint{
		"GET /v1/tracks/{id}":         s.track,
		"GET /v1/tracks":              s.tracks,
		"GET /v1/albums/{id}":         s.album,
		"GET /v1/albums":              s.albums,
		"GET /v1/albums/{id}/tracks":  s.albumTracks,
		"GET /v1/artists/{id}":        s.artist,
		"GET /v1/artists":             s.artists,
		"GET /v1/artists/{id}/albums": s.artistAlbums,
		"GET /v1/new-releases":        s.newReleases,
	} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, find) })
	}
	return s, nil
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, pattern := s.mux.Handler(r)
	counted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.begin(pattern)
	defer func() { s.end(counted.status) }()
	s.mux.ServeHTTP(counted, r)
}

// statusWriter notes the status of the answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (s *Server) begin(pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Total++
	s.stats.Requests[pattern]++
	s.inFlight++
	s.stats.MaxInFlight = max(s.stats.MaxInFlight, s.inFlight)
}

func (s *Server) end(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Statuses[status]++
	s.inFlight--
}

// Stats returns what the server was asked until now.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.Requests, stats.Statuses = maps.Clone(stats.Requests), maps.Clone(stats.Statuses)
	return stats
}

// Track is the track with that number, as [TrackID] counts.
func (s *Server) Track(n int) Track { return s.data.track(n) }

// Album is the album with that number, as [AlbumID] counts.
func (s *Server) Album(n int) Album { return s.data.album(n) }

// Artist is the artist with that number, as [ArtistID] counts.
func (s *Server) Artist(n int) Artist { return s.data.artist(n) }

// endpoint finds the answer to a request, or an [apiError].
type endpoint func(*http.Request) (answer, error)

// serve answers a request, unless its client is refused.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, find endpoint) {
	if err := s.wait(r); err != nil {
		return // the client is gone
	}
	if err := s.admit(r); err != nil {
		writeError(w, err)
		return
	}
	a, err := find(r)
	if err != nil {
		writeError(w, err)
		return
	}
	a.write(w, r)
}

// wait takes as long as an answer does.
func (s *Server) wait(r *http.Request) error {
	if s.opts.Delay == 0 {
		return nil
	}
	timer := time.NewTimer(s.opts.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// admit decides which requests are answered: not all when the server is down, none without
// a token, and none beyond the limit.
func (s *Server) admit(r *http.Request) error {
	if s.down() {
		return &apiError{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "try again"}
	}
	now := s.opts.Now()
	limiter := s.anyone
	if s.opts.ClientID != "" {
		known, err := s.session(r, now)
		if err != nil {
			return err
		}
		limiter = known.limiter
	}
	if err := limit(limiter, now); err != nil {
		return err
	}
	return checkMarket(r)
}

// down reports whether this request is one of those that fail.
func (s *Server) down() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served++
	return s.opts.FailEvery > 0 && s.served%s.opts.FailEvery == 0
}

func (s *Server) newLimiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(s.opts.Rate), s.opts.Burst)
}

func limit(limiter *rate.Limiter, now time.Time) error {
	turn := limiter.ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if delay == 0 {
		return nil
	}
	turn.CancelAt(now)
	return &apiError{Status: http.StatusTooManyRequests, Code: "rate_limited", Message: "too many requests", RetryAfter: delay}
}

func checkMarket(r *http.Request) error {
	market := r.FormValue("market")
	isCode := len(market) == 2 && strings.Trim(market, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	switch {
	case market != "" && !isCode:
		return badRequest("market is not a code of two capital letters")
	case !served(market):
		return &apiError{Status: http.StatusForbidden, Code: "market_refused", Message: "not offered in this market"}
	}
	return nil
}

// apiError is a refusal as the API answers it.
type apiError struct {
	Status     int           `json:"status"`
	Code       string        `json:"code"`
	Message    string        `json:"message"`
	RetryAfter time.Duration `json:"-"`
}

func (e *apiError) Error() string { return e.Message }

func badRequest(message string) error {
	return &apiError{Status: http.StatusBadRequest, Code: "bad_request", Message: message}
}

func notFound(message string) error {
	return &apiError{Status: http.StatusNotFound, Code: "not_found", Message: message}
}

func writeError(w http.ResponseWriter, err error) {
	var refusal *apiError
	if !errors.As(err, &refusal) {
		refusal = &apiError{Status: http.StatusInternalServerError, Code: "internal", Message: "internal error"}
	}
	if refusal.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	if refusal.RetryAfter > 0 {
		w.Header().Set("Retry-After", wholeSeconds(refusal.RetryAfter))
	}
	writeJSON(w, refusal.Status, map[string]*apiError{"error": refusal})
}

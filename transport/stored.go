package transport

import (
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/repository"
)

// stored is an entry with its head decoded.
type stored struct {
	entry repository.Entry
	head  repository.Head

	parsed     bool
	directives rfc9111.Directives
}

// The notes that the transport keeps with an entry.
const (
	ageNote        = "age"        // how old it was when it was saved, in seconds
	variantNote    = "variant"    // of the request, where the response varies
	generationNote = "generation" // of a key's variants: they go with the entry that began it
)

func newStored(e repository.Entry) (*stored, error) {
	head, err := e.Head()
	if err != nil {
		return nil, err
	}
	return &stored{entry: e, head: head}, nil
}

func (s *stored) control() *rfc9111.Directives {
	if !s.parsed {
		s.directives, s.parsed = rfc9111.ParseDirectives(s.head.Header), true
	}
	return &s.directives
}

func (s *stored) fresh(now time.Time) bool {
	return s.entry.ExpiresAt.IsZero() || now.Before(s.entry.ExpiresAt)
}

// staleness is the time since s expired, negative while it is fresh.
func (s *stored) staleness(now time.Time) time.Duration {
	if s.entry.ExpiresAt.IsZero() {
		return -1 << 62
	}
	return now.Sub(s.entry.ExpiresAt)
}

// mayBeStale reports whether the response lets itself be served after its expiry,
// RFC 9111, section 4.2.4.
func (s *stored) mayBeStale() bool {
	d := s.control()
	return !d.MustRevalidate && !d.NoCache
}

// age is how old the response is, section 4.2.3.
func (s *stored) age(now time.Time) time.Duration {
	seconds, _ := strconv.ParseInt(s.head.Notes[ageNote], 10, 32)
	return time.Duration(seconds)*time.Second + max(now.Sub(s.entry.CachedAt), 0)
}

// clone is a copy whose head is its own.
func (s *stored) clone() *stored {
	c := *s
	c.head.Header = s.head.Header.Clone()
	c.head.Notes = maps.Clone(s.head.Notes)
	return &c
}

func (s *stored) note(name, value string) {
	if s.head.Notes == nil {
		s.head.Notes = make(map[string]string, 3)
	}
	s.head.Notes[name] = value
}

func (s *stored) noteAge(age time.Duration) {
	delete(s.head.Notes, ageNote)
	if seconds := int64(age / time.Second); seconds > 0 {
		s.note(ageNote, strconv.FormatInt(seconds, 10))
	}
}

func (s *stored) exchange(req *http.Request) *Exchange {
	return &Exchange{Request: req, Status: s.entry.Status, Header: s.head.Header, Body: s.entry.Payload}
}

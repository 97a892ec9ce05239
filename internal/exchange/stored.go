package exchange

import (
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// Stored is an entry with its head decoded.
type Stored struct {
	Entry driver.Entry
	Head  head.Head

	bare       bool          // the payload was not read
	old        bool          // a mark says so: it is only to be asked about, RFC 9111, section 4.4
	beside     bool          // it is a variant that is not the latest of its key
	parts      rfc9111.Parts // of a part
	parsed     bool
	directives rfc9111.Directives
}

// The notes that are kept with an entry.
const (
	ageNote        = "age"        // how old it was when it was asked for, in seconds
	variantNote    = "variant"    // of the request, where the response varies
	generationNote = "generation" // of a key's variants: they go with the entry that began it
	severalNote    = "several"    // there are other variants of the key
)

func newStored(e driver.Entry) (*Stored, error) {
	h, err := head.Decode(e.Header)
	if err != nil {
		return nil, err
	}
	return &Stored{Entry: e, Head: h, old: isCutShort(e)}, nil
}

// showTo takes the cookies out of s where they are not for those who ask by the rules. s
// is the asker's own.
func (s *Stored) showTo(r *Rules) *Stored {
	if !r.Cookies() {
		s.Head.DropCookies()
	}
	return s
}

// control are the directives of the response. It is called before callers share s.
func (s *Stored) control() *rfc9111.Directives {
	if !s.parsed {
		s.directives, s.parsed = rfc9111.ParseDirectives(s.Head.Header), true
	}
	return &s.directives
}

// Fresh reports whether s has not expired at now.
func (s *Stored) Fresh(now time.Time) bool { return !s.old && s.Entry.Live(now) }

// Staleness is the time since s expired, negative while it is fresh.
func (s *Stored) Staleness(now time.Time) time.Duration {
	if s.Entry.ExpiresAt.IsZero() {
		return -1 << 62
	}
	return now.Sub(s.Entry.ExpiresAt)
}

// mayBeStale reports whether the response lets itself be served after its expiry,
// RFC 9111, section 4.2.4.
func (s *Stored) mayBeStale() bool {
	d := s.control()
	return !d.MustRevalidate && !d.NoCache
}

// Age is how old the response is, RFC 9111, section 4.2.3.
func (s *Stored) Age(now time.Time) time.Duration {
	seconds, _ := strconv.ParseInt(s.Head.Notes[ageNote], 10, 32)
	return time.Duration(seconds)*time.Second + max(now.Sub(s.Entry.CachedAt), 0)
}

// Clone is a copy whose head is its own.
func (s *Stored) Clone() *Stored {
	c := *s
	c.Head.Header, c.Head.Trailer = s.Head.Header.Clone(), s.Head.Trailer.Clone()
	c.Head.Notes = maps.Clone(s.Head.Notes)
	return &c
}

// withHeader is Clone with another header.
func (s *Stored) withHeader(h http.Header) *Stored {
	c := *s
	c.Head.Header, c.Head.Notes = h, maps.Clone(s.Head.Notes)
	return &c
}

func (s *Stored) note(name, value string) {
	if s.Head.Notes == nil {
		s.Head.Notes = make(map[string]string, 3)
	}
	s.Head.Notes[name] = value
}

func (s *Stored) noteAge(age time.Duration) {
	delete(s.Head.Notes, ageNote)
	if seconds := int64(age / time.Second); seconds > 0 {
		s.note(ageNote, strconv.FormatInt(seconds, 10))
	}
}

func (s *Stored) exchange(req *http.Request) *policy.Exchange {
	return &policy.Exchange{Request: req, Status: policyStatus(s.Entry.Status), Header: s.Head.Header, Body: s.Entry.Payload, Trailer: s.Head.Trailer}
}

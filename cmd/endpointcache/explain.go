package main

import (
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
)

// verdicts are the words for what a request brings about, in JSON and for people.
var verdicts = map[cache.Verdict]struct {
	name, words string
	style       term.Style
}{
	cache.Serve:         {"serve", "it would be served", term.Good},
	cache.ServeAndRenew: {"serveAndRenew", "it would be served, and renewed in the background", term.Good},
	cache.Revalidate:    {"revalidate", "the origin would be asked whether it still holds", term.Warn},
	cache.Fetch:         {"fetch", "it would be fetched from the origin", term.Warn},
	cache.Unanswered:    {"unanswered", "there would be no answer", term.Bad},
}

// explanation tells in JSON what a request for an entry would bring about now.
type explanation struct {
	Verdict        string    `json:"verdict"`
	Reasons        []string  `json:"reasons"`
	Declared       bool      `json:"declared"`
	AgeSeconds     int64     `json:"ageSeconds"`
	RenewableUntil time.Time `json:"renewableUntil,omitzero"`
	StandsInUntil  time.Time `json:"standsInUntil,omitzero"`
	Validator      bool      `json:"validator"`
	Outdated       bool      `json:"outdated"`
}

func (s *session) explanationOf(e cache.Explanation) explanation {
	return explanation{
		verdicts[e.Verdict].name, append([]string{}, e.Reasons...), e.Declared, int64(e.Age / time.Second),
		s.at(e.RenewableUntil), s.at(e.StandsInUntil), e.Validator, e.Outdated,
	}
}

// verdict writes what a request would bring about, and why.
func (s *session) verdict(e cache.Explanation) {
	v := verdicts[e.Verdict]
	s.fact("Now", s.out.Styled(v.style, v.words))
	for _, reason := range e.Reasons {
		s.fact("", term.Text(reason))
	}
}

// fact writes a line about something.
func (s *session) fact(subject, text string) {
	const width = 11
	s.out.Printf("%s%s%s\n", s.out.Styled(term.Faint, subject), strings.Repeat(" ", max(width-len(subject), 1)), text)
}

// instant is a time as people read it, with how far it is.
func (s *session) instant(t time.Time) string {
	const layout = "2006-01-02 15:04:05 MST"
	return s.at(t).Format(layout) + ", " + human.Relative(t, s.begun)
}

package main

import (
	"context"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
)

type whyCommand struct {
	target
	Words []string `arg:"" optional:"" name:"request" sep:"none" help:"The method, GET if it is left out, and the URL of a request."`
	asked
}

// looked is the result of a lookup in JSON.
type looked struct {
	Found       bool         `json:"found"`
	Hit         bool         `json:"hit"` // it would be served without a question to the origin
	Reasons     []string     `json:"reasons"`
	Table       text         `json:"table,omitempty"`
	Repository  text         `json:"repository,omitempty"`
	Key         jsonKey      `json:"key,omitempty"`
	Entry       *entry       `json:"entry,omitempty"`
	Explanation *explanation `json:"explanation,omitempty"`
	Near        []entry      `json:"near"`
}

// Run tells why a request is a hit or a miss.
func (c *whyCommand) Run(ctx context.Context, s *session) error {
	switch {
	case len(c.Words) == 2 && c.Method == "":
		c.Method = strings.ToUpper(c.Words[0])
	case len(c.Words) != 1:
		return usagef("it is not said which request: give its method and its URL")
	}
	req, err := c.request(ctx, c.Words[len(c.Words)-1])
	if err != nil {
		return err
	}
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		l, err := lookup(rc, req)
		if err != nil {
			return err
		}
		names, err := readNames(ctx, rc)
		if err != nil {
			return err
		}
		if s.JSON {
			err = s.out.Document(s.lookedOf(l, names))
		} else {
			s.tellLookup(l, names)
		}
		if err == nil && !isHit(l) {
			err = told{errNothing}
		}
		return err
	})
}

func (s *session) lookedOf(l cache.Lookup, names tableNames) looked {
	result := looked{
		Found: l.Found, Hit: isHit(l), Reasons: append([]string{}, l.Reasons...), Table: text(names.of(l.Table)), Repository: text(l.Repository), Key: jsonKey(l.Key),
		Near: []entry{},
	}
	if l.Found {
		e, why := s.entryOf(names.of(l.Table), l.Stored), s.explanationOf(l.Explanation)
		result.Entry, result.Explanation = &e, &why
	}
	for _, e := range l.Near {
		result.Near = append(result.Near, s.entryOf(names.of(e.Table), e))
	}
	return result
}

// isHit reports whether the answer would come from the store.
func isHit(l cache.Lookup) bool {
	return l.Found && (l.Explanation.Verdict == cache.Serve || l.Explanation.Verdict == cache.ServeAndRenew)
}

func (s *session) tellLookup(l cache.Lookup, names tableNames) {
	result, style := "a miss: nothing is stored", term.Bad
	switch {
	case isHit(l):
		result, style = "a hit", term.Good
	case l.Found:
		result, style = "a miss, though something is stored", term.Warn
	}
	s.fact("Result", s.out.Styled(style, result))
	if l.Table != "" {
		s.fact("Table", term.Text(names.of(l.Table)))
		s.fact("Key", keyWords(l.Key))
	}
	if l.Found {
		s.fact("Now", verdicts[l.Explanation.Verdict].words)
	}
	for i, reason := range l.Reasons {
		subject := ""
		if i == 0 {
			subject = "Why"
		}
		s.fact(subject, term.Text(reason))
	}
	if len(l.Near) > 0 {
		s.out.Printf("\n%s\n", s.out.Styled(term.Bold, "Near it"))
		table := s.entryTable()
		for _, e := range l.Near {
			table.row(names.of(e.Table), e)
		}
		table.Flush()
	}
}

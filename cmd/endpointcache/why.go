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
	Hit         bool         `json:"hit"`
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
		l, err := rc.Contents().Lookup(ctx, req)
		if err != nil {
			return err
		}
		if s.JSON {
			err = s.out.Document(s.lookedOf(l))
		} else {
			s.tellLookup(l)
		}
		if err == nil && !l.Found {
			err = told{errNothing}
		}
		return err
	})
}

func (s *session) lookedOf(l cache.Lookup) looked {
	result := looked{
		Hit: l.Found, Reasons: append([]string{}, l.Reasons...), Table: text(l.Table), Repository: text(l.Repository), Key: jsonKey(l.Key),
		Near: []entry{},
	}
	if l.Found {
		e, why := s.entryOf(l.Stored), s.explanationOf(l.Explanation)
		result.Entry, result.Explanation = &e, &why
	}
	for _, e := range l.Near {
		result.Near = append(result.Near, s.entryOf(e))
	}
	return result
}

func (s *session) tellLookup(l cache.Lookup) {
	result, style := "miss", term.Warn
	if l.Found {
		result, style = "hit", term.Good
	}
	s.fact("Result", s.out.Styled(style, result))
	if l.Table != "" {
		s.fact("Table", term.Text(l.Table))
		s.fact("Key", keyWords(l.Key))
	}
	for i, reason := range l.Reasons {
		subject := ""
		if i == 0 {
			subject = "Why"
		}
		s.fact(subject, term.Text(reason))
	}
	if l.Found {
		s.verdict(l.Explanation, l.Explanation.Reasons)
	}
	if len(l.Near) > 0 {
		s.out.Printf("\n%s\n", s.out.Styled(term.Bold, "Near it"))
		table := s.entryTable()
		for _, e := range l.Near {
			table.row(e)
		}
		table.Flush()
	}
}

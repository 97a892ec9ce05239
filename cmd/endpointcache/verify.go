package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
)

type verifyCommand struct {
	target
	Tables []string `arg:"" optional:"" name:"table" completion-predictor:"repository" help:"Repositories, or tables; all without."`
	conditions
}

// fault is what is wrong with an entry, in JSON.
type fault struct {
	identity
	Status int    `json:"status"`
	Error  string `json:"error"`
	Damage bool   `json:"damage"`
}

// verified is the last line in JSON.
type verified struct {
	Checked int `json:"checked"`
	Faults  int `json:"faults"`
}

// Run reads entries whole, and tells with which something is wrong.
func (c *verifyCommand) Run(ctx context.Context, s *session) error {
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		sc, err := c.scope(ctx, s, rc, c.Tables)
		if err != nil {
			return err
		}
		table := s.out.Table(term.Column{Title: "TABLE"}, term.Column{Title: "KEY"}, term.Column{Title: "STATUS", Right: true, Fixed: true},
			term.Column{Title: "FAULT"})
		var result verified
		for f, err := range sc.contents.Verify(ctx, sc.query, func(cache.Stored) { result.Checked++ }) {
			if err != nil {
				return err
			}
			result.Faults++
			if s.JSON {
				if err := s.out.JSON(fault{identityOf(sc.names.of(f.Table), f.Stored), f.Status, lines(f.Err.Error()), f.Damage}); err != nil {
					return err
				}
				continue
			}
			what := term.Cell{Text: term.Text(strings.ReplaceAll(f.Err.Error(), "\n", "; ")), Style: term.Warn} // errors are joined by lines
			if f.Damage {
				what = term.Cell{Text: "damaged: " + what.Text, Style: term.Bad}
			}
			table.Cells(term.Cell{Text: term.Text(sc.names.of(f.Table))}, term.Cell{Text: keyWords(f.Key)}, term.Cell{Text: strconv.Itoa(f.Status)}, what)
		}
		if s.JSON {
			err = s.out.JSON(result)
		} else {
			table.Flush()
			s.out.Printf("%s read, %s.\n", human.Things(result.Checked, "entry", "entries"), human.Things(result.Faults, "fault", "faults"))
		}
		if err == nil && result.Faults > 0 {
			err = errDifferent
		}
		return err
	})
}

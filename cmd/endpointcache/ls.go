package main

import (
	"context"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
)

type lsCommand struct {
	target
	Tables []string `arg:"" optional:"" name:"repository" completion-predictor:"repository" help:"Repositories; all without."`
}

// summary is a table in JSON.
type summary struct {
	Table      text        `json:"table"`
	Repository text        `json:"repository"`
	Origin     text        `json:"origin,omitempty"`
	Key        []keyColumn `json:"key"`
	Endpoint   text        `json:"endpoint,omitempty"`
	Version    int         `json:"version"`
	Entries    int         `json:"entries"`
	Live       int         `json:"live"`
	Expired    int         `json:"expired"`
	Absent     int         `json:"absent"`
	Bytes      int64       `json:"bytes"`
	Oldest     time.Time   `json:"oldest,omitzero"`
	Newest     time.Time   `json:"newest,omitzero"`
	Left       bool        `json:"left"`
}

type keyColumn struct {
	Name text   `json:"name"`
	Kind string `json:"kind"`
}

// Run lists what repositories there are.
func (c *lsCommand) Run(ctx context.Context, s *session) error {
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		if len(c.Tables) > 0 {
			tables, err := rc.Tables(ctx)
			if err != nil {
				return err
			}
			chosen, err := choose(tables, c.Tables)
			if err != nil {
				return err
			}
			c.Tables = c.Tables[:0]
			for _, t := range chosen {
				c.Tables = append(c.Tables, t.Repository)
			}
		}
		summaries, err := rc.Contents(c.Tables...).Summaries(ctx)
		if err != nil {
			return err
		}
		if len(summaries) == 0 {
			return errNothing
		}
		names := namesIn(summaries)
		if s.JSON {
			for _, sum := range summaries {
				if err := s.out.JSON(s.summaryOf(names, sum)); err != nil {
					return err
				}
			}
			return nil
		}
		s.list(names, summaries)
		return nil
	})
}

// namesIn are what commands call the tables of summaries.
func namesIn(summaries []cache.Summary) tableNames {
	tables := make([]cache.Table, len(summaries))
	for i, sum := range summaries {
		tables[i] = sum.Table
	}
	return namesOf(tables)
}

func (s *session) summaryOf(names tableNames, sum cache.Summary) summary {
	result := summary{
		Table: text(names.of(sum.Name)), Repository: text(sum.Repository), Origin: text(sum.Origin), Key: []keyColumn{},
		Entries: sum.Live + sum.Expired, Live: sum.Live, Expired: sum.Expired, Absent: sum.Absent, Bytes: sum.Bytes,
		Oldest: s.at(sum.Oldest), Newest: s.at(sum.Newest), Left: sum.Left,
	}
	for _, c := range sum.Key {
		result.Key = append(result.Key, keyColumn{text(c.Name), c.Kind.String()})
	}
	if d := sum.Declaration; d != nil {
		result.Endpoint, result.Version = text(d.Endpoint), d.Version
	}
	return result
}

func (s *session) list(names tableNames, summaries []cache.Summary) {
	right := func(title string) term.Column { return term.Column{Title: title, Right: true, Fixed: true} }
	table := s.out.Table(term.Column{Title: "TABLE"}, term.Column{Title: "KEY"}, right("ENTRIES"), right("LIVE"), right("EXPIRED"),
		right("ABSENT"), right("SIZE"), right("OLDEST"), right("NEWEST"), right("VERSION"))
	var all cache.Summary
	for _, sum := range summaries {
		name := term.Cell{Text: term.Text(names.of(sum.Name))}
		if sum.Left {
			name = term.Cell{Text: name.Text + " (left over)", Style: term.Faint}
		}
		row := s.figures(sum)
		row[0], row[1].Text, row[9].Text = name, keyOf(sum.Key), "-"
		if d := sum.Declaration; d != nil && d.Version > 0 {
			row[9].Text = strconv.Itoa(d.Version)
		}
		table.Cells(row...)
		all.Live += sum.Live
		all.Expired += sum.Expired
		all.Absent += sum.Absent
		all.Bytes += sum.Bytes
		if !sum.Oldest.IsZero() && (all.Oldest.IsZero() || sum.Oldest.Before(all.Oldest)) {
			all.Oldest = sum.Oldest
		}
		if sum.Newest.After(all.Newest) {
			all.Newest = sum.Newest
		}
	}
	if len(summaries) > 1 {
		row := s.figures(all)
		row[0].Text = "total"
		for i := range row {
			row[i].Style = term.Bold
		}
		table.Cells(row...)
	}
	table.Flush()
}

// figures are the cells of a row, without those that tell whose it is.
func (s *session) figures(sum cache.Summary) []term.Cell {
	ago := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return human.Between(t, s.begun)
	}
	return []term.Cell{
		{}, {}, {Text: human.Count(sum.Live + sum.Expired)}, {Text: human.Count(sum.Live)}, {Text: human.Count(sum.Expired)},
		{Text: human.Count(sum.Absent)}, {Text: human.Size(sum.Bytes)}, {Text: ago(sum.Oldest)}, {Text: ago(sum.Newest)}, {},
	}
}

// keyOf are the columns of a key, with the kinds of those that are no strings.
func keyOf(columns []driver.Column) string {
	var words string
	for i, c := range columns {
		if i > 0 {
			words += " "
		}
		words += term.Text(c.Name)
		if c.Kind != driver.String {
			words += ":" + c.Kind.String()
		}
	}
	return words
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
)

type doctorCommand struct {
	target
	Thorough bool `help:"Let the store check all that it has, which takes as long as reading it."`
}

// Help is what --help tells besides.
func (doctorCommand) Help() string {
	return `Tells how a store is set up - file system, journal, permissions, versions, whatever the store has - and what about that is not as it should be. The exit code is 4 if there is a fault.

  endpointcache doctor sqlite:music.db`
}

// finding is one in JSON.
type finding struct {
	Level   string `json:"level"`
	Subject string `json:"subject"`
	Value   string `json:"value"`
	Advice  string `json:"advice,omitempty"`
}

// Run diagnoses.
func (c *doctorCommand) Run(ctx context.Context, s *session) error {
	return c.withStore(ctx, s, false, func(st driver.Store) error {
		d, ok := driver.As[driver.Diagnoser](st)
		if !ok {
			if !s.JSON {
				s.out.Printf("This store has nothing to tell of itself.\n")
			}
			return nil
		}
		findings, err := d.Diagnose(ctx, c.Thorough)
		if err != nil {
			return err
		}
		return s.tellFindings(findings)
	})
}

func (s *session) tellFindings(findings []driver.Finding) error {
	styles := map[driver.Level]term.Style{driver.Good: term.Good, driver.Warning: term.Warn, driver.Fault: term.Bad}
	table := s.out.Table(term.Column{Title: "LEVEL"}, term.Column{Title: "SUBJECT", Fixed: true}, term.Column{Title: "VALUE"})
	number := map[driver.Level]int{}
	for _, f := range findings {
		number[f.Level]++
		if s.JSON {
			if err := s.out.JSON(finding{f.Level.String(), f.Subject, f.Value, f.Advice}); err != nil {
				return err
			}
			continue
		}
		table.Cells(term.Cell{Text: f.Level.String(), Style: styles[f.Level]}, term.Cell{Text: term.Text(f.Subject)}, term.Cell{Text: term.Text(f.Value)})
	}
	table.Flush()
	if !s.JSON {
		s.tellAdvice(findings, number)
	}
	if number[driver.Fault] > 0 {
		return errDifferent
	}
	return nil
}

// tellAdvice tells what to do, below the table, as sentences are long.
func (s *session) tellAdvice(findings []driver.Finding, number map[driver.Level]int) {
	for _, level := range []driver.Level{driver.Fault, driver.Warning} {
		for _, f := range findings {
			if f.Level == level {
				s.out.Printf("\n%s: %s\n  %s\n", level, term.Text(f.Subject), term.Text(f.Advice))
			}
		}
	}
	if len(findings) == number[driver.Good] {
		s.out.Printf("\nAll is as it should be.\n")
		return
	}
	s.out.Printf("\n%s, %s.\n", human.Things(number[driver.Fault], "fault", "faults"), human.Things(number[driver.Warning], "warning", "warnings"))
}

type vacuumCommand struct{ target }

// Help is what --help tells besides.
func (vacuumCommand) Help() string {
	return `Gives the space back that deleted entries have left: the entries stay as they are. It may take as long as writing the store anew; programs that use it go on meanwhile. endpointcache clear --expired deletes what has expired.

  endpointcache vacuum sqlite:music.db`
}

// Run compacts.
func (c *vacuumCommand) Run(ctx context.Context, s *session) error {
	// To be read first, so that a store that is not there is not made.
	if err := c.withStore(ctx, s, false, func(driver.Store) error { return nil }); err != nil {
		return err
	}
	return c.withStore(ctx, s, true, func(st driver.Store) error {
		compactor, ok := driver.As[driver.Compactor](st)
		if !ok {
			return fmt.Errorf("%w to give back: this store does that by itself", errNothing)
		}
		freed, err := compactor.Compact(ctx)
		if errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("%w to give back: this server does that by itself, or not at all", errNothing)
		}
		if err != nil {
			return err
		}
		if s.JSON {
			return s.out.JSON(map[string]int64{"freed": freed})
		}
		if freed > 0 {
			s.out.Printf("Freed about %s.\n", human.Size(freed))
		} else {
			s.out.Printf("Done.\n")
		}
		return nil
	})
}

// withStore calls do with the store, and closes it.
func (t target) withStore(ctx context.Context, s *session, change bool, do func(driver.Store) error) error {
	st, err := s.openStore(ctx, string(t.Store), t.Name, change)
	if err != nil {
		return err
	}
	return errors.Join(do(st), st.Close())
}

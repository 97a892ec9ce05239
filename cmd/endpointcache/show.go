package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/preview"
	"github.com/endpointcache/endpointcache/repository"
)

type showCommand struct {
	pick
	Output string `short:"o" help:"Write the body, byte for byte, to a file that is not there yet; - is the output." placeholder:"FILE" xor:"form"`
	Raw    bool   `help:"Write the body alone, byte for byte." xor:"form"`
	Full   bool   `help:"Show all of a long body on a terminal, too." xor:"form"`
}

// mostShown is how much of a body a terminal gets.
const mostShown = 64 << 10

// Run shows an entry.
func (c *showCommand) Run(ctx context.Context, s *session) error {
	if s.JSON && (c.Raw || c.Output != "") {
		return usagef("--json has the body in it: give neither --raw nor --output beside it")
	}
	return c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		e, _, err := c.entry(ctx, rc)
		if err != nil {
			return err
		}
		if e, err = whole(ctx, rc, e); err != nil {
			return err
		}
		switch {
		case c.Raw || c.Output == "-":
			return s.raw(e.Payload)
		case c.Output != "":
			return s.writeNew(c.Output, e.Payload)
		}
		head, err := headOf(e)
		if err != nil {
			return err
		}
		s.begun = s.clock() // as the explanation has it: the store may have taken long to open
		why, err := rc.Contents().Explain(ctx, e)
		if err != nil {
			return err
		}
		names, err := readNames(ctx, rc)
		if err != nil {
			return err
		}
		if s.JSON {
			return s.out.Document(s.shownOf(names.of(e.Table), e, head, why))
		}
		s.show(names.of(e.Table), e, head, why, c.Full)
		return nil
	})
}

// headOf is the head of an entry.
func headOf(e cache.Stored) (repository.Head, error) {
	h, err := e.Head()
	if err != nil {
		err = fmt.Errorf("the entry is damaged: %w", err)
	}
	return h, err
}

// raw writes a body as it is, but not what a terminal would obey.
func (s *session) raw(body []byte) error {
	if s.out.Terminal() && preview.Visible(string(body)) != string(body) {
		return usagef("the body is not for a terminal: --output FILE writes it to a file")
	}
	_, err := s.out.Write(body)
	return err
}

// writeNew writes a file, which is for its owner alone: what was cached may be confidential.
func (s *session) writeNew(path string, content []byte) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return errors.Join(err, os.Remove(path)) // half of a body is of no use
	}
	fmt.Fprintf(s.stderr, "%s written to %s\n", human.Size(int64(len(content))), term.Text(path))
	return nil
}

// shown is an entry in JSON, with headers and body.
type shown struct {
	entry
	Proto       string            `json:"proto,omitempty"`
	Reason      text              `json:"reason,omitempty"`
	Header      map[string][]text `json:"header"`
	Trailer     map[string][]text `json:"trailer,omitempty"`
	Explanation explanation       `json:"explanation"`
	Body        text              `json:"body"`
}

func (s *session) shownOf(table string, e cache.Stored, head repository.Head, why cache.Explanation) shown {
	return shown{
		entry: s.entryOf(table, e), Proto: head.Proto, Reason: text(head.Reason),
		Header: headerJSON(head.Header), Trailer: headerJSON(head.Trailer),
		Explanation: s.explanationOf(why), Body: text(e.Payload),
	}
}

func headerJSON(h http.Header) map[string][]text {
	values := make(map[string][]text)
	for name, all := range h {
		for _, v := range all {
			values[name] = append(values[name], text(v))
		}
	}
	return values
}

// show writes an entry of a table for people.
func (s *session) show(table string, e cache.Stored, head repository.Head, why cache.Explanation, full bool) {
	s.out.Printf("%s\n", s.out.Styled(term.Bold, term.Text(table)+" "+keyWords(e.Key)))
	if e.Name != "" {
		s.fact("Name", term.Text(e.Name))
	}
	reason := head.Reason
	if reason == "" {
		reason = http.StatusText(e.Status)
	}
	s.fact("Status", strconv.Itoa(e.Status)+" "+term.Text(reason))
	s.fact("Requested", s.instant(e.CachedAt))
	if e.ExpiresAt.IsZero() {
		s.fact("Expires", "never")
	} else {
		s.fact("Expires", s.instant(e.ExpiresAt))
	}
	if e.UsedAt.After(e.CachedAt) {
		s.fact("Used", s.instant(e.UsedAt))
	}
	s.verdict(why)
	s.fact("Stored", human.Size(e.Size))
	s.header("Headers", head.Header)
	s.header("Trailers", head.Trailer)

	limit := 0
	if s.out.Terminal() && !full {
		limit = mostShown
	}
	body := preview.Of(head.Header, e.Payload, limit)
	about := human.Size(int64(body.Size))
	if body.MediaType != "" {
		about += " of " + term.Text(body.MediaType)
	}
	if body.Coding != "" {
		about += ", " + term.Text(body.Coding)
	}
	if body.Kind == preview.Empty {
		about = "empty"
	}
	s.out.Printf("\n%s\n%s", s.out.Styled(term.Bold, "Body: "+about), body.Text)
	if body.Text != "" && body.Text[len(body.Text)-1] != '\n' {
		s.out.Printf("\n")
	}
	switch {
	case body.Kind == preview.Binary:
		s.out.Printf("%s\n", s.out.Styled(term.Faint, "--output FILE writes it to a file."))
	case body.Truncated:
		s.out.Printf("%s\n", s.out.Styled(term.Faint, "… There is more: --full shows it, --output FILE writes it to a file."))
	}
}

func (s *session) header(title string, h http.Header) {
	if len(h) == 0 {
		return
	}
	s.out.Printf("\n%s\n", s.out.Styled(term.Bold, title))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			s.out.Printf("%s: %s\n", term.Text(name), term.Text(value))
		}
	}
}

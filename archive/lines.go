package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/exchange"
)

// format is the name in the first line of a file.
const format = "endpointcache"

// The first line of a file tells the format. A line for each table follows, perhaps one with the key of digests, one
// for each response, and one that tells that this is the end.
type firstLine struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// line is any other line: one of its members is set.
type line struct {
	Table     *table        `json:"table,omitempty"`
	DigestKey []byte        `json:"digestKey,omitempty"`
	Response  *lineResponse `json:"response,omitempty"`
	End       *lineEnd      `json:"end,omitempty"`
}

type lineResponse struct {
	response
	Body body `json:"body,omitzero"`
}

type lineEnd struct {
	Responses int `json:"responses"`
}

// WriteLines writes the responses that a query selects as JSON lines, with all their parts, and the
// declarations of their tables. It returns how many responses it has written. What is sealed, by a layer
// that the cache does not have, is an error: [cache.ResponseCache.CopyTo] copies it.
//
// The latest response of each key is written, without others that it has by Vary. What an
// invalidation has made old has expired in the file.
func WriteLines(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (n int, err error) {
	defer wrap(&err, "write")
	tables, err := from.Tables(ctx)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(firstLine{format, version}); err != nil {
		return 0, err
	}
	for _, t := range tables {
		own := tableOf(t)
		if err := e.Encode(line{Table: &own}); err != nil {
			return 0, err
		}
	}
	known, err := exchange.TransferOf(ctx, from, false)
	if err != nil {
		return 0, err
	}
	if key, err := known.KeptDigestKey(ctx); err != nil {
		return 0, err
	} else if key != nil {
		if err := e.Encode(line{DigestKey: key}); err != nil {
			return 0, err
		}
	}
	q.Bodies = true
	for stored, err := range from.Entries(ctx, q) {
		if err != nil {
			return n, errors.Join(err, out.Flush())
		}
		r, err := responseOf(&stored)
		if err == nil {
			err = e.Encode(line{Response: &lineResponse{r, bodyOf(stored.Payload)}})
		}
		if err != nil {
			return n, errors.Join(err, out.Flush())
		}
		n++
	}
	if err := e.Encode(line{End: &lineEnd{n}}); err != nil {
		return n, err
	}
	return n, out.Flush()
}

// ReadLines saves what WriteLines has written, as [cache.Contents.Save] does, and returns how many
// responses. Tables that are not there are made, under the declarations that they had. An error names the line,
// and what came before it is saved: [ErrCutShort], [ErrFormat] and [ErrVersion] tell of files, other errors of
// what cannot be saved.
func ReadLines(ctx context.Context, r io.Reader, to *cache.Contents) (n int, err error) {
	defer wrap(&err, "read")
	l := newLineReader(r)
	tables, digestKey, err := l.begin()
	if err != nil {
		return 0, err
	}
	if digestKey != nil {
		known, err := exchange.TransferOf(ctx, to, false)
		if err != nil {
			return 0, err
		}
		if err := known.AdoptDigestKey(ctx, digestKey); err != nil {
			return 0, err
		}
	}
	n, err = to.Save(ctx, l.responses(tables), &cache.SaveOptions{Tables: tables})
	switch {
	case l.err != nil:
		return n, errors.Join(l.err, err)
	case err != nil:
		return n, fmt.Errorf("line %d: %w", l.line, err)
	}
	return n, nil
}

// wrap names the package and what it was about to do.
func wrap(err *error, what string) {
	if *err != nil {
		*err = fmt.Errorf("archive: %s: %w", what, *err)
	}
}

// maxLine is the length of the longest line: that of a body of 64 MiB which is all escapes.
const maxLine = 512 << 20

// lineReader reads the lines of a file.
type lineReader struct {
	r    *bufio.Reader
	line int
	next *line // that begin has read already
	err  error // of responses
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReader(r)} }

// begin reads the first line, those of tables, and the one of the key of digests.
func (l *lineReader) begin() (tables []cache.Table, digestKey []byte, err error) {
	data, err := l.read()
	if err != nil {
		return nil, nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // some editors write one
	var first firstLine
	if json.Unmarshal(data, &first) != nil || first.Format != format {
		return nil, nil, l.bad(errors.New("it does not name the format"))
	}
	if first.Version != version {
		return nil, nil, fmt.Errorf("line 1: %w: %d, and not %d", ErrVersion, first.Version, version)
	}
	for {
		next, err := l.parse()
		if err != nil {
			return nil, nil, err
		}
		if next.DigestKey != nil && digestKey == nil {
			digestKey = next.DigestKey
			continue
		}
		if next.Table == nil {
			l.next = next
			return tables, digestKey, nil
		}
		t, err := next.Table.stored()
		if err != nil {
			return nil, nil, l.bad(err)
		}
		tables = append(tables, t)
	}
}

// responses yields the responses. An error ends the sequence, and is kept.
func (l *lineReader) responses(tables []cache.Table) func(yield func(cache.Stored, error) bool) {
	return func(yield func(cache.Stored, error) bool) {
		n := 0
		for {
			next := l.next
			if l.next = nil; next == nil {
				if next, l.err = l.parse(); l.err != nil {
					return
				}
			}
			switch {
			case next.End != nil:
				l.err = l.end(next.End, n)
				return
			case next.Response == nil:
				l.err = l.bad(errors.New("something comes behind responses that is none"))
				return
			}
			payload, err := next.Response.Body.payload()
			if err != nil {
				l.err = l.bad(err)
				return
			}
			e, err := next.Response.stored(tables, payload)
			if err != nil {
				l.err = l.bad(err)
				return
			}
			if n++; !yield(e, nil) {
				return
			}
		}
	}
}

// end checks what the last line tells, and that it is the last one.
func (l *lineReader) end(end *lineEnd, n int) error {
	if end.Responses != n {
		return l.bad(fmt.Errorf("there were %d responses, not %d", n, end.Responses))
	}
	if _, err := l.read(); !errors.Is(err, ErrCutShort) {
		return l.bad(errors.New("there is more behind the end"))
	}
	return nil
}

// parse reads a line behind the first one.
func (l *lineReader) parse() (*line, error) {
	data, err := l.read()
	if err != nil {
		return nil, err
	}
	next := &line{}
	if err := unmarshal(data, next); err != nil {
		if whole := bytes.HasSuffix(data, []byte("\n")); !whole {
			return nil, fmt.Errorf("line %d: %w", l.line, ErrCutShort)
		}
		return nil, l.bad(err)
	}
	set := 0
	for _, is := range []bool{next.Table != nil, next.DigestKey != nil, next.Response != nil, next.End != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return nil, l.bad(errors.New("it is no table, key of digests, response or end"))
	}
	return next, nil
}

// read reads a line that is not empty.
func (l *lineReader) read() (data []byte, err error) {
	for {
		l.line++
		data, err = l.readLine()
		if err != nil || len(bytes.TrimSpace(data)) > 0 {
			return data, err
		}
	}
}

func (l *lineReader) readLine() (data []byte, err error) {
	for {
		part, err := l.r.ReadSlice('\n')
		data = append(data, part...)
		switch {
		case err == nil, errors.Is(err, io.EOF) && len(data) > 0:
			return data, nil
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("line %d: %w", l.line, ErrCutShort)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		case len(data) > maxLine:
			return nil, l.bad(fmt.Errorf("it is longer than %d bytes", maxLine))
		}
	}
}

func (l *lineReader) bad(err error) error {
	return fmt.Errorf("line %d: %w: %w", l.line, ErrFormat, err)
}

package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
)

// PeekLines reads JSON lines up to the first response, and returns a reader of the whole file. It is for who makes a
// store for what is in a file: of one that is none, the error tells before there is a store. It is one that
// [ReadLines] returns.
func PeekLines(r io.Reader) (whole io.Reader, err error) {
	defer wrap(&err, "read")
	return peek(r, func(r io.Reader) error {
		l := newLineReader(r)
		tables, _, err := l.begin()
		if err != nil {
			return err
		}
		next, stop := iter.Pull2(l.responses(tables))
		defer stop()
		if _, err, ok := next(); ok {
			return err
		}
		return l.err
	})
}

// PeekHAR is PeekLines of a HAR document, of which it reads the first entry. The error is one that [ReadHAR] returns.
func PeekHAR(r io.Reader) (whole io.Reader, err error) {
	defer wrap(&err, "read HAR")
	return peek(r, func(r io.Reader) error {
		h := newHARReader(r, HARTarget{})
		if err := h.begin(); err != nil {
			return err
		}
		if !h.json.More() {
			return h.end()
		}
		h.entries++
		var entry foreignEntry
		err := h.json.Decode(&entry)
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil // it is left out
		}
		return h.bad(err)
	})
}

// peek lets read look at the beginning of r, and returns a reader of all of it.
func peek(r io.Reader, read func(io.Reader) error) (io.Reader, error) {
	var begin bytes.Buffer
	if err := read(io.TeeReader(r, &begin)); err != nil {
		return nil, err
	}
	return io.MultiReader(&begin, r), nil
}

package payload

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// walk goes through the elements of a JSON array, or the members of an object, of
// which null has none. What it yields are parts of the text.
type walk struct {
	text []byte
	dec  *jsontext.Decoder
	null bool
}

// newWalk begins to read an array ('[') or an object ('{').
func newWalk(text []byte, kind jsontext.Kind) (*walk, error) {
	w := &walk{text: text, dec: jsontext.NewDecoder(bytes.NewBuffer(text),
		// as encoding/json
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	first, err := w.dec.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	case first.Kind() == jsontext.KindNull:
		w.null = true
	case first.Kind() != kind:
		return nil, fmt.Errorf("found %v", first.Kind())
	}
	return w, nil
}

// more tells whether there is another element or member. Where there is none, end
// tells why.
func (w *walk) more() bool {
	kind := w.dec.PeekKind()
	return !w.null && kind != jsontext.KindInvalid && kind != jsontext.KindEndArray && kind != jsontext.KindEndObject
}

// name reads the name of a member, whose value comes next.
func (w *walk) name() (jsontext.Token, error) { return w.dec.ReadToken() }

// value reads an element, or the value of a member.
func (w *walk) value() ([]byte, error) {
	value, err := w.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(w.dec.InputOffset())
	return w.text[end-len(value) : end : end], nil // value itself is the decoder's
}

// end reads the end of the text.
func (w *walk) end() error {
	if !w.null {
		if _, err := w.dec.ReadToken(); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	switch {
	case err == nil:
		return fmt.Errorf("something follows at offset %d", w.dec.InputOffset())
	case errors.Is(err, io.EOF):
		return nil
	default:
		return err
	}
}

// elements are those of a JSON array, nil for null.
func elements(text []byte) ([][]byte, error) {
	w, err := newWalk(text, jsontext.KindBeginArray)
	if err != nil {
		return nil, err
	}
	list := [][]byte{}
	for w.more() {
		value, err := w.value()
		if err != nil {
			return nil, err
		}
		list = append(list, itemOf(value))
	}
	return list, w.end()
}

// members are the values of an object's members by their names, nil for null. The last
// of several with one name counts.
func members(text []byte) (map[string][]byte, error) {
	w, err := newWalk(text, jsontext.KindBeginObject)
	if err != nil {
		return nil, err
	}
	byName := map[string][]byte{}
	for w.more() {
		token, err := w.name()
		if err != nil {
			return nil, err
		}
		name := token.String()
		value, err := w.value()
		if err != nil {
			return nil, err
		}
		byName[name] = itemOf(value)
	}
	return byName, w.end()
}

// member is the value of the last member of an object that has a name, nil if there is
// none.
func member(text []byte, name string) ([]byte, error) {
	w, err := newWalk(text, jsontext.KindBeginObject)
	if err != nil {
		return nil, err
	}
	var found []byte
	for w.more() {
		token, err := w.name()
		if err != nil {
			return nil, err
		}
		matches := token.String() == name
		value, err := w.value()
		if err != nil {
			return nil, err
		}
		if matches {
			found = value
		}
	}
	return found, w.end()
}

// syntaxError leaves out where in the structure of a text an error was found: that can be
// as long as the text, and tells names in it.
func syntaxError(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return fmt.Errorf("%w at offset %d", e.Err, e.ByteOffset)
	}
	return err
}

func itemOf(value []byte) []byte {
	if string(value) == "null" {
		return nil
	}
	return value
}

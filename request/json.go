package request

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// JSONBodyHash is a hexadecimal SHA-256 of the JSON text that is req's body. It
// is the same for texts that differ only in white space and in the order of the
// members of objects. Numbers and strings count as they are written: 1.0 is not
// 1. A body that is not one JSON text is an error.
func JSONBodyHash(req *http.Request) (string, error) {
	data, err := Body(req, DefaultBodyLimit)
	if err != nil {
		return "", err
	}
	normal, err := normalJSON(data, nil)
	if err != nil {
		return "", fmt.Errorf("request: the body is not JSON: %w", err)
	}
	return hexHash(normal), nil
}

// normalJSON is the same for JSON texts that mean the same, but for ignored
// members. ignored may be nil.
func normalJSON(data []byte, ignored *ignoredParts) ([]byte, error) {
	// Compact also limits the depth, and so the recursion.
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, err
	}
	n := normalizer{
		text:    compact.Bytes(),
		dec:     json.NewDecoder(bytes.NewReader(compact.Bytes())),
		ignored: ignored,
	}
	n.dec.UseNumber()
	return n.appendValue(nil)
}

// normalizer takes JSON text apart without changing how it is written.
type normalizer struct {
	text    []byte
	dec     *json.Decoder
	ignored *ignoredParts // may be nil
	path    []string      // of the value at hand
}

// next returns the next token and its text.
func (n *normalizer) next() (json.Token, []byte, error) {
	from := n.dec.InputOffset()
	token, err := n.dec.Token()
	if err != nil {
		return nil, nil, err
	}
	return token, bytes.TrimLeft(n.text[from:n.dec.InputOffset()], ",:"), nil
}

// appendValue appends the next value to dst. An object stands there as "{" and
// the hash of its sorted members, so that no text is copied at every depth.
func (n *normalizer) appendValue(dst []byte) ([]byte, error) {
	token, text, err := n.next()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		members, err := n.members()
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(members)
		return append(append(dst, '{'), sum[:]...), nil
	case json.Delim('['):
		dst = append(dst, '[')
		for i := 0; n.dec.More(); i++ {
			n.path = append(n.path, strconv.Itoa(i))
			if dst, err = n.appendValue(dst); err != nil {
				return nil, err
			}
			n.path = n.path[:len(n.path)-1]
			dst = append(dst, ',')
		}
		_, _, err := n.next()
		return append(dst, ']'), err
	default:
		return append(dst, text...), nil
	}
}

// members returns the members of an object in the order of their names. Members
// with one name stay in their order, which may matter.
func (n *normalizer) members() ([]byte, error) {
	type member struct {
		name string
		text []byte
	}
	var members []member
	for n.dec.More() {
		token, text, err := n.next()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		n.path = append(n.path, name)
		text, err = n.appendValue(append(bytes.Clone(text), ':'))
		if err != nil {
			return nil, err
		}
		if n.ignored == nil || !n.ignored.member(n.path) {
			members = append(members, member{name, text})
		}
		n.path = n.path[:len(n.path)-1]
	}
	if _, _, err := n.next(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	var all []byte
	for _, m := range members {
		all = append(append(all, m.text...), ',')
	}
	return all, nil
}

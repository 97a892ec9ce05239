package request

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/keytype"
)

// newPlan parses a pattern and binds it to the fields of kt. scratch is an
// addressable value of the key type.
func newPlan(text string, options patternOptions, kt *keytype.Type, scratch reflect.Value) (*plan, error) {
	p := &plan{keyType: kt, ignoreBody: options.ignoreBody, shareMethods: options.shareMethods}
	if err := p.parse(text); err != nil {
		return nil, err
	}
	if err := p.bind(scratch); err != nil {
		return nil, err
	}
	if err := p.query.setIgnored(options.ignoreQuery); err != nil {
		return nil, err
	}
	return p, p.ignoreMembers(options)
}

func (p *plan) ignoreMembers(options patternOptions) error {
	switch {
	case p.members == nil && len(options.ignoreMembers) > 0:
		return errors.New("IgnoreMembers: the key has no field with a body tag")
	case p.members != nil && options.ignoreBody:
		return errors.New("IgnoreBody: the key has a field with a body tag; IgnoreMembers is for the other members")
	case p.members == nil:
		return nil
	}
	return p.members.setIgnored(options.ignoreMembers)
}

func (p *plan) parse(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errors.New("it has a control character")
	}
	whole := text
	before, _, _ := strings.Cut(text, "/")
	if method, rest, ok := strings.Cut(before, " "); ok {
		if err := p.parseMethods(method); err != nil {
			return err
		}
		text = strings.TrimLeft(text[len(method):], " ")
		before = strings.TrimLeft(rest, " ")
	}
	if strings.HasPrefix(text[len(before):], "//") && strings.HasSuffix(before, ":") {
		return fmt.Errorf("leave out the scheme %q: a pattern begins with a method, a host or a path", before+"//")
	}
	if len(before) == len(text) {
		return errors.New("it has no path, which begins with a slash")
	}
	var err error
	if p.host, err = parseHost(before, strings.TrimSuffix(whole, text)+"/"+text); err != nil {
		return err
	}
	path, query, _ := strings.Cut(text[len(before):], "?")
	if strings.ContainsAny(path+query, " #") {
		return errors.New(`a space or "#" is not escaped`)
	}
	if p.path, err = parsePath(path); err != nil {
		return err
	}
	p.query, err = parseFixed(query)
	return err
}

func (p *plan) parseMethods(text string) error {
	for method := range strings.SplitSeq(text, "|") {
		if !isMethod(method) {
			return fmt.Errorf("%q is not a method in upper case", method)
		}
		if slices.Contains(p.methods, method) {
			return fmt.Errorf("method %s is named twice", method)
		}
		p.methods = append(p.methods, method)
	}
	p.named = p.methods
	return nil
}

// parseFixed parses the query of a pattern.
func parseFixed(text string) (query, error) {
	if strings.ContainsAny(text, "{}") {
		return query{}, errors.New(`the query has a wildcard: give the key a field with a query tag instead, or escape the brace`)
	}
	fixed, ok := parseQuery(nil, text)
	if !ok {
		return query{}, errors.New("the query is malformed")
	}
	for i, a := range fixed {
		if slices.ContainsFunc(fixed[:i], func(b param) bool { return a.name == b.name }) {
			return query{}, fmt.Errorf("query parameter %q is given twice", a.name)
		}
	}
	for i := range fixed {
		fixed[i].escaped = "" // in a request it may be written otherwise
	}
	return query{fixed: fixed}, nil
}

// parsePath parses the path of a pattern, which begins with a slash.
func parsePath(text string) (path, error) {
	p := path{span: -1}
	seen := make(map[string]bool)
	for raw := range strings.SplitSeq(text[1:], "/") {
		s, err := parseSegment(raw)
		if err != nil {
			return path{}, fmt.Errorf("segment %q: %w", raw, err)
		}
		if s.name != "" && seen[s.name] {
			return path{}, fmt.Errorf("wildcard {%s} is there twice", s.name)
		}
		seen[s.name] = true
		if s.span {
			if p.span >= 0 {
				return path{}, errors.New("it has two wildcards that span segments")
			}
			p.span = len(p.segments)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

func parseSegment(raw string) (segment, error) {
	before, rest, wild := strings.Cut(raw, "{")
	name, after, closed := strings.Cut(rest, "}")
	switch {
	case strings.Contains(before, "}"):
		return segment{}, errors.New(`a "}" has no "{" before it`)
	case wild && !closed:
		return segment{}, errors.New(`a "{" has no "}" after it in its segment`)
	case strings.ContainsAny(after, "{}"):
		return segment{}, errors.New("a segment has one wildcard at most, and no braces in it")
	}
	var s segment
	var err error
	if s.prefix, err = parseLiteral(before); err != nil {
		return segment{}, err
	}
	if s.suffix, err = parseLiteral(after); err != nil {
		return segment{}, err
	}
	if !wild {
		if isDots(s.prefix.text) {
			return segment{}, errors.New("such a segment is not sent as it is")
		}
		return s, nil
	}
	s.name, s.span = strings.CutSuffix(name, "...")
	if s.span && (before != "" || after != "") {
		return segment{}, errors.New("a wildcard that spans segments has no text beside it")
	}
	if s.name == "" || strings.ContainsFunc(s.name, func(r rune) bool { return !isNameRune(r) }) {
		return segment{}, fmt.Errorf("%q is not a wildcard's name: it is made of letters, digits, _ and -", s.name)
	}
	return s, nil
}

func parseLiteral(raw string) (literal, error) {
	text, err := url.PathUnescape(raw)
	if err != nil {
		return literal{}, err
	}
	// What the pattern escapes and what not is kept where it can be sent.
	u := url.URL{Path: text, RawPath: raw}
	if u.EscapedPath() == raw {
		return literal{text: text, escaped: raw}, nil
	}
	return literal{text: text, escaped: url.PathEscape(text)}, nil
}

func isNameRune(r rune) bool {
	return r == '_' || r == '-' || isAlnum(r)
}

func isAlnum(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

func isMethod(s string) bool { return isToken(s) && strings.ToUpper(s) == s }

// isToken tells whether s can be a method or the name of a header.
func isToken(s string) bool { return head.IsToken(s) }

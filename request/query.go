package request

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// query is what a pattern and its key say of a request's query.
type query struct {
	fixed   []param // what every request has
	fields  []queryField
	ignored []string // names, or the beginnings of names that end in "*"
}

// queryField is a field of the key and the parameter that it holds.
type queryField struct {
	input
	repeat    repeat
	separator separator
}

// repeats tells whether the parameter is there once for each value.
func (f *queryField) repeats() bool { return f.repeat != once && f.separator == separator{} }

// repeat tells what a parameter that is given more than once means.
type repeat uint8

const (
	once repeat = iota // it does not match, as for all with a separator
	list               // the values in their order
	set                // the values sorted, each once
)

// param is one parameter of a query, unescaped.
type param struct {
	name, value string
	escaped     string // the value as it is written; empty in patterns
}

// parseQuery appends the parameters of a raw query to params. ok is false where
// the query is malformed, and servers could differ in what they make of it.
func parseQuery(params []param, raw string) (_ []param, ok bool) {
	if strings.Contains(raw, ";") {
		return nil, false
	}
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, false
		}
		text, err := url.QueryUnescape(value)
		if err != nil {
			return nil, false
		}
		params = append(params, param{name, text, value})
	}
	return params, true
}

// read sets key's query fields from a raw query and reports whether it matches.
func (q *query) read(raw string, key reflect.Value) bool {
	var buf [8]param
	params, ok := parseQuery(buf[:0], raw)
	if !ok {
		return false
	}
	for i := range params {
		if !q.owns(params[i].name) && !q.ignores(params[i].name) {
			return false
		}
	}
	for _, fixed := range q.fixed {
		if p, n := single(params, fixed.name); n != 1 || p.value != fixed.value {
			return false
		}
	}
	for i := range q.fields {
		f := &q.fields[i]
		found, n := single(params, f.name)
		text := found.value
		switch {
		case f.repeats() && n > 0:
			text = f.join(params, n)
		case n > 1:
			return false
		case f.repeat != once && n > 0:
			values, err := f.separator.split(found.escaped, url.QueryUnescape)
			if err != nil {
				return false
			}
			text = f.repeat.join(values)
		}
		if n > 0 && text == "" && f.isAbsence(text) {
			return false // which is not the same as no parameter
		}
		if !f.set(key, text, n > 0) {
			return false
		}
	}
	return true
}

// single returns the last parameter of that name and how many there are.
func single(params []param, name string) (found param, n int) {
	for i := range params {
		if params[i].name == name {
			found = params[i]
			n++
		}
	}
	return found, n
}

// isAbsence tells whether the text, which a request has, is one that means in a key that the
// request has none, of a type that has its own texts: "?archived=" is a request with a value.
func (f *queryField) isAbsence(text string) bool {
	return !f.required && f.absent == text && f.field.Kind == driver.String && !f.field.Plain() && !f.field.Empty()
}

func (f *queryField) join(params []param, n int) string {
	values := make([]string, 0, n)
	for i := range params {
		if params[i].name == f.name {
			values = append(values, params[i].value)
		}
	}
	return f.repeat.join(values)
}

// join is the text of a list or set.
func (r repeat) join(values []string) string {
	if r == set {
		slices.Sort(values)
		values = slices.Compact(values)
	}
	return JoinList(values...)
}

// owns tells whether the pattern or the key has the parameter.
func (q *query) owns(name string) bool {
	for i := range q.fields {
		if q.fields[i].name == name {
			return true
		}
	}
	for i := range q.fixed {
		if q.fixed[i].name == name {
			return true
		}
	}
	return false
}

func (q *query) ignores(name string) bool { return matchName(q.ignored, name) }

func (q *query) setIgnored(names []string) error {
	if err := checkNames("IgnoreQuery", names); err != nil {
		return err
	}
	for _, name := range names {
		if q.owns(name) {
			return fmt.Errorf("IgnoreQuery: parameter %q is part of the pattern or the key", name)
		}
	}
	q.ignored = names
	return nil
}

// checkBase refuses a base whose query would change what is asked for.
func (q *query) checkBase(raw string) error {
	params, ok := parseQuery(nil, raw)
	if !ok {
		return errors.New("base has a malformed query")
	}
	for _, p := range params {
		if q.owns(p.name) {
			return fmt.Errorf("base has query parameter %q, which the pattern or the key sets", p.name)
		}
		if !q.ignores(p.name) {
			return fmt.Errorf("base has query parameter %q, which the pattern does not ignore (see IgnoreQuery)", p.name)
		}
	}
	return nil
}

// build returns the raw query for key: the fixed parameters, then the fields in
// their order.
func (q *query) build(key reflect.Value) (string, error) {
	var b strings.Builder
	for _, p := range q.fixed {
		writeParam(&b, p.name, url.QueryEscape(p.value))
	}
	for i := range q.fields {
		f := &q.fields[i]
		text, send, err := f.text(key)
		if err != nil {
			return "", err
		}
		if !send {
			continue
		}
		if f.repeat == once {
			writeParam(&b, f.name, url.QueryEscape(text))
			continue
		}
		values, err := SplitList(text)
		if err != nil {
			return "", err
		}
		if !f.repeats() && len(values) > 0 {
			writeParam(&b, f.name, f.separator.join(values, url.QueryEscape))
			continue
		}
		for _, value := range values {
			writeParam(&b, f.name, url.QueryEscape(value))
		}
	}
	return b.String(), nil
}

func writeParam(b *strings.Builder, name, escaped string) {
	if b.Len() > 0 {
		b.WriteByte('&')
	}
	b.WriteString(url.QueryEscape(name))
	b.WriteByte('=')
	b.WriteString(escaped)
}

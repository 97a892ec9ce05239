package pages

import (
	"errors"
	"strings"
)

var errLink = errors.New("the Link header is malformed")

// nextLink returns the target of the first link with the relation "next" in the values
// of Link headers.
func nextLink(headers []string) (target string, ok bool, err error) {
	for _, text := range headers {
		for text = strings.Trim(text, listSpace); text != ""; text = strings.TrimLeft(text, listSpace) {
			var l link
			if l, text, ok = parseLink(text); !ok {
				return "", false, errLink
			}
			if l.isNext() {
				return l.target, true, nil
			}
		}
	}
	return "", false, nil
}

const (
	space     = " \t"
	listSpace = space + "," // elements of a list may be empty
)

// link is one of RFC 8288, section 3.
type link struct {
	target string
	rels   string // separated by spaces
	hasRel bool
	anchor bool // it does not begin at the page itself
}

func (l *link) isNext() bool {
	if l.anchor {
		return false
	}
	for rel := range strings.FieldsSeq(l.rels) {
		if strings.EqualFold(rel, "next") {
			return true
		}
	}
	return false
}

// parseLink takes the first link off text, which is not empty.
func parseLink(text string) (l link, rest string, ok bool) {
	if text[0] != '<' {
		return l, text, false
	}
	l.target, text, ok = strings.Cut(text[1:], ">")
	if !ok {
		return l, text, false
	}
	l.target = strings.TrimSpace(l.target)
	for {
		text = strings.TrimLeft(text, space)
		if text == "" || text[0] == ',' {
			return l, text, true
		}
		if text[0] != ';' {
			return l, text, false
		}
		var name, value string
		if name, value, text, ok = parseParameter(text[1:]); !ok {
			return l, text, false
		}
		l.set(name, value)
	}
}

func (l *link) set(name, value string) {
	switch {
	case strings.EqualFold(name, "rel") && !l.hasRel: // the first counts
		l.rels, l.hasRel = value, true
	case strings.EqualFold(name, "anchor"):
		l.anchor = true
	}
}

// parseParameter takes a parameter off text, which may be empty or have no value.
func parseParameter(text string) (name, value, rest string, ok bool) {
	text = strings.TrimLeft(text, space)
	end := indexAny(text, space+"=;,")
	name, text = text[:end], strings.TrimLeft(text[end:], space)
	if name == "" || text == "" || text[0] != '=' {
		return name, "", text, true
	}
	text = strings.TrimLeft(text[1:], space)
	if text != "" && text[0] == '"' {
		value, rest, ok = parseQuoted(text[1:])
		return name, value, rest, ok
	}
	end = indexAny(text, space+";,")
	return name, text[:end], text[end:], true
}

// parseQuoted reads up to the quote that ends a string.
func parseQuoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		b.WriteByte(text[i])
	}
	return "", "", false
}

// indexAny is [strings.IndexAny], or the length of text where there is none.
func indexAny(text, chars string) int {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return i
	}
	return len(text)
}

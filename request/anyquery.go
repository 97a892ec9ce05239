package request

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
)

// anyQuery is what an endpoint of any URL makes of queries.
type anyQuery struct {
	ignored []string
	secret  secrets // nil: none
}

// queryPair is one parameter as it is written.
type queryPair struct {
	text  string
	name  string // unescaped
	group string // the same where order may matter to a server
}

// append appends a raw query in its normalized form, with the "?" before it.
func (q *anyQuery) append(dst []byte, raw string, force bool) []byte {
	if raw == "" && !force || slices.Contains(q.ignored, "*") {
		return dst
	}
	if strings.IndexByte(raw, ';') >= 0 || !wellFormed(raw) {
		return q.appendIrregular(append(dst, '?'), raw)
	}
	var buf [16]queryPair
	pairs := buf[:0]
	sorted := true
	rest, more := raw, true
	for more {
		var pair queryPair
		pair.text, rest, more = strings.Cut(rest, "&")
		pair.name = nameOf(pair.text)
		if matchName(q.ignored, pair.name) {
			continue
		}
		pair.group = groupOf(pair.name)
		sorted = sorted && (len(pairs) == 0 || pairs[len(pairs)-1].group <= pair.group)
		pairs = append(pairs, pair)
	}
	if !sorted {
		slices.SortStableFunc(pairs, func(a, b queryPair) int { return cmp.Compare(a.group, b.group) })
	}
	separator := byte('?')
	for i := range pairs {
		dst = q.appendPair(append(dst, separator), pairs[i].text, pairs[i].name)
		separator = '&'
	}
	return dst
}

// appendIrregular leaves everything in its place, as servers differ in what the
// parameters are, and hides what one of them could take for a secret.
func (q *anyQuery) appendIrregular(dst []byte, raw string) []byte {
	for {
		end := strings.IndexAny(raw, "&;")
		if end < 0 {
			return q.appendPair(dst, raw, nameOf(raw))
		}
		dst = append(q.appendPair(dst, raw[:end], nameOf(raw[:end])), raw[end])
		raw = raw[end+1:]
	}
}

func (q *anyQuery) appendPair(dst []byte, text, name string) []byte {
	equals := strings.IndexByte(text, '=')
	if equals < 0 {
		return appendEscaped(dst, text, false)
	}
	dst = appendEscaped(dst, text[:equals+1], false)
	value := len(dst)
	dst = appendEscaped(dst, text[equals+1:], false)
	if len(dst) > value && q.secret.has(name) {
		return appendDigest(dst[:value], dst[value:])
	}
	return dst
}

// nameOf is the name in a pair, unescaped where it can be.
func nameOf(pair string) string {
	if equals := strings.IndexByte(pair, '='); equals >= 0 {
		pair = pair[:equals]
	}
	if strings.IndexByte(pair, '%') >= 0 || strings.IndexByte(pair, '+') >= 0 {
		if name, err := url.QueryUnescape(pair); err == nil {
			return name
		}
	}
	return pair
}

// groupOf is the same for a, A, a[] and a.b, which some servers put together.
func groupOf(name string) string {
	if end := strings.IndexAny(name, "[."); end > 0 {
		name = name[:end]
	}
	return strings.ToLower(name)
}

func wellFormed(raw string) bool {
	for {
		i := strings.IndexByte(raw, '%')
		if i < 0 {
			return true
		}
		if !isEscape(raw[i:]) {
			return false
		}
		raw = raw[i+3:]
	}
}

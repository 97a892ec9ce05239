package request

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// anyQuery is what an endpoint of any URL makes of queries.
type anyQuery struct {
	ignored []string
	sort    bool // the order of parameters does not count
	plain   bool // secrets need not be hidden
	secret  secrets
	digests digests
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
		if q.sort {
			pair.group = groupOf(pair.name)
			sorted = sorted && (len(pairs) == 0 || pairs[len(pairs)-1].group <= pair.group)
		}
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
	if len(dst) > value && q.hides(name, text[equals+1:]) {
		return q.digests.append(dst[:value], dst[value:])
	}
	return dst
}

func (q *anyQuery) hides(name, value string) bool {
	return !q.plain && (q.secret.has(name) || secret.In(value))
}

// appendPath appends an escaped path. Its segments may have parameters, as in
// "/tracks;jsessionid=1".
func (q *anyQuery) appendPath(dst []byte, path string) []byte {
	for {
		begin := strings.IndexByte(path, ';')
		if begin < 0 {
			return appendEscaped(dst, path, true)
		}
		dst, path = appendEscaped(dst, path[:begin+1], true), path[begin+1:]
		end := strings.IndexAny(path, ";/")
		if end < 0 {
			end = len(path)
		}
		name, value, _ := strings.Cut(path[:end], "=")
		value = path[end-len(value) : end]
		if value != "" && q.hides(nameOf(name), value) {
			dst = appendEscaped(dst, path[:end-len(value)], true)
			from := len(dst)
			dst = appendEscaped(dst, value, true)
			dst, path = q.digests.append(dst[:from], dst[from:]), path[end:]
		}
	}
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

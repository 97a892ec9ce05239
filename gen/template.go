package gen

import (
	"hash/fnv"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// template is a path of the document, as a pattern has it.
type template struct {
	segments []segment
	fixed    string // the query of the path, of which some documents have one
}

// segment is text, or a wildcard between text.
type segment struct {
	before, after string // escaped
	wildcard      string // its name in the pattern, empty for text
	parameters    []string
	between       []string // the text between several parameters, which are one wildcard
	span          bool
}

// parseTemplate parses a path. span is the parameter that may have slashes.
func parseTemplate(prefix, path, span string) (t template, reason string) {
	if !strings.HasPrefix(path, "/") {
		return t, "its path does not begin with a slash"
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return t, "its path has a control character"
	}
	path, fragment, hasFragment := strings.Cut(path, "#")
	if hasFragment {
		return t, "its path has a fragment, #" + fragment + ", which is not sent"
	}
	path, t.fixed, _ = strings.Cut(path, "?")
	if strings.ContainsAny(t.fixed, "{}") {
		return t, "the query of its path has a wildcard"
	}
	if t.fixed != "" {
		values, err := url.ParseQuery(t.fixed)
		if err != nil {
			return t, "the query of its path is malformed"
		}
		for _, v := range values {
			if len(v) > 1 {
				return t, "the query of its path has a parameter twice"
			}
		}
		t.fixed = values.Encode()
	}
	names := make(map[string]bool)
	seen := make(map[string]bool)
	for raw := range strings.SplitSeq(strings.TrimPrefix(prefix, "/")+path, "/") {
		s, reason := parseSegment(raw)
		if reason != "" {
			return t, reason
		}
		for _, name := range s.parameters {
			if seen[name] {
				return t, "its path has the parameter " + name + " twice"
			}
			seen[name] = true
		}
		if len(s.parameters) > 0 {
			s.wildcard = unique(names, wildcardName(strings.Join(s.parameters, "_")))
		}
		if span != "" && len(s.parameters) == 1 && s.parameters[0] == span && s.before+s.after == "" {
			s.span = true
		}
		t.segments = append(t.segments, s)
	}
	if prefix == "" {
		t.segments = t.segments[1:]
	}
	return t, ""
}

// addStyles adds the text that stands before values of the styles label and matrix.
func (t template) addStyles(params []*openapi3.Parameter) {
	for i := range t.segments {
		s := &t.segments[i]
		if len(s.parameters) != 1 {
			continue
		}
		switch param := find(params, "path", s.parameters[0]); {
		case param == nil:
		case param.Style == openapi3.SerializationLabel:
			s.before += "."
			s.span = false // which has no text beside it
		case param.Style == openapi3.SerializationMatrix:
			s.before += ";" + escapeText(param.Name) + "="
			s.span = false
		}
	}
}

func parseSegment(raw string) (s segment, reason string) {
	for rest := raw; ; {
		text, after, wild := strings.Cut(rest, "{")
		if strings.Contains(text, "}") {
			return s, `its path has a "}" without a "{"`
		}
		escaped := escapeText(text)
		switch {
		case len(s.parameters) == 0:
			s.before = escaped
		case wild:
			s.between = append(s.between, text)
		default:
			s.after = escaped
		}
		if !wild {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return s, `its path has a "{" without a parameter's name and a "}"`
		}
		s.parameters = append(s.parameters, name)
		rest = after
	}
	if text, _ := url.PathUnescape(s.before); len(s.parameters) == 0 && (text == "." || text == "..") {
		return s, "its path has the segment " + text + ", which is not sent as it is"
	}
	return s, ""
}

// escapeText escapes what a pattern cannot have as it is, and leaves alone what is escaped.
func escapeText(text string) string {
	if plain, err := url.PathUnescape(text); err == nil && (plain != text || !strings.Contains(text, "%")) {
		text = plain
	}
	escaped := url.PathEscape(text)
	for _, safe := range []string{"$", "&", "+", "=", ":", "@"} {
		escaped = strings.ReplaceAll(escaped, "%"+strings.ToUpper(hexOf(safe[0])), safe)
	}
	return escaped
}

func hexOf(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

// wildcardName has only what the name of a pattern's wildcard can have.
func wildcardName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (isASCIILetter(byte(r)) || '0' <= r && r <= '9' || r == '_' || r == '-') {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(name, "_-") == "" {
		return "value"
	}
	return name
}

// String is the path of the pattern.
func (t template) String() string {
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteString("/" + s.before)
		if s.wildcard != "" {
			b.WriteString("{" + s.wildcard)
			if s.span {
				b.WriteString("...")
			}
			b.WriteString("}")
		}
		b.WriteString(s.after)
	}
	if t.fixed != "" {
		b.WriteString("?" + t.fixed)
	}
	return b.String()
}

// normal is the same for paths that differ only in the names of parameters.
func (t template) normal() string {
	if t.fixed != "" {
		return t.place() + "?" + t.fixed
	}
	return t.place()
}

// place is the same for paths that differ only in the names of parameters, and in the query.
func (t template) place() string {
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteString("/" + s.before)
		if s.wildcard != "" {
			b.WriteString("{}")
		}
		b.WriteString(s.after)
	}
	return b.String()
}

// wildcards are the segments with a wildcard.
func (t template) wildcards() []segment {
	var found []segment
	for _, s := range t.segments {
		if s.wildcard != "" {
			found = append(found, s)
		}
	}
	return found
}

// joins tells whether several parameters stand in one segment.
func (t template) joins() bool {
	return slices.ContainsFunc(t.segments, func(s segment) bool { return len(s.parameters) > 1 })
}

// endsInWildcard tells whether the last segment is one.
func (t template) endsInWildcard() bool {
	return len(t.segments) > 0 && t.segments[len(t.segments)-1].wildcard != ""
}

func hash32(text string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return h.Sum32()
}

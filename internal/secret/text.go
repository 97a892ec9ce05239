package secret

import (
	"net/url"
	"strings"
)

// maxEscapes is how often text may be escaped, as that of a URL in a URL in a URL is.
const maxEscapes = 4

// In reports whether there is a secret in text, such as a URL or JSON that stands in a
// parameter: one behind a name, or the user of a URL.
func In(text string) bool {
	for range maxEscapes {
		if inPairs(text) || inMembers(text) || hasUser(text) {
			return true
		}
		if strings.IndexByte(text, '%') < 0 {
			return false
		}
		plain, err := url.QueryUnescape(text)
		if err != nil || plain == text {
			return false
		}
		text = plain
	}
	return true // nobody escapes that often who has nothing to hide
}

// inPairs is about what stands behind "name=".
func inPairs(text string) bool {
	if strings.IndexByte(text, '=') < 0 {
		return false
	}
	for pair := range strings.FieldsFuncSeq(text, parts) {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" && Param(name) {
			return true
		}
	}
	return false
}

// parts reports whether a character stands between pairs in a URL, a form or a header.
func parts(r rune) bool { return strings.ContainsRune("?&;#, \t\r\n\"'<>/", r) }

// inMembers is about what stands behind a name in quotes and a colon.
func inMembers(text string) bool {
	for {
		before, after, ok := strings.Cut(text, `"`)
		if !ok {
			return false
		}
		text = after
		if strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), ":") && Member(before) {
			return true
		}
	}
}

func hasUser(text string) bool {
	for {
		_, after, ok := strings.Cut(text, "://")
		if !ok {
			return false
		}
		authority := after
		if end := strings.IndexAny(after, "/?#\\"); end >= 0 {
			authority = after[:end]
		}
		if strings.IndexByte(authority, '@') > 0 {
			return true
		}
		text = after
	}
}

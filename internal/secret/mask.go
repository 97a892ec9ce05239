package secret

import (
	"net/url"
	"regexp"
	"strings"
)

// Mark is what stands in the place of a secret.
const Mark = "REDACTED"

// What may be a secret in a text such as that of an error, and where it ends.
var (
	pair     = regexp.MustCompile(`([\w.\-\[\]%]+)=([^\s&;#"'<>|{}]+)`)
	escaped  = regexp.MustCompile(`(?i)([a-z0-9_.\-]+?)(%(?:25)*3d)((?:[\w.\-~+]|%(?:25)*[013-9a-f][0-9a-f]|%(?:25)*2[0-57-9a-f])+)`)
	member   = regexp.MustCompile(`"([^"\\\s]+)(\\*"\s*:\s*)("(?:[^"\\]|\\.)*"|\\+"[^"]*"|[^\s,}\]"\\]+)`)
	user     = regexp.MustCompile(`://[^\s/?#"'<>]*@`)
	scheme   = regexp.MustCompile(`(?i)\b(bearer|basic|negotiate|dpop|digest)( +)([\w.\-~+/]{6,}=*)`)
	header   = regexp.MustCompile(`\b([A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+|Authorization|Cookie|authorization|cookie)(: ?\[?)([^\n]+)`)
	notWords = regexp.MustCompile(`[0-9=_]|[a-z][A-Z]`)
)

// Mask is text, such as that of an error, with [Mark] in place of what a name, a header or
// the form of a URL shows to be a secret.
func Mask(text string) string {
	if strings.Contains(text, "://") {
		text = user.ReplaceAllString(text, "://"+Mark+"@")
	}
	if strings.Contains(text, "=") {
		text = replace(pair, text, func(m []string) string {
			name, err := url.QueryUnescape(m[1])
			if err != nil {
				name = m[1]
			}
			if value := strings.TrimSuffix(m[2], ":"); Param(name) || In(value) {
				return m[1] + "=" + Mark + m[2][len(value):]
			}
			return m[0]
		})
	}
	if strings.Contains(text, "%") {
		text = replace(escaped, text, func(m []string) string {
			name := m[1]
			if len(name) > 2 && !Param(name) {
				name = name[2:] // the digits of an escape before it
			}
			if Param(name) {
				return m[1] + m[2] + Mark
			}
			return m[0]
		})
	}
	if strings.Contains(text, `"`) {
		text = replace(member, text, func(m []string) string {
			if Member(m[1]) {
				return `"` + m[1] + m[2] + Mark
			}
			return m[0]
		})
	}
	if strings.Contains(text, ":") {
		text = replace(header, text, func(m []string) string {
			if Header(m[1]) {
				return m[1] + m[2] + Mark
			}
			return m[0]
		})
	}
	return replace(scheme, text, func(m []string) string {
		if notWords.MatchString(m[3]) {
			return m[1] + m[2] + Mark
		}
		return m[0]
	})
}

// MaskValues is [Mask] for the text of an error about a value that cannot be decoded, in
// which that value is perhaps quoted: with a mark also for text in quotes and for numbers
// that are more than a name or an offset.
func MaskValues(text string) string {
	text = quotation.ReplaceAllStringFunc(Mask(text), func(quoted string) string {
		if len(quoted) < 6 || !strings.ContainsAny(quoted, "0123456789") && len(quoted) < 40 {
			return quoted
		}
		return quoted[:1] + Mark + quoted[len(quoted)-1:]
	})
	return number.ReplaceAllString(text, "number "+Mark)
}

var (
	quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|` + "`[^`]*`")
	number    = regexp.MustCompile(`\bnumber [-+.\deE]*\d{3}[-+.\deE]*`)
)

func replace(what *regexp.Regexp, text string, with func(match []string) string) string {
	return what.ReplaceAllStringFunc(text, func(found string) string {
		return with(what.FindStringSubmatch(found))
	})
}

// Error is err with a text without secrets. It wraps err where that has any.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if masked := Mask(text); masked != text {
		return &maskedError{masked, err}
	}
	return err
}

type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.err }

// Timeout is for [url.Error], which asks its error alone.
func (e *maskedError) Timeout() bool {
	t, ok := e.err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

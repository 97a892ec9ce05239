package redact

import (
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// Header returns the header that is stored of a response: h itself where nothing changes.
func (r *Redactor) Header(h http.Header) http.Header {
	changed := false
	for name, lines := range h {
		if r.leavesOut(name) || !slices.Equal(r.lines(name, lines), lines) {
			changed = true
			break
		}
	}
	if !changed {
		return h
	}
	cleaned := maps.Clone(h)
	for name, lines := range h {
		if r.leavesOut(name) {
			delete(cleaned, name)
		} else {
			cleaned[name] = r.lines(name, lines)
		}
	}
	return cleaned
}

// leavesOut reports whether a header is not stored. Cookies are a policy's to decide.
func (r *Redactor) leavesOut(name string) bool {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if matchName(r.headers, name) {
		return !slices.Contains(needed, name)
	}
	return name != "Set-Cookie" && name != "Set-Cookie2" && secret.Response(name)
}

// lines are those of a header with its URLs masked: the same ones where nothing changes.
func (r *Redactor) lines(name string, lines []string) []string {
	masked := lines
	for i, line := range lines {
		clean := r.line(name, line)
		if clean == line {
			continue
		}
		if i == 0 || &masked[0] == &lines[0] {
			masked = slices.Clone(lines)
		}
		masked[i] = clean
	}
	return masked
}

func (r *Redactor) line(name, line string) string {
	if !strings.ContainsAny(line, "=@%") {
		return line
	}
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Location", "Content-Location":
		return r.url(line)
	case "Link":
		return r.links(line)
	case "Refresh":
		return r.refresh(line)
	}
	if isURL(line) {
		return r.url(line)
	}
	if strings.Contains(line, "://") {
		return urlsInText.ReplaceAllStringFunc(line, r.url)
	}
	return line
}

// urlsInText are those in JSON, say, as some APIs tell of the next page.
var urlsInText = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.\-]*://[^\s"'<>]+`)

// isURL reports whether a header's value is a URL, or a reference to one with a path or a
// query.
func isURL(line string) bool {
	if strings.HasPrefix(line, "/") || strings.HasPrefix(line, "?") {
		return true
	}
	scheme, _, ok := strings.Cut(line, "://")
	return ok && scheme != "" && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// links masks the URLs of a Link header, RFC 8288, which stand in angle brackets.
func (r *Redactor) links(line string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "<")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		target, after, ok := strings.Cut(rest, ">")
		b.WriteString("<" + r.url(target))
		if !ok {
			return b.String()
		}
		b.WriteByte('>')
		line = after
	}
}

// refresh masks the URL of a Refresh header, as in "5; url=/a".
func (r *Redactor) refresh(line string) string {
	at := strings.Index(strings.ToLower(line), "url=")
	if at < 0 {
		return line
	}
	at += len("url=")
	return line[:at] + r.url(line[at:])
}

// url masks the user, and the values of secret parameters in the path, the query and the
// fragment.
func (r *Redactor) url(text string) string {
	text, fragment, hasFragment := strings.Cut(text, "#")
	text, query, hasQuery := strings.Cut(text, "?")
	masked := r.path(maskUser(text))
	if hasQuery {
		masked += "?" + r.pairs(query)
	}
	if hasFragment {
		masked += "#" + r.pairs(fragment)
	}
	return masked
}

func maskUser(text string) string {
	scheme, rest, ok := strings.Cut(text, "//")
	if !ok || strings.ContainsAny(scheme, "/@") {
		return text
	}
	end := len(rest)
	if slash := strings.IndexAny(rest, `/\`); slash >= 0 {
		end = slash
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at > 0 {
		return scheme + "//" + Mark + rest[at:]
	}
	return text
}

// path masks parameters of segments, as in "/tracks;jsessionid=1".
func (r *Redactor) path(text string) string {
	if strings.IndexByte(text, ';') < 0 {
		return text
	}
	segments := strings.Split(text, "/")
	for i, segment := range segments {
		params := strings.Split(segment, ";")
		for j := 1; j < len(params); j++ {
			params[j] = r.pair(params[j])
		}
		segments[i] = strings.Join(params, ";")
	}
	return strings.Join(segments, "/")
}

func (r *Redactor) pairs(text string) string {
	pairs := strings.Split(text, "&")
	for i, pair := range pairs {
		pairs[i] = r.pair(pair) // with those that semicolons part
	}
	return strings.Join(pairs, "&")
}

func (r *Redactor) pair(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || value == "" {
		return pair
	}
	plain, err := url.QueryUnescape(name)
	if err != nil {
		plain = name
	}
	if secret.Param(plain) || len(r.query) > 0 && matchName(r.query, secret.Fold(plain)) || secret.In(value) {
		return name + "=" + Mark
	}
	return pair
}

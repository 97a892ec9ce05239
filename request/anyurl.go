package request

import (
	"net/url"
	"slices"
	"strings"
)

// Stores limit the size of keys; beyond these a digest stands for the rest.
const (
	maxAnyURL     = 1024
	maxAnyHeaders = 512
)

// appendURL appends the normalized form of u. ok is false where u is not the
// whole URL of a request to a server.
func (q *anyQuery) appendURL(dst []byte, u *url.URL) (_ []byte, ok bool) {
	secure := strings.EqualFold(u.Scheme, "https")
	if !secure && !strings.EqualFold(u.Scheme, "http") || u.Host == "" || u.Opaque != "" {
		return nil, false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if _, _, ok := splitPort(u.Host); !ok || path[0] != '/' {
		return nil, false
	}
	if secure {
		dst = append(dst, "https://"...)
	} else {
		dst = append(dst, "http://"...)
	}
	dst = appendHost(dst, u.Host, secure)
	dst = q.appendPath(dst, path)
	return q.append(dst, u.RawQuery, u.ForceQuery), true
}

// appendHost appends a host in lower case, without the default port.
func appendHost(dst []byte, host string, secure bool) []byte {
	name, port, ok := splitPort(host)
	if ok && (port == "" || secure && port == "443" || !secure && port == "80") {
		host = name
	}
	for i := range len(host) {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = appendByte(dst, c, hostByte)
	}
	return dst
}

// splitPort parts a host and its port. ok is false where there is no name, or
// more than one port.
func splitPort(host string) (name, port string, ok bool) {
	name = host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
	}
	return name, port, name != "" && (name[0] == '[' || !strings.Contains(name, ":"))
}

// appendEscaped appends an escaped part of a URL with its escapes normalized.
// Where a server finds dot segments after unescaping is its own affair, so that
// the escaped dots of a path stay.
func appendEscaped(dst []byte, s string, path bool) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			dst = appendByte(dst, s[i], urlByte)
			continue
		}
		if !isEscape(s[i:]) {
			dst = appendByte(dst, '%', urlByte)
			continue
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if kinds[c]&unreservedByte != 0 && !(path && c == '.') {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
		i += 2
	}
	return dst
}

func isEscape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && kinds[s[1]]&hexByte != 0 && kinds[s[2]]&hexByte != 0
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

const upperHex = "0123456789ABCDEF"

// What a byte can stand for by itself. The braces stand for none of these: what
// is in braces in a key was not there in the request.
const (
	unreservedByte = 1 << iota
	hexByte
	urlByte
	hostByte
	tokenByte // of a header's name
	valueByte // of a header's value in a key
)

var kinds = func() (kinds [256]uint8) {
	for c := range kinds {
		b := byte(c)
		is := func(set string, kind uint8) {
			if strings.IndexByte(set, b) >= 0 {
				kinds[c] |= kind
			}
		}
		if isAlnum(rune(b)) {
			kinds[c] = unreservedByte | urlByte | hostByte | tokenByte
		}
		if ' ' <= b && b < 0x7f && !strings.ContainsRune("{|}", rune(b)) {
			kinds[c] |= valueByte
		}
		is("0123456789abcdefABCDEF", hexByte)
		is("-._~", unreservedByte)
		is("-._~!$&'()*+,;=:@/?[]", urlByte)
		is("-._~!$&'()*+,;=:[]", hostByte)
		is("-._~!#$%&'*+^`", tokenByte)
	}
	return kinds
}()

// appendByte appends c as it is if it is of the kind, else its number in braces.
func appendByte(dst []byte, c byte, kind uint8) []byte {
	if kinds[c]&kind != 0 {
		return append(dst, c)
	}
	return append(dst, '{', upperHex[c>>4], upperHex[c&15], '}')
}

// short is text as a string, with a digest for what is beyond the limit. It is
// then longer than any that is not.
func (d digests) short(text []byte, limit int) string {
	if len(text) <= limit {
		return string(text)
	}
	return string(d.append(slices.Clone(text[:limit]), text))
}

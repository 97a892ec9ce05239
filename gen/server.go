package gen

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/request"
)

// readServer takes what patterns begin with out of the document's first server.
func (p *plan) readServer() error {
	for i, s := range p.doc.Servers {
		u, err := p.serverURL(s, "/servers/"+strconv.Itoa(i))
		switch {
		case err == nil:
			p.hosts = append(p.hosts, strings.ToLower(u.Host))
		case i == 0 && p.config.Server == "":
			place := "/servers/0/url"
			if p.doc.converted {
				place = "/basePath"
			}
			return p.doc.failed(place, fmt.Errorf("%w: set the server in the configuration", err))
		}
		if i == 0 && err == nil {
			p.prefix = prefixOf(u)
		}
	}
	if p.config.Server == "" {
		return nil
	}
	u, err := serverURL(&openapi3.Server{URL: p.config.Server}, nil)
	if err != nil {
		return &ConfigError{Err: fmt.Errorf("server: %w", err)}
	}
	p.prefix = prefixOf(u)
	return nil
}

// prefixOf is what the paths of a server begin with.
func prefixOf(u *url.URL) string { return strings.TrimRight(u.EscapedPath(), "/") }

// serverURL is the URL of a server that a pointer leads to.
func (p *plan) serverURL(s *openapi3.Server, at string) (*url.URL, error) {
	return serverURL(s, func(variable string) bool {
		return p.doc.tree.hasText(at + "/variables/" + escapePointer(variable) + "/default")
	})
}

// serverURL is the URL of a server with the defaults of its variables. A default may be empty:
// given tells whether a variable has one.
func serverURL(s *openapi3.Server, given func(variable string) bool) (*url.URL, error) {
	if s == nil {
		return &url.URL{}, nil
	}
	missing := ""
	text := serverVariable.ReplaceAllStringFunc(s.URL, func(name string) string {
		variable := name[1 : len(name)-1]
		v := s.Variables[variable]
		if v == nil || v.Default == "" && !given(variable) {
			missing = cmp.Or(missing, name)
			return ""
		}
		return v.Default
	})
	if missing != "" {
		return nil, fmt.Errorf("the variable %s of the server's URL has no default, which OpenAPI requires", oneLine(missing))
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errServer
	case u.Host == "" && u.Path != "" && u.Path[0] != '/' || u.Opaque != "":
		return nil, fmt.Errorf("the server's URL %q has neither a host nor a path that begins with a slash", oneLine(text))
	}
	return u, nil
}

var (
	serverVariable = regexp.MustCompile(`\{[^{}]*\}`)

	errServer = errors.New("the server's URL cannot be parsed")
)

// templateOf is the path of an operation, after that of its server.
func (p *plan) templateOf(o *operation) (t template, reason string) {
	prefix, err := p.prefixFor(o)
	if err != nil {
		return t, err.Error()
	}
	if t, reason = parseTemplate(prefix, o.path, o.config.Span); reason == "" {
		t.addStyles(o.parameters)
	}
	return t, reason
}

// prefixFor is what the paths of a pattern begin with: the path of the operation's server.
func (p *plan) prefixFor(o *operation) (string, error) {
	servers, at := p.serversOf(o)
	if len(servers) == 0 {
		return p.prefix, nil
	}
	u, err := p.serverURL(servers[0], at+"/0")
	if err != nil {
		return "", err
	}
	return prefixOf(u), nil
}

// serversOf are those that an operation or its path names, with the pointer to them. They are
// none where the document's answer.
func (p *plan) serversOf(o *operation) (servers openapi3.Servers, at string) {
	switch {
	case p.config.Server != "":
		return nil, ""
	case o.Servers != nil && len(*o.Servers) > 0:
		return *o.Servers, o.pointer + "/servers"
	case o.item != nil:
		return o.item.Servers, "/paths/" + escapePointer(o.path) + "/servers"
	default:
		return nil, ""
	}
}

// readOwnServer notes the server of an operation that the document's first one does not answer.
// If none of the others does, either, its pattern has the host. Otherwise requests to the one
// would be taken for those of another operation, with its scope and expiry, where paths are
// alike.
func (p *plan) readOwnServer(e *endpoint) (reason string) {
	var own *url.URL
	known := false
	servers, at := p.serversOf(e.operation)
	for i, s := range servers {
		u, err := p.serverURL(s, at+"/"+strconv.Itoa(i))
		if err != nil {
			return err.Error()
		}
		host := strings.ToLower(u.Host)
		if host == "" || len(p.hosts) > 0 && host == p.hosts[0] {
			return ""
		}
		known = known || slices.Contains(p.hosts, host)
		own = cmp.Or(own, u)
	}
	if own == nil {
		return ""
	}
	e.server, e.hosted = own, !known
	if _, err := request.ParsePattern[struct{}]("GET " + e.host() + "/"); err != nil {
		return fmt.Sprintf("another server answers it, %q, which is no host", own.Host)
	}
	e.note("another server answers it, %s: %styped calls need a client of that base URL", own.Host, first(e.hosted, "requests to others are not its own, and ", ""))
	return ""
}

// host is what a pattern has before the path, empty for any host.
func (e *endpoint) host() string {
	switch {
	case !e.hosted:
		return ""
	case e.server.Port() == "" && !strings.ContainsAny(e.server.Host, ".:") && !strings.EqualFold(e.server.Host, "localhost"):
		return strings.ToLower(e.server.Host) + "." // which tells a name from a path
	default:
		return strings.ToLower(e.server.Host)
	}
}

// baseURL is that of a server of its own, empty for the API's.
func (e *endpoint) baseURL() string {
	if e.server == nil || e.server.Scheme != "https" && e.server.Scheme != "http" {
		return ""
	}
	return e.server.Scheme + "://" + e.server.Host
}

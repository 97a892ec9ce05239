package cassette

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/hostname"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// Proxy answers requests as the API does that a cassette is of, by a transport. It is for that API alone, with the same
// paths. URLs of the API in headers become the proxy's, and the other way round.
type Proxy struct {
	Cassette  *Cassette
	Transport http.RoundTripper
	Log       *slog.Logger
	Remote    bool // requests may name any host, not loopback alone
}

// Handler returns the proxy as a handler.
func (p *Proxy) Handler() http.Handler {
	forward := &httputil.ReverseProxy{
		Transport:     p.Transport,
		FlushInterval: -1, // streams come as they come
		ErrorLog:      slog.NewLogLogger(p.Log.Handler(), slog.LevelWarn),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = p.Cassette.api.Scheme, p.Cassette.api.Host, ""
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is written
			r.Out.Header.Del("Accept-Encoding")    // the transport unpacks, so that the recording can be read
			rewrite(r.Out.Header, baseOf(r.In.Context()), p.Cassette.api)
		},
		ModifyResponse: func(resp *http.Response) error {
			rewrite(resp.Header, p.Cassette.api, baseOf(resp.Request.Context()))
			cookiesOf(resp.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				p.Log.Warn("no answer of the API", "error", secret.Error(err))
			}
			http.Error(w, "endpointcache: no answer of the API: "+secret.Mask(err.Error()), http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := p.refuses(r); err != nil {
			http.Error(w, "endpointcache: "+err.Error(), status)
			return
		}
		w.Header()["Content-Type"] = nil // none is guessed
		forward.ServeHTTP(w, r.WithContext(withBase(r)))
	})
}

// refuses tells which requests are not for the API.
func (p *Proxy) refuses(r *http.Request) (status int, err error) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	switch {
	case r.Method == http.MethodConnect:
		return http.StatusMethodNotAllowed, errors.New("this is no proxy for tunnels")
	case r.URL.Host != "" && r.URL.Host != r.Host, r.URL.Path != "*" && !strings.HasPrefix(r.URL.Path, "/"):
		return http.StatusForbidden, errors.New("this is a proxy for one API alone")
	case !p.Remote && !hostname.IsLoopback(strings.Trim(host, "[]")): // a page of another site may have had its name resolved to this machine
		return http.StatusForbidden, errors.New("requests are to name this machine, such as 127.0.0.1, as their host")
	}
	return 0, nil
}

type inbound struct{}

// withBase is the context of a request, with the address by which the proxy was asked.
func withBase(r *http.Request) context.Context {
	return context.WithValue(r.Context(), inbound{}, &url.URL{Scheme: "http", Host: r.Host})
}

func baseOf(ctx context.Context) *url.URL {
	base, _ := ctx.Value(inbound{}).(*url.URL)
	return base
}

// rewrite puts the origin of to in place of that of from, in the URLs of headers.
func rewrite(h http.Header, from, to *url.URL) {
	if from == nil || to == nil {
		return
	}
	with := to.Scheme + "://" + to.Host
	at := regexp.MustCompile(`(?i)\b(?:https?|wss?)://` + regexp.QuoteMeta(from.Host) + `(?::` + defaultPort(from) + `)?($|[^\w.:@-])`)
	for name, values := range h {
		if name == "Authorization" || name == "Cookie" || name == "Set-Cookie" {
			continue
		}
		for i, value := range values {
			value = at.ReplaceAllString(value, strings.ReplaceAll(with, "$", "$$")+"$1")
			if rest, ok := strings.CutPrefix(value, "//"+from.Host); ok && (name == "Location" || name == "Content-Location") && (rest == "" || rest[0] == '/') {
				value = "//" + to.Host + rest
			}
			if value != values[i] {
				values = slices.Clone(values)
				values[i] = value
			}
		}
		h[name] = values
	}
}

func defaultPort(u *url.URL) string {
	if u.Port() == "" && u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// cookiesOf lets cookies of the API be those of the proxy, which has another host and no TLS.
func cookiesOf(h http.Header) {
	lines := h["Set-Cookie"]
	for i, line := range lines {
		attributes := slices.DeleteFunc(strings.Split(line, ";"), func(attribute string) bool {
			name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(attribute)), "=")
			return name == "domain" || name == "secure"
		})
		lines[i] = strings.Join(attributes, ";")
	}
}

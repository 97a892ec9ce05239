package request

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/internal/keytype"
)

// plan is a pattern whose parts are bound to the fields of a key type. All that
// can be worked out before the first request has been.
type plan struct {
	keyType    *keytype.Type
	methods    []string // none: any
	named      []string // those of them that stand in the pattern
	method     *keytype.Field
	host       host
	path       path
	query      query
	headers    []header
	members    *members // nil: the key has none of the body's
	ignoreBody bool

	shareMethods bool
}

// admits tells whether req can be one of the pattern's, before a look at what
// the key is made of.
func (p *plan) admits(req *http.Request) bool {
	if req == nil || req.URL == nil || req.URL.Opaque != "" {
		return false
	}
	if hasBody(req) != (p.members != nil) && !p.ignoreBody {
		return false
	}
	return p.allows(methodOf(req)) && p.host.matches(req)
}

func (p *plan) allows(method string) bool {
	return len(p.methods) == 0 || slices.Contains(p.methods, method)
}

func methodOf(req *http.Request) string {
	if req.Method == "" {
		return http.MethodGet
	}
	return req.Method
}

// key sets key from req, which is admitted, and reports whether req matches.
func (p *plan) key(req *http.Request, key reflect.Value) (bool, error) {
	if !p.read(req, req.URL.EscapedPath(), key, false) {
		return false, nil
	}
	return p.readBody(req, key)
}

// read sets key from req, which is admitted and whose path is given in escaped
// form, and reports whether req matches. It sets every field, except for hashes when built is
// true: req is then one of the plan's own, which cannot have their headers.
func (p *plan) read(req *http.Request, path string, key reflect.Value, built bool) bool {
	if !p.path.read(path, key) {
		return false
	}
	if p.method != nil && p.method.SetText(key, methodOf(req)) != nil {
		return false
	}
	if !p.query.read(req.URL.RawQuery, key) {
		return false
	}
	for i := range p.headers {
		h := &p.headers[i]
		if !(built && h.hash) && !h.read(req, key) {
			return false
		}
	}
	return true
}

// readBody is read for the body. It is the last to be read.
func (p *plan) readBody(req *http.Request, key reflect.Value) (bool, error) {
	if p.members == nil {
		return true, nil
	}
	return p.members.read(req, key)
}

// methodOf is the method in the key, else the pattern's only one.
func (p *plan) methodOf(key reflect.Value) (string, error) {
	if p.method != nil {
		return p.method.Text(key)
	}
	return p.methods[0], nil
}

func (p *plan) build(ctx context.Context, base *url.URL, key reflect.Value) (*http.Request, error) {
	method, err := p.methodOf(key)
	if err != nil {
		return nil, err
	}
	if method == "" || !p.allows(method) {
		return nil, fmt.Errorf("%s: method %q is not one of the pattern's", p.method, method)
	}
	path, err := p.path.build(key)
	if err != nil {
		return nil, err
	}
	query, err := p.query.build(key)
	if err != nil {
		return nil, err
	}
	u, err := p.resolve(base, path, query)
	if err != nil {
		return nil, err
	}
	req, err := p.newRequest(ctx, method, key)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = u, u.Host
	for i := range p.headers {
		if err := p.headers[i].build(req.Header, key); err != nil {
			return nil, err
		}
	}
	if err := p.verify(req, path, key); err != nil {
		return nil, err
	}
	return req, nil
}

// newRequest makes a request without a URL.
func (p *plan) newRequest(ctx context.Context, method string, key reflect.Value) (*http.Request, error) {
	if p.members == nil {
		return http.NewRequestWithContext(ctx, method, "", nil)
	}
	body, err := p.members.build(key)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "", bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, err
}

// resolve puts path and query, both escaped, after base.
func (p *plan) resolve(base *url.URL, path, query string) (*url.URL, error) {
	u := &url.URL{Scheme: "https", Host: p.host.text, RawQuery: query}
	if base != nil {
		if base.Opaque != "" {
			return nil, errors.New(`base is no URL of the form "scheme://host"`)
		}
		prefix := strings.TrimSuffix(base.EscapedPath(), "/")
		if prefix != "" && prefix[0] != '/' {
			return nil, errors.New(`base has a path without a leading slash; is its "https://" missing?`)
		}
		if err := p.query.checkBase(base.RawQuery); err != nil {
			return nil, err
		}
		path = prefix + path
		u.User = base.User
		if base.Scheme != "" {
			u.Scheme = base.Scheme
		}
		if base.Host != "" {
			u.Host = base.Host
		}
		if u.RawQuery != "" && base.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += base.RawQuery
	}
	if u.Host == "" {
		return nil, errors.New("neither base nor the pattern has a host")
	}
	var err error
	if u.Path, err = url.PathUnescape(path); err != nil {
		return nil, err
	}
	if u.EscapedPath() != path {
		u.RawPath = path
	}
	if u.EscapedPath() != path {
		return nil, fmt.Errorf("path %q cannot be sent as it is", path)
	}
	return u, nil
}

// verify makes sure that key can be read back from the request built for it.
// The host and a prefix of the path are base's, and not looked at.
func (p *plan) verify(req *http.Request, path string, key reflect.Value) error {
	read := reflect.New(key.Type()).Elem()
	read.Set(key)
	ok := p.read(req, path, read, true)
	if ok {
		var err error
		if ok, err = p.readBody(req, read); err != nil {
			return err
		}
	}
	if !ok {
		return errors.New("the request for the key would not match the pattern")
	}
	for i := range p.keyType.Fields {
		f := &p.keyType.Fields[i]
		want, err := f.Text(key)
		if err != nil {
			return err
		}
		got, err := f.Text(read)
		switch {
		case err == nil && got == want:
		case slices.ContainsFunc(p.headers, func(h header) bool { return h.field == f }):
			// Its value may be a secret.
			return fmt.Errorf("%s: the value would be read back as another", f)
		default:
			return fmt.Errorf("%s: %s would be read back as %s", f, f.Quote(want), f.Quote(got))
		}
	}
	return nil
}

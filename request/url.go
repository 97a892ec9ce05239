package request

import (
	"net/http"
	"reflect"
	"slices"
)

// BesideURL is for package endpoint. A pattern without GET and HEAD has no such columns:
// other requests to its URL, such as queries sent by POST, are no writes to what it stores.
func (e *pattern[K]) BesideURL() []string {
	if e.err != nil {
		return nil
	}
	return e.plan.besideURL()
}

func (p *plan) besideURL() []string {
	reads := len(p.methods) == 0 || slices.Contains(p.methods, http.MethodGet) || slices.Contains(p.methods, http.MethodHead)
	if !reads || len(p.headers) == 0 && p.members == nil {
		return nil
	}
	var columns []string
	for i := range p.headers {
		columns = append(columns, p.headers[i].field.Column)
	}
	if p.members != nil {
		for _, f := range p.members.fields {
			columns = append(columns, f.field.Column)
		}
	}
	if p.method != nil {
		columns = append(columns, p.method.Column)
	}
	return columns
}

// KeyOfURL is the key of the request's URL, whatever its method, headers and body. Fields of
// these are zero.
func (e *pattern[K]) KeyOfURL(req *http.Request) (key K, ok bool) {
	if e.err != nil || req == nil || req.URL == nil || req.URL.Opaque != "" || !e.plan.host.matches(req) {
		return key, false
	}
	read := new(K)
	v := reflect.ValueOf(read).Elem()
	if !e.plan.path.read(req.URL.EscapedPath(), v) || !e.plan.query.read(req.URL.RawQuery, v) {
		return key, false
	}
	return *read, true
}

// BesideURL is for package endpoint.
func (e *anyEndpoint) BesideURL() []string {
	return []string{"method", "request_headers", "request_body"}
}

// KeyOfURL is the key of the request's URL, whatever its method, headers and body.
func (e *anyEndpoint) KeyOfURL(req *http.Request) (key AnyKey, ok bool) {
	if e.err != nil || req == nil || req.URL == nil {
		return key, false
	}
	var buf [512]byte
	u, ok := e.query.appendURL(buf[:0], req.URL)
	if !ok {
		return key, false
	}
	key.URL = e.digests.short(u, maxAnyURL)
	return key, true
}

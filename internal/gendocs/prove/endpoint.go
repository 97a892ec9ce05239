package prove

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Endpoint is a generated declaration of an operation. It is tried by reflection: programs
// with code for each of a thousand types of keys take minutes to compile.
type Endpoint struct {
	path     string
	name     string
	endpoint endpoint

	keys     []reflect.Value
	requests []*http.Request
}

// endpoint is a request.Endpoint of any key.
type endpoint interface {
	Validate() error
}

// Of is the declaration of the GET of a path of the document.
func Of[K comparable, V any](path string, s settings.RepositorySettings[K, V]) *Endpoint {
	e := &Endpoint{path: path, name: s.Name}
	if s.Endpoint != nil {
		e.endpoint = s.Endpoint
	} else {
		e.endpoint = request.Pattern[K](s.Pattern)
	}
	return e
}

var errStatus = errors.New("the status is no success")

// makeRequests builds the requests of all keys, and checks that they are of the operation and
// lead back to their keys.
func (e *Endpoint) makeRequests(ctx context.Context, base *url.URL, op *Operation) error {
	if err := e.endpoint.Validate(); err != nil {
		return err
	}
	of := reflect.ValueOf(e.endpoint)
	var err error
	if e.keys, err = keysOf(of.MethodByName("Key").Type().Out(0)); err != nil {
		return err
	}
	sent := make(map[string]any)
	for _, key := range e.keys {
		built := of.MethodByName("Request").Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(base), key})
		if err, _ := built[1].Interface().(error); err != nil {
			return fmt.Errorf("no request for %+v: %w", key, err)
		}
		req, _ := built[0].Interface().(*http.Request)
		taken := of.MethodByName("Key").Call([]reflect.Value{reflect.ValueOf(req)})
		if err, _ := taken[2].Interface().(error); err != nil {
			return err
		}
		if !taken[1].Bool() || taken[0].Interface() != key.Interface() {
			return fmt.Errorf("%s has the key %+v, not %+v: %v", req.URL, taken[0], key, taken[1])
		}
		text := fmt.Sprint(req.Method, req.URL, req.Header)
		if other, ok := sent[text]; ok {
			return fmt.Errorf("%+v and %+v are one request: %s", other, key, text)
		}
		sent[text] = key
		if err := op.conforms(req, key); err != nil {
			return fmt.Errorf("%s: %w", req.URL, err)
		}
		e.requests = append(e.requests, req)
	}
	return nil
}

// conforms reports what a request has that the document does not, or lacks.
func (o *Operation) conforms(req *http.Request, key reflect.Value) error {
	groups := o.path.FindStringSubmatch(canonical(req.URL.EscapedPath()))
	if groups == nil {
		return fmt.Errorf("the path is not one of %s", o.Path)
	}
	for i, name := range wildcard.FindAllString(o.Path, -1) {
		value, err := url.PathUnescape(groups[i+1])
		if err != nil {
			return err
		}
		for _, f := range fieldsOf(key.Type()) {
			if f.in == "path" && "{"+f.name+"}" == name {
				want := fmt.Sprint(key.Field(f.index))
				if separator := f.separator(); separator != "" {
					values, err := request.SplitList(want)
					if err != nil {
						return err
					}
					want = strings.Join(values, separator)
				}
				// The styles label and matrix have text before a value.
				if value != want && value != "."+want && value != ";"+f.name+"="+want {
					return fmt.Errorf("%s is %q, not %q", name, value, want)
				}
			}
		}
	}
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return err
	}
	for name := range query {
		if !o.knows(name) {
			return fmt.Errorf("the document has no parameter %s", name)
		}
	}
	for _, name := range o.Required {
		if !hasParameter(query, name) {
			return fmt.Errorf("it has no %s", name)
		}
	}
	return nil
}

// hasParameter reports whether a query has a parameter, or members of it.
func hasParameter(query url.Values, name string) bool {
	for other := range query {
		if other == name || strings.HasPrefix(other, name+"[") {
			return true
		}
	}
	return false
}

// send asks for all keys.
func (e *Endpoint) send(ctx context.Context, client http.RoundTripper) error {
	for _, req := range e.requests {
		resp, err := client.RoundTrip(req.WithContext(ctx))
		if err != nil {
			return err
		}
		if err := drain(resp); err != nil {
			return fmt.Errorf("%s: %w", req.URL, err)
		}
	}
	return nil
}

// stored checks that the repository has the responses of all keys, and no others.
func (e *Endpoint) stored(ctx context.Context, c *cache.ResponseCache) error {
	repo, ok := c.Responses(e.name)
	if !ok {
		return errors.New("the cache lacks the repository")
	}
	for _, req := range e.requests {
		resp, ok, err := repo.GetResponse(ctx, req)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s is not in its repository", req.URL)
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
	}
	n, err := repo.Count(ctx, repository.All)
	if err == nil && n != len(e.requests) {
		err = fmt.Errorf("the repository has %d responses, not %d", n, len(e.requests))
	}
	return err
}

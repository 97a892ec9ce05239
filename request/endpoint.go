package request

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Endpoint takes the key out of a request and builds the request for a key.
//
// A type of your own may also have a method Methods() []string. A transport
// serves requests of the methods that it names, besides GET and HEAD.
//
// It may have a method BesideURL() []string, too, which names the columns of its keys that
// do not come from the URL, such as those of headers. An unsafe request then invalidates all
// entries of its URL. Without it, only the entry that a GET with the same headers would find
// is invalidated.
type Endpoint[K comparable] interface {
	// Key returns the key of req. ok is false where req is not one of the
	// endpoint's. err is set only where that could not be told, as with a body
	// that cannot be read.
	//
	// Many goroutines may call Key. It leaves req as it is, except that a body
	// which can be read only once is replaced by an equal one.
	Key(req *http.Request) (key K, ok bool, err error)

	// Request builds the request for key. base is the scheme and host of the
	// API, and may have a path that goes before the endpoint's own and a query
	// that is added to it.
	Request(ctx context.Context, base *url.URL, key K) (*http.Request, error)

	// Validate reports why the endpoint cannot work, or nil.
	Validate() error
}

// ErrNoRequest means that the endpoint takes keys out of requests only.
var ErrNoRequest = errors.New("request: the endpoint builds no requests")

// Func is an endpoint made of two functions, which keep the promises of
// [Endpoint]. build may be nil: Request then returns [ErrNoRequest].
//
// methods are those of the endpoint's requests, in upper case. They have to be
// named where they are others than GET and HEAD, for a transport to serve them.
func Func[K comparable](
	key func(req *http.Request) (K, bool, error),
	build func(ctx context.Context, base *url.URL, key K) (*http.Request, error),
	methods ...string,
) Endpoint[K] {
	return &funcEndpoint[K]{key: key, build: build, methods: methods}
}

type funcEndpoint[K comparable] struct {
	key     func(*http.Request) (K, bool, error)
	build   func(context.Context, *url.URL, K) (*http.Request, error)
	methods []string
}

func (e *funcEndpoint[K]) Key(req *http.Request) (key K, ok bool, err error) {
	if err := e.Validate(); err != nil {
		return key, false, err
	}
	return e.key(req)
}

func (e *funcEndpoint[K]) Request(ctx context.Context, base *url.URL, key K) (*http.Request, error) {
	if e.build == nil {
		return nil, ErrNoRequest
	}
	return e.build(ctx, base, key)
}

func (e *funcEndpoint[K]) Validate() error {
	if e.key == nil {
		return errors.New("request: Func has no key function")
	}
	for _, method := range e.methods {
		if !isMethod(method) {
			return fmt.Errorf("request: Func: %q is not a method in upper case", method)
		}
	}
	return nil
}

// Methods is for package endpoint.
func (e *funcEndpoint[K]) Methods() []string { return e.methods }

func (e *funcEndpoint[K]) String() string { return "functions" }

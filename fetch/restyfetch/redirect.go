package restyfetch

import (
	"errors"
	"net/http"
	"reflect"

	"github.com/go-resty/resty/v2"

	"github.com/endpointcache/endpointcache/internal/redirect"
)

var errUnknownResty = errors.New("restyfetch: this version of resty keeps its http.Client elsewhere")

// guardRedirects gives a clone an http.Client of its own, which takes no secrets along to
// other hosts. resty has no setter for it, and its clones share the one of the user's
// client: a redirect policy set in a clone would be the user's, too.
func guardRedirects(clone *resty.Client) error {
	field := reflect.ValueOf(clone).Elem().FieldByName("httpClient")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*http.Client]() {
		return errUnknownResty
	}
	own := *clone.GetClient()
	own.CheckRedirect = redirect.Guard(own.CheckRedirect)
	*(**http.Client)(field.Addr().UnsafePointer()) = &own
	return nil
}

// asSent is the last request on a way of redirects that begins with first. The one that
// the transport tells may have more, as with SetDigestAuth.
func asSent(last, first *http.Request) *http.Request {
	if last == nil || last.Response == nil || last.Response.Request == nil {
		return first
	}
	request, response := *last, *last.Response
	request.Response, response.Request = &response, asSent(response.Request, first)
	return &request
}

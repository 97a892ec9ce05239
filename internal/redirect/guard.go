package redirect

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// Check is what the CheckRedirect of an [http.Client] is.
type Check = func(req *http.Request, via []*http.Request) error

// harmless are the headers that go along to any host: they say what answer is wanted, and
// describe the body. Of others, nobody knows which are secret.
var harmless = map[string]bool{
	"Accept": true, "Accept-Charset": true, "Accept-Encoding": true, "Accept-Language": true,
	"Cache-Control": true, "Pragma": true, "Range": true, "User-Agent": true,
	"If-Match": true, "If-Modified-Since": true, "If-None-Match": true, "If-Range": true, "If-Unmodified-Since": true,
	"Content-Encoding": true, "Content-Language": true, "Content-Type": true,
}

// Guard is own, or what an http.Client does without a CheckRedirect where that is nil, for
// requests that take no secrets along to another place: not to another host or port, and
// not from https to http. There they have harmless headers alone, and what own adds of its
// own; also after that place has led back. One with a body is not sent there, unless the
// context's hosts have that place (see [Hosts.With]): the redirect is the answer then.
func Guard(own Check) Check {
	if own == nil {
		own = tenAtMost
	}
	return func(req *http.Request, via []*http.Request) error {
		if !isSameUser(req.URL.User, via[0].URL.User) {
			req.URL.User = nil // it came with the redirect
		}
		if !hasLeft(req, via) {
			return own(req, via)
		}
		req.URL.User = nil
		for name := range req.Header {
			if !harmless[name] {
				delete(req.Header, name) // Referer, too: the URL may hold a secret
			}
		}
		if req.Body != nil && req.Body != http.NoBody && !hostsOf(req.Context()).allow(via[len(via)-1], req) {
			_ = req.Body.Close()
			return http.ErrUseLastResponse
		}
		err := own(req, via)
		for name, values := range req.Header {
			if !harmless[name] && slices.Equal(values, via[0].Header[name]) {
				delete(req.Header, name) // resty's policies put them back
			}
		}
		return err
	}
}

// tenAtMost is what an http.Client does without a CheckRedirect.
func tenAtMost(_ *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// hasLeft reports whether a redirect on the way to the request has led elsewhere.
func hasLeft(req *http.Request, via []*http.Request) bool {
	for i, from := range via {
		to := req
		if i+1 < len(via) {
			to = via[i+1]
		}
		if !isSame(from, to) {
			return true
		}
	}
	return false
}

func isSameUser(a, b *url.Userinfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.String() == b.String()
}

// Client sends as an http.Client does that has its CheckRedirect guarded.
type Client struct{ *http.Client }

// Do is that of [http.Client].
func (c Client) Do(req *http.Request) (*http.Response, error) {
	guarded := *c.Client // as it is now; it stays its owner's
	guarded.CheckRedirect = Guard(guarded.CheckRedirect)
	return guarded.Do(req) //nolint:gosec // where to is its owner's to say
}

package head

import "net/http"

// HasValue reports whether a response of that status holds a value of its endpoint:
// those of class 2xx do whose body is a representation, RFC 9110, section 15.3.
func HasValue(status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	return status >= 200 && status <= 299
}

// IsPart reports whether an entry of that status is a part of a response, which only a
// request for ranges can be answered with.
func IsPart(status int) bool { return status == http.StatusPartialContent }

// validators tell of the representation that the origin has, RFC 9110, section 8.8.
var validators = []string{"Etag", "Last-Modified"}

// ofBytes are headers that are about the very bytes of a body.
var ofBytes = []string{
	"Content-Length", "Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges",
}

// WithoutValidators is the text of a head without those headers that let the origin confirm
// a response.
func WithoutValidators(encoded string) (string, error) {
	h, err := Decode(encoded)
	if err != nil {
		return "", err
	}
	for _, name := range validators {
		delete(h.Header, name)
	}
	return Encode(h)
}

// OfAnotherBody is the text of a head for another body of that media type than the one that
// came: without headers that are about its bytes, and without trailers and validators.
func OfAnotherBody(encoded, contentType string, sameType bool) (string, error) {
	h, err := Decode(encoded)
	if err != nil {
		return "", err
	}
	for _, names := range [][]string{validators, ofBytes} {
		for _, name := range names {
			delete(h.Header, name)
		}
	}
	h.Trailer = nil
	if !sameType || h.Header.Get("Content-Type") == "" {
		h.Header.Set("Content-Type", contentType)
	}
	return Encode(h)
}

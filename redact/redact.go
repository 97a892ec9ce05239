// Package redact says what of a response is not stored: headers, parameters of the URLs in
// headers, and members of JSON. A cache and a repository have such [Rules].
//
// Whoever fetches a response gets it as it came. What is stored, and so every later hit, is
// without what the rules name.
//
// Some rules always apply. Headers and trailers with credentials are left out, such as Authorization,
// Authentication-Info, X-Auth-Token and Refresh-Token; for Set-Cookie see policy.Policy. In
// the URLs of Location, Content-Location, Link, Refresh and any other header, [Mark] stands
// for the values of secret parameters, such as access_token and code, and for the user. A
// redirect with such a URL is not stored at all, since it would lead elsewhere.
package redact

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/internal/jsonpath"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// Mark is what stands in a stored header for a value that is not stored.
const Mark = "REDACTED"

// Rules say what of responses is not stored, besides what never is. The zero value adds
// nothing. A name that ends in "*" stands for all names that begin like that.
type Rules struct {
	// Headers are names of headers that are left out. Those that a hit needs cannot be
	// named: Cache-Control, Content-Encoding, Content-Type, Location and Vary.
	Headers []string

	// Query are names of parameters whose values are masked in the URLs of headers. Case, "_"
	// and "-" make no difference.
	Query []string

	// JSON are members of JSON bodies whose values are stored as null, which any Go type
	// decodes: "token" is the top-level member of that name, and "/user/email" a JSON Pointer
	// to one further in, where "*" stands for any name or index, as in "/items/*/email". Case
	// makes no difference. All other bytes stay as they are.
	//
	// The rules apply to any body that is JSON, whatever its Content-Type, and to each line of
	// JSON Lines. A body is not stored if its Content-Type says JSON and it is none. Nor are
	// compressed bodies and parts of bodies, except of images, audio, video and fonts.
	JSON []string
}

// needed are headers without which a stored response means something else.
var needed = []string{"Cache-Control", "Content-Encoding", "Content-Type", "Location", "Vary"}

// Redactor applies rules.
type Redactor struct {
	headers []string // canonical, or the beginning of such a name and "*"
	query   []string // folded, or the beginning of such a name and "*"
	json    [][]step
}

// New returns what applies all of the rules, and those that always apply.
func New(rules ...Rules) (*Redactor, error) {
	r := &Redactor{}
	for _, rule := range rules {
		if err := r.add(rule); err != nil {
			return nil, fmt.Errorf("redact: %w", err)
		}
	}
	return r, nil
}

// Validate reports what is wrong with the rules.
func (r Rules) Validate() error {
	_, err := New(r)
	return err
}

func (r *Redactor) add(rules Rules) error {
	for _, name := range rules.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if err := checkName("Headers", name); err != nil {
			return err
		}
		if slices.Contains(needed, canonical) {
			return fmt.Errorf("Headers: a stored response needs its %s", canonical)
		}
		r.headers = append(r.headers, canonical)
	}
	for _, name := range rules.Query {
		if err := checkName("Query", name); err != nil {
			return err
		}
		folded := secret.Fold(name)
		if strings.HasSuffix(name, "*") {
			folded += "*"
		}
		if folded == "" {
			return fmt.Errorf("Query: %q has no letter or digit", name)
		}
		r.query = append(r.query, folded)
	}
	for _, name := range rules.JSON {
		path, err := stepsOf(name)
		if err != nil {
			return err
		}
		r.json = append(r.json, path)
	}
	return nil
}

func checkName(option, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s has an empty name", option)
	case strings.Contains(strings.TrimSuffix(name, "*"), "*"):
		return fmt.Errorf(`%s: %q has a "*" that is not its end`, option, name)
	}
	return nil
}

func stepsOf(name string) ([]step, error) {
	if !strings.HasPrefix(name, "/") {
		return []step{{name, true}}, checkName("JSON", name)
	}
	tokens, err := jsonpath.Pointer(name)
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	steps := make([]step, len(tokens))
	for i, token := range tokens {
		steps[i] = step{token, false}
	}
	return steps, nil
}

// matchName tells whether one of names is name, or ends in "*" and is how name begins.
func matchName(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		prefix, all := strings.CutSuffix(n, "*")
		return n == name || all && strings.HasPrefix(name, prefix)
	})
}

// ErrNotStored is the error for a response that cannot be stored without what the rules
// name: a redirect to a URL with a secret, or JSON that cannot be read, such as a part of it.
var ErrNotStored = errors.New("the response is not stored, since it cannot be redacted")

// Response returns the header and the body that are stored of a response. Where nothing
// changes, they are the ones that it was given. The error is [ErrNotStored], wrapped.
func (r *Redactor) Response(status int, h http.Header, body []byte) (http.Header, []byte, error) {
	if !r.Keeps(status, h) {
		return nil, nil, fmt.Errorf("redact: %w: it is a redirect to a secret, or a part of JSON", ErrNotStored)
	}
	redacted, err := r.Body(h, body)
	if err != nil {
		return nil, nil, err
	}
	cleaned := r.Header(h)
	if len(redacted) == len(body) && (len(body) == 0 || &redacted[0] == &body[0]) {
		return cleaned, body, nil
	}
	cleaned = cleaned.Clone()
	for _, name := range []string{"Content-Md5", "Content-Digest", "Repr-Digest", "Digest"} {
		delete(cleaned, name)
	}
	if len(h["Content-Length"]) > 0 {
		cleaned.Set("Content-Length", strconv.Itoa(len(redacted)))
	}
	return cleaned, redacted, nil
}

// Keeps reports whether a response with that status and header can be stored, as far as
// can be said without its body.
func (r *Redactor) Keeps(status int, h http.Header) bool {
	if status == http.StatusPartialContent && len(r.json) > 0 && !isMedia(h) {
		return false // a part cannot be read
	}
	return !isRedirect(status) || slices.Equal(r.lines("Location", h["Location"]), h["Location"])
}

func isRedirect(status int) bool { return status >= 300 && status <= 399 }

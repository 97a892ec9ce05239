package inspector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/identity"
	"github.com/endpointcache/endpointcache/internal/diff"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/settings"
)

// comparison is the page that compares a stored response with the origin's.
type comparison struct {
	Repository string      `json:"repository"`
	Key        string      `json:"key"`
	Request    string      `json:"request"`
	Identity   string      `json:"identity,omitempty"` // on whose behalf it was asked
	Stored     int         `json:"storedStatus"`
	Now        int         `json:"originStatus"`
	Changes    []changeRow `json:"changes"`
	Volatile   []changeRow `json:"volatile,omitempty"` // headers that differ from answer to answer
	More       int         `json:"more,omitempty"`     // changes that are left out
	Link       string      `json:"-"`
	Again      string      `json:"-"`
}

// changeRow is a part that differs.
type changeRow struct {
	Path string `json:"path"`
	Op   string `json:"op"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

const (
	shownChanges = 500
	largestBody  = 64 << 20 // that is compared
)

// asksOrigins reports whether anything is compared.
func (i *Inspector) asksOrigins() bool { return i.opts.Origin != nil || i.opts.OriginFor != nil }

func (i *Inspector) diff(_ http.ResponseWriter, r *http.Request) (any, error) {
	if !i.asksOrigins() {
		return nil, problem{http.StatusForbidden, "The origin is not asked from here: see Options.Origin of package inspector."}
	}
	e, err := i.stored(r)
	if err != nil {
		return nil, err
	}
	if e.Sealed() {
		return nil, errSealed
	}
	header, err := e.Header()
	if err != nil {
		return nil, err
	}
	req, err := i.request(r.Context(), e)
	as := ""
	if err == nil {
		as, err = i.comparable(req, e)
	}
	if errors.Is(err, cache.ErrNoRequest) || errors.As(err, new(incomparable)) {
		return nil, problem{http.StatusConflict, "It cannot be compared with the origin: " + explained(err)}
	}
	if err != nil {
		return nil, err
	}
	if coding := header.Get("Content-Encoding"); coding != "" && req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", coding) // or the headers would differ
	}
	select {
	case i.comparing <- struct{}{}:
		defer func() { <-i.comparing }()
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	now, err := i.askOrigin(req, as)
	switch {
	case err == nil:
	case errors.As(err, new(problem)):
		return nil, err
	case errors.Is(r.Context().Err(), context.DeadlineExceeded):
		return nil, problem{http.StatusGatewayTimeout, "The origin has not answered within " + human.Precise(i.opts.Timeout) + "."}
	default:
		return nil, problem{http.StatusBadGateway, "The origin has not answered: " + explained(err)}
	}
	c := &comparison{
		Repository: printable(e.Repository, 200), Key: keyText(e.Key, 100), Request: printable(req.Method+" "+req.URL.String(), shownValue), Identity: printable(as, 200),
		Stored: e.Status, Now: now.Status, Changes: []changeRow{}, Link: "entry?" + addressOf(e.Stored), Again: "diff?" + addressOf(e.Stored),
	}
	for _, change := range diff.Compare(diff.Response{Status: e.Status, Header: header, Body: e.Payload}, now) {
		row := changeRow{
			printable(change.Path, 500), string(change.Op), printable(change.From, shownValue), printable(change.To, shownValue),
		}
		switch {
		case change.Volatile:
			c.Volatile = append(c.Volatile, row)
		case len(c.Changes) < shownChanges:
			c.Changes = append(c.Changes, row)
		default:
			c.More++
		}
	}
	return &page{template: "diff", title: "Compared with the origin: " + c.Key, data: c}, nil
}

// request is the one that a stored response answers, without credentials.
func (i *Inspector) request(ctx context.Context, e found) (*http.Request, error) {
	if e.Origin == "" {
		e.Origin = i.opts.BaseURL
	}
	return i.cache.Contents().Request(ctx, e.Stored)
}

// incomparable is why the origin is not asked for what it would answer now.
type incomparable string

func (reason incomparable) Error() string { return string(reason) }

// comparable returns the name of the identity on whose behalf the origin is to be asked, empty for
// what is nobody's own. The error is an incomparable where no answer can be compared.
func (i *Inspector) comparable(req *http.Request, e found) (as string, err error) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return "", incomparable("a " + req.Method + " may change something at the origin: it is not sent from here")
	}
	if !isPerIdentity(e.table) {
		if i.opts.Origin == nil {
			return "", incomparable("the origin is asked for responses of one identity alone: see Options.Origin of package inspector")
		}
		return "", nil
	}
	value, _ := e.Key[0].Value.(string)
	name, named := whose.Name(value)
	switch {
	case !named:
		return "", incomparable("a digest stands for the identity whose response it is, and nobody knows the credentials behind it")
	case i.opts.OriginFor == nil:
		return "", incomparable("the origin gives each identity an answer of its own, and nothing tells the credentials of this one: see Options.OriginFor of package inspector, or --header of endpointcache diff")
	}
	return name, nil
}

// isPerIdentity reports whether a table keeps the responses of each identity apart: its keys begin
// with the identity.
func isPerIdentity(t cache.Table) bool {
	return t.Declaration != nil && t.Declaration.Scope == settings.PerIdentity
}

// askOrigin sends a request on behalf of an identity, or of nobody in particular.
func (i *Inspector) askOrigin(req *http.Request, as string) (diff.Response, error) {
	ctx := policy.With(req.Context(), policy.Policy{Use: policy.Disabled}) // the transport may be one with the cache
	origin := i.opts.Origin
	if as != "" {
		ctx = identity.With(ctx, as)
		var err error
		if origin, err = i.opts.OriginFor(ctx, as); err != nil {
			return diff.Response{}, problem{http.StatusBadGateway, "The origin was not asked: " + explained(err)}
		}
		if origin == nil {
			return diff.Response{}, problem{http.StatusBadGateway, "The origin was not asked: OriginFor has returned no transport for the identity."}
		}
	}
	resp, err := origin.RoundTrip(req.WithContext(ctx))
	switch {
	case err != nil:
		return diff.Response{}, err
	case resp == nil:
		return diff.Response{}, errors.New("the transport has returned neither a response nor an error")
	case resp.Body == nil: // as http.Client lets it be
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestBody+1))
	if err == nil && len(body) > largestBody {
		err = fmt.Errorf("its body is longer than %s", human.Size(largestBody))
	}
	return diff.Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

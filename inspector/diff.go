package inspector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/diff"
	"github.com/endpointcache/endpointcache/policy"
)

// comparison is the page that compares a stored response with the origin's.
type comparison struct {
	Repository string      `json:"repository"`
	Key        string      `json:"key"`
	Request    string      `json:"request"`
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

func (i *Inspector) diff(_ http.ResponseWriter, r *http.Request) (any, error) {
	if i.opts.Origin == nil {
		return nil, problem{http.StatusForbidden, "The origin is not asked from here: see Options.Origin of package inspector."}
	}
	e, err := i.stored(r)
	if err != nil {
		return nil, err
	}
	header, err := e.Header()
	if err != nil {
		return nil, err
	}
	req, err := i.request(r.Context(), e.Stored)
	if err == nil {
		err = comparable(req)
	}
	if errors.Is(err, cache.ErrNoRequest) || errors.As(err, new(unsafeMethod)) {
		return nil, problem{http.StatusConflict, explained(err)}
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
	now, err := i.askOrigin(req)
	if err != nil {
		return nil, problem{http.StatusBadGateway, "The origin has not answered: " + explained(err)}
	}
	c := &comparison{
		Repository: printable(e.Repository, 200), Key: keyText(e.Key, 100), Request: printable(req.Method+" "+req.URL.String(), shownValue),
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

// request is the one that a stored response answers.
func (i *Inspector) request(ctx context.Context, e cache.Stored) (*http.Request, error) {
	if e.Origin == "" {
		e.Origin = i.opts.BaseURL
	}
	return i.cache.Contents().Request(ctx, e)
}

// comparable tells why a request is not sent to compare the answer.
func comparable(req *http.Request) error {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return unsafeMethod(req.Method)
	}
	return nil
}

// unsafeMethod is a method by which a request may change something at the origin.
type unsafeMethod string

func (m unsafeMethod) Error() string {
	return "a " + string(m) + " may change something at the origin: it is not sent from here"
}

func (i *Inspector) askOrigin(req *http.Request) (diff.Response, error) {
	uncached := policy.With(req.Context(), policy.Policy{Use: policy.Disabled}) // the transport may be one with the cache
	resp, err := i.opts.Origin.RoundTrip(req.WithContext(uncached))
	if err != nil {
		return diff.Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestBody+1))
	if err == nil && len(body) > largestBody {
		err = fmt.Errorf("its body is longer than %s", byteCount(largestBody))
	}
	return diff.Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, err
}

package inspector

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/identity"
)

// answer is the page that tells what the store has for a request.
type answer struct {
	Method   string `json:"method"`
	URL      string `json:"url"`
	Headers  string `json:"-"`
	Body     string `json:"-"`
	Identity string `json:"-"`
	Asked    bool   `json:"-"`
	Scoped   bool   `json:"-"` // responses of identities are stored

	Repository string     `json:"repository,omitempty"`
	Table      string     `json:"table,omitempty"`
	Key        []keyField `json:"key,omitempty"`
	Found      *entryRow  `json:"found,omitempty"`
	Near       []entryRow `json:"near,omitempty"`
	Reasons    []string   `json:"reasons"`
	Freshness  *freshness `json:"freshness,omitempty"`
	Error      string     `json:"error,omitempty"`
}

func (i *Inspector) lookup(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := parseForm(r); err != nil {
		return nil, err
	}
	tables, err := i.tables(r.Context())
	if err != nil {
		return nil, err
	}
	a := &answer{
		Method: strings.ToUpper(strings.TrimSpace(r.Form.Get("method"))), URL: strings.TrimSpace(r.Form.Get("url")), Headers: r.Form.Get("headers"),
		Body:     strings.ReplaceAll(r.Form.Get("body"), "\r\n", "\n"), // as it was before the browser sent it
		Identity: r.Form.Get("identity"), Scoped: slices.ContainsFunc(tables, isPerIdentity),
	}
	if a.Asked = a.URL != ""; a.Asked {
		if err := i.look(r, a); err != nil {
			return nil, err
		}
	}
	return &page{template: "lookup", title: "Look up a request", data: a}, nil
}

// look fills in what the store has. What is wrong with the request is said beside the form.
func (i *Inspector) look(r *http.Request, a *answer) error {
	req, problem := a.request(r)
	if problem != "" {
		a.Error = problem
		return nil
	}
	found, err := i.cache.Contents().Lookup(req.Context(), req)
	if err != nil {
		if r.Context().Err() != nil {
			return err
		}
		a.Error = explained(err)
		return nil
	}
	now := i.opts.Now()
	a.Repository, a.Table = printable(found.Repository, 200), printable(found.Table, 200)
	for _, c := range found.Key {
		a.Key = append(a.Key, keyField{printable(c.Name, 100), valueText(c.Value, shownValue)})
	}
	for _, reason := range found.Reasons {
		a.Reasons = append(a.Reasons, printable(reason, 1000))
	}
	if found.Found {
		row := entryRowOf(found.Stored, now)
		f := freshnessOf(found.Explanation, now)
		a.Found, a.Freshness = &row, &f
	}
	for _, near := range found.Near {
		a.Near = append(a.Near, entryRowOf(near, now))
	}
	return nil
}

// request is the one that the form describes, or what is wrong with it.
func (a *answer) request(r *http.Request) (_ *http.Request, problem string) {
	u, err := url.Parse(a.URL)
	whole := err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
	if path := err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(u.Path, "/"); !whole && !path {
		return nil, "The URL is neither a whole one, such as https://api.example.com/tracks/1, nor one without a host, such as /tracks/1."
	}
	method := a.Method
	if method == "" && a.Body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(identity.With(r.Context(), a.Identity), method, a.URL, strings.NewReader(a.Body))
	if err != nil {
		return nil, "There is no such method."
	}
	for line := range strings.Lines(a.Headers) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, "Each line of the headers is a name, a colon and a value."
		}
		req.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if host := req.Header.Get("Host"); host != "" { // a client has it beside the headers
		req.Host = host
		req.Header.Del("Host")
	}
	return req, ""
}

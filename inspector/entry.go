package inspector

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/preview"
)

// response is the page of a stored response.
type response struct {
	Repository string      `json:"repository"`
	Table      string      `json:"table"`
	Origin     string      `json:"origin,omitempty"`
	Key        []keyField  `json:"key"`
	Name       string      `json:"name,omitempty"`
	Status     int         `json:"status"`
	StatusText string      `json:"-"`
	Proto      string      `json:"proto,omitempty"`
	Request    string      `json:"request,omitempty"` // method and URL that it answers
	Size       int64       `json:"size"`
	Used       *moment     `json:"used,omitempty"`
	Freshness  freshness   `json:"freshness"`
	Headers    []headField `json:"headers"`
	Trailers   []headField `json:"trailers,omitempty"`
	Notes      []headField `json:"notes,omitempty"`
	HeadError  string      `json:"headError,omitempty"`
	Sealed     bool        `json:"sealed,omitempty"` // its headers and its body are, and there are no keys
	Body       bodyView    `json:"body"`

	Notice     string `json:"-"`
	Links      links  `json:"-"`
	Repo       string `json:"-"` // the address of its repository's list
	CanDiff    bool   `json:"-"`
	CanChange  bool   `json:"-"`
	NoDiff     string `json:"-"` // why it cannot be compared
	KeyInTitle string `json:"-"`
}

// links are where a response's page leads to.
type links struct{ Body, Diff, Expire, Delete string }

func linksOf(e cache.Stored) links {
	q := "?" + addressOf(e)
	return links{"body" + q, "diff" + q, "expire" + q, "delete" + q}
}

// keyField is a column of a key.
type keyField struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// headField is a header.
type headField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// freshness is what cache.Explanation tells.
type freshness struct {
	Verdict  string    `json:"verdict,omitempty"`
	Reasons  []string  `json:"reasons"`
	Declared bool      `json:"declared"`
	Age      string    `json:"age,omitempty"`
	Error    string    `json:"error,omitempty"`
	Times    []named   `json:"times"`
	Timeline *timeline `json:"-"`
}

// named is an instant with what happens then.
type named struct {
	Name string `json:"name"`
	*moment
}

// bodyView is a body as it is shown.
type bodyView struct {
	Kind      string `json:"kind"`
	MediaType string `json:"mediaType,omitempty"`
	Coding    string `json:"coding,omitempty"`
	Size      int64  `json:"size"`
	Truncated bool   `json:"truncated"`
	Text      string `json:"text,omitempty"`

	Tree     []*jsonNode `json:"-"`
	TreeCut  bool        `json:"-"`
	Foldable bool        `json:"-"`
}

const (
	shownBody  = 256 << 10 // bytes of a body that a page shows
	shownValue = 4 << 10   // of a header or a column of a key
)

func (i *Inspector) entry(_ http.ResponseWriter, r *http.Request) (any, error) {
	e, err := i.stored(r)
	if err != nil {
		return nil, err
	}
	p := i.response(r.Context(), e)
	p.Notice = notices[r.URL.Query().Get("notice")]
	return &page{template: "entry", title: p.KeyInTitle + " of " + p.Repository, data: p}, nil
}

func (i *Inspector) response(ctx context.Context, e found) *response {
	now := i.opts.Now()
	p := &response{
		Repository: printable(e.Repository, 200), Table: printable(e.Table, 200), Origin: printable(e.Origin, 200),
		Name: printable(e.Name, shownValue), Status: e.Status, StatusText: http.StatusText(e.Status), Size: e.Size,
		Used: momentOf(e.UsedAt, now), Freshness: i.freshness(ctx, e.Stored, now),
		Links: linksOf(e.Stored), Repo: search{Repository: e.Repository, Order: "key", Limit: defaultLimit}.address(),
		CanChange: i.opts.AllowChanges, KeyInTitle: keyText(e.Key, 60),
	}
	for _, c := range e.Key {
		p.Key = append(p.Key, keyField{printable(c.Name, 100), valueText(c.Value, shownValue)})
	}
	head, err := e.Head()
	if err != nil {
		p.HeadError = explained(err)
	}
	p.Headers, p.Trailers = fields(head.Header), fields(head.Trailer)
	if head.Reason != "" {
		p.StatusText = printable(head.Reason, 100)
	}
	p.Proto = printable(head.Proto, 20)
	for name, value := range head.Notes {
		p.Notes = append(p.Notes, headField{printable(name, 200), printable(value, shownValue)})
	}
	slices.SortFunc(p.Notes, func(a, b headField) int { return strings.Compare(a.Name, b.Name) })
	if p.Sealed = e.Sealed(); p.Sealed {
		p.HeadError = errSealed.text
		p.Freshness.Verdict, p.Freshness.Reasons, p.Freshness.Error = "", []string{}, "it is sealed."
		return p
	}
	p.Body = viewBody(head.Header, e.Payload)
	req, err := i.request(ctx, e)
	if err == nil {
		p.Request = printable(req.Method+" "+req.URL.String(), shownValue)
		_, err = i.comparable(req, e)
	}
	if i.asksOrigins() {
		p.CanDiff = err == nil
		if err != nil {
			p.NoDiff = explained(err)
		}
	}
	return p
}

// fields are headers by name, each value on its own.
func fields(h http.Header) []headField {
	all := []headField{}
	for name, values := range h {
		for _, v := range values {
			all = append(all, headField{printable(name, 200), printable(v, shownValue)})
		}
	}
	slices.SortStableFunc(all, func(a, b headField) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// verdicts are what a request would bring about, in words.
var verdicts = map[cache.Verdict]string{
	cache.Serve:         "served from the store",
	cache.ServeAndRenew: "served from the store, and renewed in the background",
	cache.Revalidate:    "confirmed by the origin first",
	cache.Fetch:         "fetched from the origin",
	cache.Unanswered:    "not answered",
}

func (i *Inspector) freshness(ctx context.Context, e cache.Stored, now time.Time) freshness {
	x, err := i.cache.Contents().Explain(ctx, e)
	if err != nil {
		return freshness{Error: explained(err)}
	}
	return freshnessOf(x, now)
}

func freshnessOf(x cache.Explanation, now time.Time) freshness {
	f := freshness{Verdict: verdicts[x.Verdict], Declared: x.Declared, Age: human.Duration(x.Age), Timeline: timelineOf(x, now)}
	for _, reason := range x.Reasons {
		f.Reasons = append(f.Reasons, printable(reason, 1000))
	}
	for _, t := range []struct {
		name string
		at   time.Time
	}{
		{"Requested", x.CachedAt}, {"Expires", x.ExpiresAt},
		{"Served while it is renewed until", x.RenewableUntil}, {"Stands in for a failing origin until", x.StandsInUntil},
	} {
		if !t.at.IsZero() {
			f.Times = append(f.Times, named{t.name, momentOf(t.at, now)})
		}
	}
	return f
}

func viewBody(header http.Header, body []byte) bodyView {
	shown := preview.Of(header, body, shownBody)
	v := bodyView{Kind: string(shown.Kind), MediaType: printable(shown.MediaType, 200), Coding: printable(shown.Coding, 100), Size: int64(shown.Size), Truncated: shown.Truncated, Text: shown.Text}
	if shown.Kind == preview.JSON {
		v.Tree, v.TreeCut = parseTree(header, body)
		v.Foldable = slices.ContainsFunc(v.Tree, (*jsonNode).Container)
	}
	return v
}

// body is the whole body, as a file to save: browsers open nothing of it.
func (i *Inspector) body(w http.ResponseWriter, r *http.Request) (any, error) {
	e, err := i.stored(r)
	if err == nil && e.Sealed() {
		err = errSealed
	}
	if err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fileName(e.Stored)}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Content-Length", strconv.Itoa(len(e.Payload)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(e.Payload)
	}
	return nil, nil
}

// fileName is a name to save a body under, of letters and digits that every system has.
func fileName(e cache.Stored) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-') {
			return r
		}
		return '_'
	}, e.Repository+"-"+keyText(e.Key, 40))
	extension := ".bin"
	if header, err := e.Header(); err == nil {
		switch t := preview.Of(header, e.Payload, 1); t.Kind {
		case preview.JSON:
			extension = ".json"
		case preview.Text:
			extension = ".txt"
		default:
		}
	}
	return name[:min(len(name), 80)] + extension
}

package inspector

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/secret"
)

// page is what a request is answered with. Its data is a template's and, for programs, JSON.
type page struct {
	template string // of the folder templates, without the extension
	title    string
	status   int // 0: 200
	data     any
}

// redirect is the answer to a change: a page that shows what has become of it.
type redirect struct{ to string }

// ServeHTTP implements [http.Handler].
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if i.closing.Err() != nil {
		http.Error(w, "The inspector is closed.", http.StatusServiceUnavailable)
		return
	}
	if err := i.refuse(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	// All pages are in one folder, so that links are relative and the path to it does not matter.
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if at, _, _ := strings.Cut(r.RequestURI, "?"); r.URL.Path == "" && !strings.HasSuffix(at, "/") { // http.StripPrefix has left nothing: links need the slash
		w.Header().Set("Location", "./"+path.Base(at)+"/")
		w.WriteHeader(http.StatusFound)
		return
	}
	if asset, ok := assets[name]; ok {
		asset.serve(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), i.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(i.closing, cancel)()
	answer, err := i.answer(w, r.WithContext(ctx), name)
	if err != nil {
		answer = errorPage(err)
	}
	switch answer := answer.(type) {
	case nil: // it is written
	case redirect:
		w.Header().Set("Location", answer.to) // relative, as http.Redirect does not leave it
		w.WriteHeader(http.StatusSeeOther)
	case *page:
		i.write(w, r, name, answer)
	}
}

// A route is what serves the pages of a name.
type route struct {
	methods []string
	serve   func(*Inspector, http.ResponseWriter, *http.Request) (any, error)
}

var (
	reading = []string{http.MethodGet, http.MethodHead}
	asking  = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	doing   = []string{http.MethodPost}
)

var routes = map[string]route{
	"":       {reading, (*Inspector).repositories},
	"list":   {asking, (*Inspector).list}, // an address can be too long for a page's beginning
	"entry":  {reading, (*Inspector).entry},
	"body":   {reading, (*Inspector).body},
	"lookup": {asking, (*Inspector).lookup}, // a form that is posted leaves no URL in a history
	"live":   {reading, (*Inspector).live},
	"diff":   {doing, (*Inspector).diff},
	"expire": {doing, (*Inspector).expire},
	"delete": {doing, (*Inspector).delete},
}

// mostPosted is how long a form is at most: bodies of requests get up to three times as long in it.
const mostPosted = 8 << 20

// answer returns a page, a redirect, or nil where it has written the answer.
func (i *Inspector) answer(w http.ResponseWriter, r *http.Request, name string) (any, error) {
	to, ok := routes[name]
	if !ok {
		return nil, notFound("There is no such page.")
	}
	if !slices.Contains(to.methods, r.Method) {
		w.Header().Set("Allow", strings.Join(to.methods, ", "))
		return nil, problem{http.StatusMethodNotAllowed, "This page is not asked for with " + r.Method + "."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, mostPosted)
	return to.serve(i, w, r)
}

// parseForm reads the fields of a form, from the address and from what is posted.
func parseForm(r *http.Request) error {
	err := r.ParseForm()
	if tooLong := new(http.MaxBytesError); errors.As(err, &tooLong) {
		return problem{http.StatusRequestEntityTooLarge, "The form is longer than " + human.Size(tooLong.Limit) + "."}
	}
	if err != nil {
		return badRequest("The form cannot be read.")
	}
	return nil
}

// problem is an error with a status and a text for people.
type problem struct {
	status int
	text   string
}

func (p problem) Error() string { return p.text }

func notFound(text string) error { return problem{http.StatusNotFound, text} }

func badRequest(format string, args ...any) error {
	return problem{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func errorPage(err error) *page {
	p := problem{http.StatusInternalServerError, explained(err)}
	switch {
	case errors.As(err, &p):
	case errors.Is(err, context.DeadlineExceeded):
		p = problem{http.StatusGatewayTimeout, "The store has not answered in time. A search by the first columns of a key, or by name, takes the least; what a list in another order has made ready is there the next time."}
	case errors.Is(err, driver.ErrClosed):
		p.status = http.StatusServiceUnavailable
	case errors.Is(err, cache.ErrNotFound):
		p.status = http.StatusNotFound
	}
	return &page{template: "error", title: http.StatusText(p.status), status: p.status, data: failure{p.text}}
}

type failure struct {
	Error string `json:"error"`
}

// explained is an error's text, for the page.
func explained(err error) string { return printable(secret.Error(err).Error(), 1000) }

// frame is what surrounds a page's data.
type frame struct {
	Title string
	Here  string // the name of the page
	Cache string
	Kind  string
	Data  any
}

func (i *Inspector) write(w http.ResponseWriter, r *http.Request, name string, p *page) {
	var out bytes.Buffer
	h := w.Header()
	h.Add("Vary", "Accept")
	if wantsJSON(r) {
		h.Set("Content-Type", "application/json; charset=utf-8")
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false) // nosniff: nobody takes it for HTML
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(p.data); err != nil {
			http.Error(w, "The page cannot be told as JSON.", http.StatusInternalServerError)
			return
		}
	} else {
		h.Set("Content-Type", "text/html; charset=utf-8")
		f := frame{Title: p.title, Here: name, Cache: printable(i.cache.Name(), 100), Kind: i.cache.Kind(), Data: p.data}
		if err := pages[p.template].Execute(&out, f); err != nil {
			http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
			return
		}
	}
	h.Set("Content-Length", strconv.Itoa(out.Len()))
	if p.status != 0 {
		w.WriteHeader(p.status)
	}
	if r.Method != http.MethodHead {
		_, _ = out.WriteTo(w)
	}
}

func wantsJSON(r *http.Request) bool {
	if format := r.URL.Query().Get("format"); format != "" {
		return format == "json"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

//go:embed templates assets
var files embed.FS

// pages are the templates, by name.
var pages = parsePages()

func parsePages() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "templates/layout.html", "templates/parts.html"))
	parsed := make(map[string]*template.Template)
	for _, name := range []string{"repositories", "list", "entry", "lookup", "diff", "live", "error"} {
		parsed[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return parsed
}

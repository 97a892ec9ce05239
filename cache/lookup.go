package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/declared"
	"github.com/endpointcache/endpointcache/internal/endpoint"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/internal/weborigin"
)

// Lookup is what the store has for a request.
type Lookup struct {
	// Repository is that of the most specific endpoint that the request belongs to, empty if
	// there is none. Table is its table for the request's origin, empty if it has none, and Key
	// the request's in there, which has no identity if nothing tells one.
	Repository, Table string
	Key               []KeyColumn

	// Stored is the response, without its body, if it is found. A damaged one is not.
	Stored Stored
	Found  bool

	// Near are stored responses that a caller has perhaps meant, at most 10, the likeliest
	// first: of the same key for other origins, and such whose keys differ from the request's
	// in a single column; in the first one, only those with values that are alike. They are
	// looked for if nothing is found, among the keys around the request's, so that others may be
	// missing.
	Near []Stored

	// Reasons are sentences that tell why this is a hit or a miss, the deciding one first. They
	// are for people, and may change.
	Reasons []string

	// Explanation tells what the request would bring about now. Its Verdict is Fetch where nothing
	// is stored, unless the policy does not let the origin be asked.
	Explanation Explanation
}

// Lookup tells what the store has for a request, and why it would be a hit or a miss in a
// transport. It knows endpoints by the cache's repositories and, of others, by what the store
// remembers of them. Without a host in its URL, the request is for any origin. Lookup asks no
// origin, changes nothing, and reads no body of a request that has no GetBody. It is an error if
// the request may be for an endpoint that the store remembers sealed, by a layer that the cache does
// not have.
func (s *Contents) Lookup(ctx context.Context, req *http.Request) (Lookup, error) {
	if req == nil || req.URL == nil {
		return Lookup{}, errors.New("cache: lookup: there is no request with a URL")
	}
	l := &lookup{contents: s, asked: req}
	if err := l.collect(ctx); err != nil {
		return Lookup{}, err
	}
	found, err := l.find(ctx)
	if err != nil {
		return Lookup{}, err
	}
	return found, nil
}

// lookup is one call of Lookup.
type lookup struct {
	contents *Contents
	asked    *http.Request
	known    []*place // the most specific first
	unknown  []*place // repositories of which nobody knows how keys are taken from requests
}

// place is a repository with its tables, those of all origins.
type place struct {
	repository  string
	table       *exchange.Table // that of the first
	tables      []*exchange.Table
	listed      []declared.Table
	left        []declared.Table // tables of other declarations
	specificity endpoint.Specificity
}

// collect finds the repositories and their tables.
func (l *lookup) collect(ctx context.Context) error {
	s := l.contents
	listed, err := s.listed(ctx)
	if err != nil {
		return err
	}
	tables, err := s.open(ctx, listed)
	if err != nil {
		return err
	}
	all, err := s.cache.exchange.Tables(ctx)
	if err != nil {
		return err
	}
	of := make(map[string]*place)
	for i, t := range tables {
		name := listed[i].Repository
		p := of[name]
		if p == nil {
			p = &place{repository: name, table: t}
			of[name] = p
			if t.Match == nil || t.Endpoint == nil {
				l.unknown = append(l.unknown, p)
				continue
			}
			p.specificity = endpoint.SpecificityOf(t.Endpoint)
			l.known = append(l.known, p)
		}
		p.tables, p.listed = append(p.tables, t), append(p.listed, listed[i])
	}
	for _, t := range all {
		if p := of[t.Repository]; p != nil && t.Repository != "" && !t.Current {
			p.left = append(p.left, t)
		}
	}
	created := s.cache.tables() // as requests are routed
	rank := func(p *place) int {
		at := slices.IndexFunc(created, func(t *exchange.Table) bool { return t.Name == p.repository })
		if at < 0 {
			return len(created)
		}
		return at
	}
	slices.SortStableFunc(l.known, func(a, b *place) int {
		return cmp.Or(b.specificity.Compare(a.specificity), cmp.Compare(rank(a), rank(b)))
	})
	return nil
}

// find finds what is stored for the request, as the transport does.
func (l *lookup) find(ctx context.Context) (Lookup, error) {
	method := cmp.Or(l.asked.Method, http.MethodGet)
	if len(l.asked.Header["Upgrade"]) > 0 {
		return l.bypassed(ctx, l.asked, "The request asks for another protocol by Upgrade: it bypasses the cache.")
	}
	if method != http.MethodHead {
		return l.as(ctx, l.asked)
	}
	get := *l.asked
	get.Method = http.MethodGet
	byGet, err := l.as(ctx, &get)
	if err != nil {
		return Lookup{}, err
	}
	if v := byGet.Explanation.Verdict; byGet.Found && (v == Serve || v == ServeAndRenew) {
		byGet.Reasons = append(byGet.Reasons, "A HEAD is answered by the stored response to a GET.")
		return byGet, nil
	}
	own, err := l.as(ctx, l.asked)
	if err != nil || own.Repository != "" {
		return own, err
	}
	if byGet.Explanation.Verdict == Revalidate {
		byGet.Explanation.Verdict = Fetch
		byGet.Reasons = append(byGet.Reasons, "A HEAD is not answered by that: it is sent to the origin as it is.")
	}
	return byGet, nil
}

// bypassed tells of a request that belongs to no table: the cache's own policy is what it is under.
func (l *lookup) bypassed(ctx context.Context, req *http.Request, reason string) (found Lookup, err error) {
	rules, err := l.contents.cache.exchange.Rules(ctx)
	if err == nil {
		found.miss(Explanation{Verdict: unstored(rules, req)}, reason)
	}
	return found, err
}

// unstored is what a request brings about that has no stored response, whatever there is.
func unstored(rules *exchange.Rules, req *http.Request) Verdict {
	if rules.NeverForward(req.Header) {
		return Unanswered
	}
	return Fetch
}

// as finds what is stored for a request.
func (l *lookup) as(ctx context.Context, req *http.Request) (Lookup, error) {
	method := cmp.Or(req.Method, http.MethodGet)
	p, seen, key, err := l.place(req, caching(ctx, method))
	if exchange.IsMisrouted(err) {
		reasons := []string{"The router names a repository that the cache does not have: the request fails."}
		return Lookup{Reasons: reasons, Explanation: Explanation{Verdict: Unanswered, Reasons: reasons}}, nil
	}
	if err != nil {
		return l.bypassed(ctx, req, "The key of the request cannot be told: "+secret.Error(err).Error()+".")
	}
	if p == nil {
		return l.nowhere(ctx, req, method)
	}
	found := Lookup{Repository: p.repository}
	rules, err := p.table.Rules(ctx)
	if err != nil {
		return Lookup{}, err
	}
	whole, bypass, err := p.table.Seat(ctx, seen.req, key)
	if err != nil {
		return Lookup{}, err
	}
	at := p.at(seen)
	if bypass != "" {
		found.Key = columnsOf(p.table.Declaration.Key, key)
		if at >= 0 {
			found.Table = p.listed[at].Name
		}
		found.miss(Explanation{Verdict: unstored(rules, req), Declared: !p.table.Undeclared()}, bypass)
		return found, nil
	}
	found.Key = columnsOf(p.table.Spec().Key, whole)
	asked := exchange.Asked{Request: req, Exactly: true}
	if at < 0 {
		return l.elsewhere(ctx, found, p, whole, asked)
	}
	found.Table = p.listed[at].Name
	return l.in(ctx, found, p, p.tables[at], whole, asked)
}

// nowhere tells of a request that no table has.
func (l *lookup) nowhere(ctx context.Context, req *http.Request, method string) (Lookup, error) {
	if p, _, _, err := l.place(req, nil); err == nil && p != nil {
		found, err := l.bypassed(ctx, req, fmt.Sprintf("A %s bypasses the cache, as the endpoint %q does not name the method.", method, endpoint.Text(p.table.Endpoint)))
		found.Repository, found.Explanation.Declared = p.repository, !p.table.Undeclared()
		return found, err
	}
	found, err := l.bypassed(ctx, req, l.unmatched())
	found.Reasons = append(found.Reasons, l.almost(ctx, req)...)
	if len(l.unknown) == 0 || err != nil {
		return found, err
	}
	var names []string
	for _, p := range l.unknown {
		sealed, err := isSealed(ctx, p.table)
		if err != nil {
			return Lookup{}, err
		}
		if sealed {
			return Lookup{}, fmt.Errorf("cache: lookup: the requests and the responses of %q: %w", p.repository, head.ErrSealed)
		}
		names = append(names, p.repository)
	}
	found.Reasons = append(found.Reasons, "Of "+strings.Join(quotedAll(names), ", ")+", nobody knows which requests belong there.")
	return found, nil
}

// isSealed reports whether the first response of a table is sealed by a layer that the cache does not have. What the store
// remembers of the table is, too, then.
func isSealed(ctx context.Context, t *exchange.Table) (bool, error) {
	for e, err := range t.Entries(ctx, driver.Selection{Parts: driver.Meta}) {
		return head.IsSealed(e.Header), err
	}
	return false, nil
}

// caching tells which repositories have responses to requests of a method, nil for all.
func caching(ctx context.Context, method string) func(*place) bool {
	if method == http.MethodGet || method == http.MethodHead {
		return nil
	}
	return func(p *place) bool {
		rules, err := p.table.Rules(ctx)
		return err == nil && p.table.CachesMethod(method, rules)
	}
}

// in finds what a table has for the key.
func (l *lookup) in(ctx context.Context, found Lookup, p *place, t *exchange.Table, key driver.Key, asked exchange.Asked) (Lookup, error) {
	e, ok, fault, err := t.Peek(ctx, key)
	if err != nil {
		return Lookup{}, err
	}
	if ok && fault == nil {
		told, err := t.Explain(ctx, e, asked)
		if err != nil {
			return Lookup{}, err
		}
		found.Found, found.Explanation = true, explanation(told)
		found.Stored = selection{ctx: ctx, table: t}.stored(e)
		found.Reasons = slices.Clone(told.Reasons)
		return found, nil
	}
	told, err := t.Unstored(ctx, key, asked)
	if err != nil {
		return Lookup{}, err
	}
	reason := "Nothing is stored for its key."
	if fault != nil {
		reason = "What is stored for its key is damaged, and counts as a miss: " + fault.Error() + "."
	}
	found.miss(explanation(told), reason)
	if who := t.IdentityInWords(key); who != "" {
		found.Reasons = append(found.Reasons, "It was looked for among the responses of "+who+" alone.")
	}
	if asked.Request.Header != nil && rfc9111.ParseRequestDirectives(asked.Request.Header).NoStore && t.Controls() {
		found.Reasons = append(found.Reasons, "The request says no-store: its response is not stored.")
	}
	return l.around(ctx, found, p, t, key)
}

// elsewhere tells of a request whose origin has no table.
func (l *lookup) elsewhere(ctx context.Context, found Lookup, p *place, key driver.Key, asked exchange.Asked) (Lookup, error) {
	told, err := p.table.Unstored(ctx, key, asked)
	if err != nil {
		return Lookup{}, err
	}
	var origins []string
	for _, t := range p.listed {
		origins = append(origins, t.Origin)
	}
	found.miss(explanation(told), fmt.Sprintf("Nothing is stored of the origin %s: there are responses of %s.",
		weborigin.OfRequest(asked.Request), strings.Join(origins, ", ")))
	return l.around(ctx, found, p, nil, key)
}

// miss tells that nothing is found.
func (f *Lookup) miss(e Explanation, reason string) {
	f.Reasons = []string{reason}
	if e.Verdict == Unanswered {
		f.Reasons = append(f.Reasons, exchange.NotAsked)
	}
	e.Reasons = slices.Clone(f.Reasons)
	f.Explanation = e
}

// columnsOf are the values of a key with their columns.
func columnsOf(columns []driver.Column, key driver.Key) (all []KeyColumn) {
	for i, v := range key {
		all = append(all, KeyColumn{columns[i].Name, v})
	}
	return all
}

// seen is a request as an endpoint sees it: without the path of a gateway.
type seen struct {
	req    *http.Request
	origin string // with that path; empty: any
}

// place finds the repository of a request and its key there, nil where there is none. Some, if it is
// not nil, tells which repositories may be it.
func (l *lookup) place(req *http.Request, some func(*place) bool) (*place, seen, driver.Key, error) {
	copied := l.copied(req)
	router := l.contents.cache.opts.Router
	if router != nil {
		name := router(copied)
		if name != "" && l.contents.cache.member(name) == nil {
			return nil, seen{}, nil, &exchange.MisroutedError{Err: ErrNotFound}
		}
		at := slices.IndexFunc(l.known, func(p *place) bool { return p.repository == name && !p.table.Undeclared() })
		if at >= 0 && (some == nil || some(l.known[at])) {
			p := l.known[at]
			key, ok, err := p.table.Match(copied)
			if ok || err != nil {
				return p, seen{copied, weborigin.OfRequest(copied)}, key, err
			}
		}
	}
	var failed []error
	for _, p := range l.known {
		if router != nil && !p.table.Undeclared() || some != nil && !some(p) {
			continue
		}
		for _, s := range p.views(copied) {
			key, ok, err := p.table.Match(s.req)
			if ok && err == nil {
				return p, s, key, nil
			}
			failed = append(failed, err)
		}
	}
	return nil, seen{}, nil, errors.Join(failed...)
}

// views are a request as it is, and behind those gateways whose origins the store has.
func (p *place) views(req *http.Request) []seen {
	origin := weborigin.OfRequest(req)
	views := []seen{{req, origin}}
	for _, t := range p.listed {
		b, err := parseBase(t.Origin)
		if err != nil || b.url.Path == "" || origin == "" || b.withoutPath().url.String() != origin {
			continue
		}
		path, ok := strings.CutPrefix(req.URL.EscapedPath(), strings.TrimSuffix(b.url.EscapedPath(), "/"))
		if !ok || !strings.HasPrefix(path, "/") {
			continue
		}
		behind, u := *req, *req.URL
		if unescaped, err := u.Parse(path); err == nil {
			u.Path, u.RawPath = unescaped.Path, unescaped.RawPath
			behind.URL = &u
			views = append(views, seen{&behind, t.Origin})
		}
	}
	return views
}

// at is the index of the table for a request, negative where there is none.
func (p *place) at(s seen) int {
	if s.origin == "" || p.table.HasAllOrigins() {
		return 0
	}
	for i, t := range p.listed {
		if t.Origin == "" || t.Origin == s.origin {
			return i
		}
	}
	return -1
}

var errUnread = errors.New("the request's body can be read only once, and is left alone")

// copied is a request that endpoints may look at: without a range, and with a body that can be read
// again, or not at all.
func (l *lookup) copied(req *http.Request) *http.Request {
	copied := *req
	copied.Header = req.Header.Clone()
	copied.Header.Del("Range")
	copied.Header.Del("If-Range")
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		copied.GetBody = func() (io.ReadCloser, error) { return nil, errUnread }
	}
	return &copied
}

// unmatched is the sentence about a request that belongs nowhere.
func (l *lookup) unmatched() string {
	if len(l.known) == 0 {
		return "No endpoint is known: the request bypasses the cache."
	}
	var texts []string
	for _, p := range l.known[:min(len(l.known), 5)] {
		texts = append(texts, fmt.Sprintf("%q", endpoint.Text(p.table.Endpoint)))
	}
	if len(l.known) > len(texts) {
		texts = append(texts, "…")
	}
	return "The request belongs to no endpoint, and bypasses the cache. Those that are known are " + strings.Join(texts, ", ") + "."
}

// almost are sentences about what keeps a request from belonging to an endpoint, if it is one
// thing.
func (l *lookup) almost(ctx context.Context, req *http.Request) (reasons []string) {
	matches := func(changed *http.Request) (text string, ok bool) {
		p, _, _, err := l.place(changed, caching(ctx, cmp.Or(changed.Method, http.MethodGet)))
		if err != nil || p == nil {
			return "", false
		}
		return fmt.Sprintf("%q", endpoint.Text(p.table.Endpoint)), true
	}
	for i, pair := range strings.Split(req.URL.RawQuery, "&") {
		if pair == "" || i >= mostParameters {
			continue
		}
		rest := slices.Delete(strings.Split(req.URL.RawQuery, "&"), i, i+1)
		changed, u := *req, *req.URL
		u.RawQuery, changed.URL = strings.Join(rest, "&"), &u
		if text, ok := matches(&changed); ok {
			name, _, _ := strings.Cut(pair, "=")
			reasons = append(reasons, fmt.Sprintf("Without the parameter %q, it would belong to %s.", name, text))
		}
	}
	if method := cmp.Or(req.Method, http.MethodGet); method != http.MethodGet {
		changed := *req
		changed.Method, changed.Body, changed.GetBody = http.MethodGet, nil, nil
		if text, ok := matches(&changed); ok {
			reasons = append(reasons, "As a GET, it would belong to "+text+".")
		}
	}
	return reasons
}

// mostParameters is how many parameters are left out, each for itself.
const mostParameters = 20

func quotedAll(texts []string) (all []string) {
	for _, text := range texts {
		all = append(all, fmt.Sprintf("%q", text))
	}
	return all
}

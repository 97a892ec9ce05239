package gen

import (
	"slices"
	"strconv"
	"strings"
)

// cacheFile has what puts the declarations into a cache.
func (p *plan) cacheFile() *source {
	s := p.newSource()
	s.create()
	s.fetcher()
	s.client()
	return s
}

func (s *source) create() {
	s.comments("Create adds the repositories of all operations to a cache, and declares what the API's writes make old. After an "+
		"error, those that were added before it stay in the cache.",
		"A repository is there by its types as well: cache.Repository returns it, and [Fetcher] typed calls.")
	s.printf("context cache", "func Create(ctx context.Context, c *cache.ResponseCache) error {\n")
	for _, e := range s.plan.endpoints {
		s.used["errors"] = true
		s.printf("", "%scache.Declare(ctx, c, %s),\n", first(e == s.plan.endpoints[0], "\terr := errors.Join(\n\t\t", "\t\t"), e.name)
	}
	switch {
	case len(s.plan.endpoints) == 0:
		s.printf("", "\treturn nil\n}\n\n")
		return
	case len(s.plan.writes) == 0:
		s.printf("", "\t)\n\treturn err\n}\n\n")
		return
	}
	s.printf("", "\t)\n\tif err != nil {\n\t\treturn err\n\t}\n\treturn errors.Join(\n")
	for _, w := range s.plan.writes {
		s.printf("", "\t\taddWrite(c, %s),\n", w.name)
	}
	s.printf("cache settings", `	)
}

func addWrite[K comparable](c *cache.ResponseCache, w settings.WriteSettings[K]) error {
	_, err := cache.AddWrite(c, w)
	return err
}

`)
}

func first(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}

func (s *source) fetcher() {
	if len(s.plan.endpoints) == 0 {
		return
	}
	elsewhere := ""
	if s.plan.hasOwnServers() {
		elsewhere = " That the client is for another server than the declaration's BaseURL is an error."
	}
	s.comment("", "Fetcher returns typed calls for one of the declarations, such as ["+s.plan.endpoints[0].name+"], after [Create]. They are "+
		"for programs without another client of the API, and for prefetch. opts may be nil; the client stays the caller's to close."+elsewhere)
	s.printf("cache fetch settings", `func Fetcher[K comparable, V any](c *cache.ResponseCache, client *fetch.Client, s settings.RepositorySettings[K, V], opts *fetch.FetcherOptions) (*fetch.Fetcher[K, V], error) {
`)
	if elsewhere != "" {
		s.checkServer()
	}
	s.printf("", `	repo, err := cache.Repository[K, V](c, s.Name)
	if err != nil {
		return nil, err
	}
	return fetch.New(client, repo, opts)
}

`)
	if elsewhere != "" {
		s.originOf()
	}
}

// hasOwnServers tells whether some declaration is for another server than the API's.
func (p *plan) hasOwnServers() bool {
	return slices.ContainsFunc(p.endpoints, func(e *endpoint) bool { return e.baseURL() != "" })
}

// checkServer writes that a client of one server does not ask for what another one answers.
func (s *source) checkServer() {
	s.printf("fmt url", `	if own, err := url.Parse(s.BaseURL); err == nil && client != nil && own.Host != "" {
		// Its path would be asked for at the client's server.
		if base := client.Base(); base != nil && originOf(base) != originOf(own) {
			return nil, fmt.Errorf("%%s: the client is for %%s, and its server is %%s: set BaseURL of the settings if they are the same", s.Name, base.Host, s.BaseURL)
		}
	}
`)
}

// originOf writes what tells whether two URLs are of one server.
func (s *source) originOf() {
	s.comment("", "originOf is the scheme, the host and the port of a URL, in the one form that all their spellings have.")
	s.printf("cmp strings url", `func originOf(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return strings.ToLower(u.Scheme + "://" + strings.TrimSuffix(u.Hostname(), ".") + ":" + port)
}

`)
}

func (s *source) client() {
	s.comments("Client is an HTTP client that answers from a cache what it can, and sends the rest as base does, which may be nil and " +
		"is not changed. It is for all that take an HTTP client:")
	s.printf("", `//
//   - the clients of oapi-codegen: WithHTTPClient(Client(c, nil))
//   - those of ogen: WithClient(Client(c, nil))
//   - those of kiota: the last parameter of NewNetHttpRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient,
//     with the client of its GetDefaultClient as base
`)
	s.printf("http cache transport", `func Client(c *cache.ResponseCache, base *http.Client) *http.Client {
	if base == nil {
		base = http.DefaultClient
	}
	client := *base
	client.Transport = Transport(c, base.Transport)
	return &client
}

`)
	s.comment("", "Transport answers from a cache what it can, and sends the rest with base, which may be nil.")
	s.printf("http cache transport", `func Transport(c *cache.ResponseCache, base http.RoundTripper) *transport.Transport {
	return transport.New(c, &transport.Options{Base: base})
}

`)
}

// helpers writes the functions that declarations use.
func (s *source) helpers() {
	if s.plan.needsMember {
		s.comment("", "textOf returns the text of a member of a JSON object, empty where it has none.")
		s.printf("json", `func textOf(member string) func(json.RawMessage) string {
	return func(body json.RawMessage) (text string) {
		var members map[string]json.RawMessage
		if json.Unmarshal(body, &members) != nil || json.Unmarshal(members[member], &text) != nil {
			return ""
		}
		return text
	}
}

`)
	}
	if s.plan.needsWhose {
		s.printf("fmt http strings request", "")
		s.comment("", "whose tells whose request one is: a digest of all its credentials, of which some are in these headers and parameters.")
		s.body.WriteString(`func whose(headers, params []string) func(*http.Request) string {
	return func(r *http.Request) string {
		var all []string
		for _, name := range append([]string{"Authorization", "Cookie"}, headers...) {
			for _, value := range r.Header.Values(name) {
				all = append(all, fmt.Sprintf("%s=%q", name, value))
			}
		}
		query := r.URL.Query()
		for _, name := range params {
			for _, value := range query[name] {
				all = append(all, fmt.Sprintf("%s=%q", name, value))
			}
		}
		if len(all) == 0 {
			return ""
		}
		return request.HeaderHash(strings.Join(all, "\n"))
	}
}

`)
	}
}

// write writes the declaration of a write.
func (s *source) write(w *write) {
	key := w.name + "Key"
	path := oneLine(w.of[0].path)
	s.comment("", key+" is what a write to "+path+" is about.")
	if len(w.fields) == 0 {
		s.printf("", "type %s struct{}\n\n", key)
	} else {
		s.printf("", "type %s struct {\n", key)
		for _, f := range w.fields {
			s.printf("", "\t%s %s %s\n", f.name, s.typ(f.typeName()), quoteTag(f.tag()))
		}
		s.printf("", "}\n\n")
	}
	var what []string
	for _, o := range w.of {
		if summary := paragraph(o.Summary); summary != "" {
			what = append(what, o.method+": "+sentence(summary))
		}
	}
	s.comments(w.name+" has the writes to "+path+", and what they make old.", strings.Join(what, " "))
	s.printf("settings", "var %s = settings.WriteSettings[%s]{\n\tPattern: %s,\n", w.name, key, strconv.Quote(strings.Join(w.methods, "|")+" "+w.template.String()))
	if len(w.keys) > 0 {
		s.printf("", "\tInvalidates: []settings.Invalidation[%s]{\n", key)
		for _, keys := range w.keys {
			var fields []string
			for _, pair := range keys.fields {
				fields = append(fields, pair[0]+": k."+pair[1])
			}
			to := keys.to.name
			param := "k"
			if len(fields) == 0 {
				param = "_"
			}
			s.printf("", "\t\tsettings.InvalidateKeys(%[1]s.Name, func(%[4]s %[2]s) []%[1]sKey { return []%[1]sKey{{%[3]s}} }),\n", to, key, strings.Join(fields, ", "), param)
		}
		s.printf("", "\t},\n")
	}
	if len(w.all) > 0 {
		names := make([]string, len(w.all))
		for i, e := range w.all {
			names[i] = e.name + ".Name"
		}
		s.printf("", "\tInvalidatesAll: []string{%s},\n", strings.Join(names, ", "))
	}
	if len(w.tags) > 0 {
		var tags []string
		for _, t := range w.tags {
			tags = append(tags, t.expression)
			if strings.Contains(t.expression, "fmt.Sprint(") {
				s.used["fmt"] = true
			}
		}
		s.printf("", "\tInvalidatesTags: func(k %s) []string { return []string{%s} },\n", key, strings.Join(tags, ", "))
	}
	s.printf("", "}\n\n")
}

package inspector

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/repository"
)

// search is the form of the list, as it came.
type search struct {
	Repository string        `json:"repository,omitempty"`
	Keys       []searchedKey `json:"keys,omitempty"`
	Name       string        `json:"name,omitempty"` // ends in "*": a prefix
	Status     string        `json:"status,omitempty"`
	State      string        `json:"state,omitempty"`
	Younger    string        `json:"younger,omitempty"`
	Older      string        `json:"older,omitempty"`
	Unused     string        `json:"unused,omitempty"`
	Order      string        `json:"order"`
	Descending bool          `json:"descending"`
	Limit      int           `json:"limit"`
}

// searchedKey is a field for a column of keys.
type searchedKey struct {
	Column string `json:"column"`
	Value  string `json:"value"` // ends in "*": a prefix
}

// listing is the page of stored responses.
type listing struct {
	Search  search     `json:"search"`
	Entries []entryRow `json:"entries"`
	Next    string     `json:"next,omitempty"` // the address of the next page
	First   string     `json:"-"`              // that of the first, empty on it
	Notice  string     `json:"-"`

	NextForm *nextForm `json:"-"` // instead of a link that is too long

	Repositories []string `json:"-"`
	Orders       []order  `json:"-"`
	One          bool     `json:"-"` // all are of one repository
	Narrowed     bool     `json:"-"` // more than a repository is asked for
}

// nextForm posts where the next page begins: long keys are in that, and a place in each table.
type nextForm struct{ Action, After string }

// entryRow is a stored response in a list.
type entryRow struct {
	Repository string  `json:"repository"`
	Table      string  `json:"table"`
	Key        string  `json:"key"`
	Name       string  `json:"name,omitempty"`
	Status     int     `json:"status"`
	Cached     *moment `json:"cached,omitempty"`
	Expires    *moment `json:"expires,omitempty"` // nil: never
	Expired    bool    `json:"expired"`
	Used       *moment `json:"used,omitempty"`
	Size       int64   `json:"size"`
	Link       string  `json:"entry"`
}

// order is an order of the list, and how to get it.
type order struct {
	Name, Label string
	Link        string
	Sorted      string // "ascending" or "descending" where it is the present one
}

// sorting is an order that a list can have.
type sorting struct {
	name, label string
	order       cache.Order
	falling     bool // what one wants first are the greatest
}

var sortings = []sorting{
	{"key", "Key", cache.ByKey, false},
	{"name", "Name", cache.ByName, false},
	{"cached", "Cached", cache.ByCached, true},
	{"expires", "Expires", cache.ByExpiry, false},
	{"used", "Used", cache.ByUsed, true},
	{"size", "Size", cache.BySize, true},
}

const (
	defaultLimit  = 100
	mostKeyFields = 12 // of all repositories together: with more, a form has those of one repository
)

func (i *Inspector) list(_ http.ResponseWriter, r *http.Request) (any, error) {
	tables, err := i.tables(r.Context())
	if err != nil {
		return nil, err
	}
	if err := parseForm(r); err != nil {
		return nil, err
	}
	form := r.Form
	s, err := searchOf(form, tables)
	if err != nil {
		return nil, err
	}
	now := i.opts.Now()
	l, err := s.listing(tables, now)
	if err != nil {
		return nil, err
	}
	l.After = form.Get("after")
	found, err := i.listed(r.Context(), s, l)
	if err != nil {
		return nil, err
	}
	out := &listing{
		Search: s, Repositories: repositoryNames(tables), Entries: []entryRow{},
		One: s.Repository != "", Narrowed: s.narrowed(),
	}
	out.Notice = notices[form.Get("notice")]
	for _, e := range found.Entries {
		out.Entries = append(out.Entries, entryRowOf(e, now))
	}
	if found.Next != "" {
		out.Next = s.address("after", found.Next)
		if len(out.Next) > longAddress {
			out.NextForm = &nextForm{s.address(), found.Next}
		}
	}
	if l.After != "" {
		out.First = s.address()
	}
	out.Orders = s.orders()
	return &page{template: "list", title: s.title(), data: out}, nil
}

func (i *Inspector) listed(ctx context.Context, s search, l cache.Listing) (cache.Page, error) {
	contents := i.cache.Contents()
	if s.Repository != "" {
		contents = i.cache.Contents(s.Repository)
	}
	found, err := contents.List(ctx, l)
	if err != nil && ctx.Err() == nil && l.After != "" {
		return found, badRequest("This page of the list is not to be had: %s", explained(err))
	}
	return found, err
}

func repositoryNames(tables []cache.Table) []string {
	var names []string
	for _, t := range tables {
		names = append(names, t.Repository)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// searchOf reads a form. Its fields for keys are those of the columns that the tables have.
func searchOf(form url.Values, tables []cache.Table) (search, error) {
	s := search{
		Repository: form.Get("repository"), Name: form.Get("name"), Status: form.Get("status"), State: form.Get("state"),
		Younger: form.Get("younger"), Older: form.Get("older"), Unused: form.Get("unused"),
		Order: form.Get("order"), Limit: defaultLimit,
	}
	if s.Order == "" {
		s.Order = "key"
	}
	s.Descending = form.Get("descending") == "1"
	if text := form.Get("limit"); text != "" {
		var err error
		if s.Limit, err = strconv.Atoi(text); err != nil || s.Limit < 1 || s.Limit > 1000 {
			return s, badRequest("A page has 1 to 1000 responses, not %s.", printable(text, 20))
		}
	}
	for _, t := range tables {
		if s.Repository != "" && t.Repository != s.Repository {
			continue
		}
		for _, c := range t.Key {
			if !slices.ContainsFunc(s.Keys, func(k searchedKey) bool { return k.Column == c.Name }) {
				s.Keys = append(s.Keys, searchedKey{c.Name, form.Get("key." + c.Name)})
			}
		}
	}
	if s.Repository == "" && len(s.Keys) > mostKeyFields {
		s.Keys = slices.DeleteFunc(s.Keys, func(k searchedKey) bool { return k.Value == "" })
	}
	return s, nil
}

// listing is what the form asks for.
func (s search) listing(tables []cache.Table, now time.Time) (l cache.Listing, err error) {
	at := slices.IndexFunc(sortings, func(o sorting) bool { return o.name == s.Order })
	if at < 0 {
		return l, badRequest("There is no order %q.", printable(s.Order, 40))
	}
	l.Order, l.Descending, l.Limit = sortings[at].order, s.Descending, s.Limit
	switch s.State {
	case "", "all":
	case "live":
		l.State = repository.Live
	case "expired":
		l.State = repository.Expired
	default:
		return l, badRequest("There is no state %q: it is live or expired.", printable(s.State, 40))
	}
	if name, prefix := pattern(s.Name); prefix {
		l.NamePrefix = name
	} else {
		l.Name = name
	}
	if l.MinStatus, l.MaxStatus, err = statuses(s.Status); err != nil {
		return l, err
	}
	for _, age := range []struct {
		text string
		at   *time.Time
	}{{s.Younger, &l.CachedFrom}, {s.Older, &l.CachedBefore}, {s.Unused, &l.UsedBefore}} {
		if age.text != "" {
			d, err := human.ParseDuration(age.text)
			if err != nil {
				return l, badRequest("An age is written as 90s, 15m, 2h or 7d, not %q.", printable(age.text, 40))
			}
			*age.at = now.Add(-d)
		}
	}
	return l, s.keys(&l.Query, tables)
}

// keys adds what the form asks of keys.
func (s search) keys(q *cache.Query, tables []cache.Table) error {
	q.Key, q.KeyPrefix = make(map[string]any), make(map[string]string)
	for _, k := range s.Keys {
		text, prefix := pattern(k.Value)
		switch {
		case text == "":
		case prefix && !s.hasTexts(k.Column, tables):
			return badRequest("The key column %s has no texts, of which a star could find the beginning.", printable(k.Column, 100))
		case prefix:
			q.KeyPrefix[k.Column] = text
		default:
			value, err := s.value(k.Column, text, tables)
			if err != nil {
				return err
			}
			q.Key[k.Column] = value
		}
	}
	return nil
}

// hasTexts reports whether a column of that name has texts.
func (s search) hasTexts(column string, tables []cache.Table) bool {
	return slices.ContainsFunc(tables, func(t cache.Table) bool {
		return (s.Repository == "" || t.Repository == s.Repository) &&
			slices.ContainsFunc(t.Key, func(c driver.Column) bool { return c.Name == column && c.Kind == driver.String })
	})
}

// value is a text as the columns of that name have it: as a text where one of them has texts.
func (s search) value(column, text string, tables []cache.Table) (value any, err error) {
	for _, t := range tables {
		for _, c := range t.Key {
			if c.Name != column || s.Repository != "" && t.Repository != s.Repository {
				continue
			}
			if c.Kind == driver.String {
				return text, nil
			}
			v, failed := parseValue(c, text)
			if failed == nil {
				value = v
			} else {
				err = failed
			}
		}
	}
	if value != nil {
		return value, nil
	}
	return nil, err
}

// parseValue is a value of a key column from its text.
func parseValue(c driver.Column, text string) (any, error) {
	switch c.Kind {
	case driver.Int:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		return nil, badRequest("The key column %s has whole numbers, not %q.", printable(c.Name, 100), printable(text, 40))
	case driver.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b, nil
		}
		return nil, badRequest("The key column %s is true or false, not %q.", printable(c.Name, 100), printable(text, 40))
	default:
		return text, nil
	}
}

// pattern splits what a field asks for: "Har*" is a prefix, "Har\*" the text with the star.
func pattern(field string) (text string, prefix bool) {
	if text, ok := strings.CutSuffix(field, `\*`); ok {
		return text + "*", false
	}
	return strings.CutSuffix(field, "*")
}

// statuses reads "200", "4xx" or "404-410".
func statuses(text string) (least, greatest int, err error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, 0, nil
	}
	if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok && len(class) == 1 && class[0] >= '1' && class[0] <= '9' {
		n := int(class[0]-'0') * 100
		return n, n + 99, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	least, err = strconv.Atoi(strings.TrimSpace(from))
	if err == nil {
		greatest, err = strconv.Atoi(strings.TrimSpace(to))
	}
	if err != nil || least < 1 || greatest < least {
		return 0, 0, badRequest("A status is written as 200, 4xx or 404-410, not %q.", printable(text, 40))
	}
	return least, greatest, nil
}

// address is that of the list for the search, with more parameters.
func (s search) address(more ...string) string {
	q := url.Values{}
	for _, p := range [][2]string{
		{"repository", s.Repository}, {"name", s.Name}, {"status", s.Status}, {"state", s.State},
		{"younger", s.Younger}, {"older", s.Older}, {"unused", s.Unused},
	} {
		if p[1] != "" {
			q.Set(p[0], p[1])
		}
	}
	for _, k := range s.Keys {
		if k.Value != "" {
			q.Set("key."+k.Column, k.Value)
		}
	}
	if s.Order != "key" {
		q.Set("order", s.Order)
	}
	if s.Descending {
		q.Set("descending", "1")
	}
	if s.Limit != defaultLimit {
		q.Set("limit", strconv.Itoa(s.Limit))
	}
	for at := 0; at+1 < len(more); at += 2 {
		q.Set(more[at], more[at+1])
	}
	return "list?" + q.Encode()
}

// orders are those of the form, and of the columns of the table.
func (s search) orders() (all []order) {
	for _, o := range sortings {
		turned := s
		turned.Order, turned.Descending = o.name, o.falling
		shown := order{Name: o.name, Label: o.label}
		if o.name == s.Order {
			turned.Descending = !s.Descending
			shown.Sorted = "ascending"
			if s.Descending {
				shown.Sorted = "descending"
			}
		}
		shown.Link = turned.address()
		all = append(all, shown)
	}
	return all
}

// narrowed reports whether the search asks for more than a repository.
func (s search) narrowed() bool {
	bare := search{Repository: s.Repository, Order: s.Order, Descending: s.Descending, Limit: s.Limit}
	return s.address() != bare.address()
}

func (s search) title() string {
	if s.Repository != "" {
		return fmt.Sprintf("Responses of %s", printable(s.Repository, 100))
	}
	return "Responses"
}

func entryRowOf(e cache.Stored, now time.Time) entryRow {
	return entryRow{
		Repository: printable(e.Repository, 100), Table: printable(e.Table, 200), Key: keyText(e.Key, 160), Name: printable(e.Name, 160), Status: e.Status,
		Cached: momentOf(e.CachedAt, now), Expires: momentOf(e.ExpiresAt, now),
		Expired: !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now),
		Used:    momentOf(e.UsedAt, now), Size: e.Size, Link: "entry?" + addressOf(e),
	}
}

// keyText is a key in a line, each column within limit.
func keyText(key []cache.KeyColumn, limit int) string {
	var parts []string
	for _, c := range key {
		parts = append(parts, valueText(c.Value, limit))
	}
	return strings.Join(parts, " / ")
}

func valueText(value any, limit int) string {
	text := printable(fmt.Sprint(value), limit)
	if text == "" {
		return "(empty)"
	}
	return text
}

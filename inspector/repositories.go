package inspector

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/cache"
)

// overview is the page of repositories.
type overview struct {
	Tables   []tableRow `json:"tables"`
	Live     int        `json:"live"`
	Expired  int        `json:"expired"`
	Bytes    int64      `json:"bytes"`
	Counted  *moment    `json:"counted,omitempty"` // nil: the numbers are not known yet
	Counting bool       `json:"counting"`
	Error    string     `json:"error,omitempty"`
}

// tableRow is what a table holds.
type tableRow struct {
	Table      string  `json:"table"`
	Repository string  `json:"repository"`
	Origin     string  `json:"origin,omitempty"`
	Key        string  `json:"key"`
	Version    int     `json:"version,omitempty"`
	Endpoint   string  `json:"endpoint,omitempty"`
	InUse      bool    `json:"inUse"`
	Entries    int     `json:"entries"`
	Live       int     `json:"live"`
	Expired    int     `json:"expired"`
	Absent     int     `json:"absent"`
	Bytes      int64   `json:"bytes"`
	Oldest     *moment `json:"oldest,omitempty"`
	Newest     *moment `json:"newest,omitempty"`

	Link        string `json:"-"`
	ExpiredLink string `json:"-"`
	AbsentLink  string `json:"-"`
}

func (i *Inspector) repositories(_ http.ResponseWriter, r *http.Request) (any, error) {
	known := i.figures.get(r.Context())
	now := i.opts.Now()
	o := overview{Tables: []tableRow{}, Counting: known.counting, Counted: momentOf(known.at, time.Now())}
	if known.err != nil {
		o.Error = explained(known.err)
	}
	summaries := known.tables
	if known.at.IsZero() {
		var err error
		if summaries, err = i.uncounted(r.Context()); err != nil {
			return nil, err
		}
	}
	for _, s := range summaries {
		o.Tables = append(o.Tables, rowOf(s, now))
		o.Live += s.Live
		o.Expired += s.Expired
		o.Bytes += s.Bytes
	}
	return &page{template: "repositories", title: "Repositories", data: o}, nil
}

// uncounted are the tables as long as nobody has counted what they hold.
func (i *Inspector) uncounted(ctx context.Context) ([]cache.Summary, error) {
	tables, err := i.tables(ctx)
	if err != nil {
		return nil, err
	}
	var all []cache.Summary
	for _, t := range tables {
		all = append(all, cache.Summary{Table: t})
	}
	return all, nil
}

// tables are those that hold responses.
func (i *Inspector) tables(ctx context.Context) ([]cache.Table, error) {
	all, err := i.cache.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var shown []cache.Table
	for _, t := range all {
		if t.Repository != "" && !t.Left {
			shown = append(shown, t)
		}
	}
	return shown, nil
}

func rowOf(s cache.Summary, now time.Time) tableRow {
	row := tableRow{
		Table: printable(s.Name, 200), Repository: printable(s.Repository, 200), Origin: printable(s.Origin, 200), Key: columnNames(s.Table), InUse: s.InUse,
		Entries: s.Live + s.Expired, Live: s.Live, Expired: s.Expired, Absent: s.Absent, Bytes: s.Bytes,
		Oldest: momentOf(s.Oldest, now), Newest: momentOf(s.Newest, now),
	}
	if d := s.Declaration; d != nil {
		row.Version, row.Endpoint = d.Version, printable(d.Endpoint, 300)
	}
	q := url.Values{"repository": {s.Repository}}
	row.Link = "list?" + q.Encode()
	q.Set("state", "expired")
	row.ExpiredLink = "list?" + q.Encode()
	q.Del("state")
	q.Set("status", strconv.Itoa(http.StatusNotFound)+"-"+strconv.Itoa(http.StatusGone))
	row.AbsentLink = "list?" + q.Encode()
	return row
}

func columnNames(t cache.Table) string {
	names := ""
	for i, c := range t.Key {
		if i > 0 {
			names += " / "
		}
		names += printable(c.Name, 100)
	}
	return names
}

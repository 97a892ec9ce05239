package inspector

import (
	"cmp"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/human"
)

// live is the page of what the cache does.
type live struct {
	Recorded     bool              `json:"recorded"`
	Window       string            `json:"window,omitempty"`
	Since        *moment           `json:"since,omitempty"`
	Figures      []figure          `json:"figures,omitempty"`
	Plots        []*plot           `json:"plots,omitempty"`
	Repositories []repositoryTotal `json:"repositories,omitempty"`
	Runs         []runRow          `json:"prefetching"`
	Ended        []runRow          `json:"prefetched,omitempty"`
	Totals       []total           `json:"totals"`

	Windows []windowLink `json:"-"`
}

// figure is a number that stands out.
type figure struct {
	Label string `json:"label"`
	Value string `json:"value"`
}

// total is one of cache.Stats.
type total struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// windowLink leads to the page with another window.
type windowLink struct {
	Label, Link string
	Here        bool
}

// repositoryTotal is what a repository did.
type repositoryTotal struct {
	Repository string  `json:"repository"`
	Answers    int64   `json:"answers"`
	HitRate    float64 `json:"hitRate"`
	Failed     int64   `json:"failed"`
	Requests   int64   `json:"requests"`
	Received   int64   `json:"received"`
}

// runRow is a run of package prefetch.
type runRow struct {
	Repository string  `json:"repository"`
	Began      *moment `json:"began"`
	Done       int     `json:"done"`
	Total      int     `json:"total,omitempty"` // 0: unknown
	Cached     int     `json:"cached"`
	Fetched    int     `json:"fetched"`
	Failed     int     `json:"failed"`
	Requests   int     `json:"requests"`
	Rate       float64 `json:"rate"` // keys in a second
	Left       string  `json:"left,omitempty"`
	Elapsed    string  `json:"elapsed"`
}

func (i *Inspector) live(_ http.ResponseWriter, r *http.Request) (any, error) {
	l := &live{Totals: totals(i.cache.Stats()), Runs: []runRow{}}
	if i.opts.Recorder != nil {
		w, err := windowOf(r.URL.Query().Get("window"))
		if err != nil {
			return nil, err
		}
		l.record(i.opts.Recorder, w)
	}
	return &page{template: "live", title: "Live", data: l}, nil
}

func windowOf(name string) (window, error) {
	if name == "" {
		return windows[0], nil
	}
	at := slices.IndexFunc(windows, func(w window) bool { return w.name == name })
	if at < 0 {
		return window{}, badRequest("There is no window %q: it is 10m, 1h or 24h.", printable(name, 20))
	}
	return windows[at], nil
}

func (l *live) record(r *Recorder, w window) {
	known := r.recorded()
	points, from, length := r.points(w)
	now := r.clock()
	l.Recorded, l.Window, l.Since = true, w.name, momentOf(known.began, now)
	for _, other := range windows {
		l.Windows = append(l.Windows, windowLink{other.label, "live?window=" + other.name, other == w})
	}
	var sum step
	for n := range points {
		sum.add(&points[n])
	}
	l.Figures = figuresOf(&sum, known)
	l.Plots = plotsOf(points, from, length)
	for _, name := range slices.Sorted(maps.Keys(known.repositories)) {
		c := known.repositories[name]
		all, stored := answersOf(&c.answers)
		l.Repositories = append(l.Repositories, repositoryTotal{
			Repository: printable(cmp.Or(name, "(none)"), 200), Answers: all, HitRate: share(stored, all),
			Failed: c.answers[hooks.Failed], Requests: c.requests, Received: c.received,
		})
	}
	for _, going := range known.runs {
		l.Runs = append(l.Runs, runRowOf(going, now))
	}
	for _, ended := range known.ended {
		l.Ended = append(l.Ended, runRowOf(ended, now))
	}
}

// answersOf is how many answers there were, and how many the store gave without the origin.
func answersOf(n *[hooks.Results]int64) (all, stored int64) {
	stored = n[hooks.Fresh] + n[hooks.Stale] + n[hooks.Absent]
	return stored + n[hooks.Revalidated] + n[hooks.Coalesced] + n[hooks.Fetched] + n[hooks.Failed], stored
}

func share(part, all int64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

func figuresOf(s *step, known recorded) []figure {
	all, stored := answersOf(&s.answers)
	rate := "–"
	if all > 0 {
		rate = percent(share(stored, all))
	}
	var requests int64
	for _, n := range s.requests {
		requests += n
	}
	latency := func(h *histogram) string {
		if d := h.quantile(0.5); d > 0 {
			return human.Precise(d) + " / " + human.Precise(h.quantile(0.95))
		}
		return "–"
	}
	return []figure{
		{"hit rate", rate},
		{"answers", human.Count(all)},
		{"origin requests", human.Count(requests)},
		{"under way now", human.Count(known.active)},
		{"answer, median / 95 %", latency(&s.answerTime)},
		{"origin, median / 95 %", latency(&s.originTime)},
		{"received", human.Size(s.received)},
	}
}

func runRowOf(r run, now time.Time) runRow {
	p := r.progress
	row := runRow{
		Repository: printable(r.repository, 200), Began: momentOf(r.began, now), Done: p.Done, Total: p.Total,
		Cached: p.Cached + p.Confirmed, Fetched: p.Fetched, Failed: p.Failed, Requests: p.Requests, Rate: p.Rate,
		Elapsed: human.Precise(p.Elapsed),
	}
	if !p.Ended && p.Left >= 0 && p.Total > 0 {
		row.Left = human.Duration(p.Left)
	}
	return row
}

// totals are the counts of a cache's statistics that are not 0, and those of hits and misses.
func totals(s cache.Stats) []total {
	var all []total
	v := reflect.ValueOf(s)
	for n := range v.NumField() {
		name, count := v.Type().Field(n).Name, v.Field(n).Int()
		if count != 0 || name == "Hits" || name == "Misses" {
			all = append(all, total{name, count})
		}
	}
	return all
}

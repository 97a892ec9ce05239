package inspector

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/hooks"
	"github.com/endpointcache/endpointcache/internal/human"
)

// plot is a picture of numbers over time. Its lines have coordinates of their own, from 0 to
// plotWidth and plotHeight, which are stretched to the page's width; texts have percentages.
type plot struct {
	ID     string    `json:"id"`
	Title  string    `json:"title"`
	Unit   string    `json:"unit"`
	From   time.Time `json:"from"`
	Step   string    `json:"step"`
	Series []*series `json:"series"`

	Alt   string `json:"-"`
	Grid  []grid `json:"-"`
	Times []mark `json:"-"`
	Rows  []row  `json:"-"` // the same numbers as a table
	Empty bool   `json:"-"`

	Stacked bool `json:"-"`

	log    bool
	format func(float64) string
}

// series is one of a plot's lines or layers.
type series struct {
	Name   string    `json:"name"`
	Values []*number `json:"values"` // null: unknown

	Class string `json:"-"`
	Path  string `json:"-"`
	Last  string `json:"-"`
}

// number is a value of a series.
type number float64

// grid is a line across the plot.
type grid struct {
	Y     string // as a percentage
	Label string
}

// row is a line of a plot's table.
type row struct {
	Time  time.Time
	Cells []string
}

const (
	plotWidth  = 1000
	plotHeight = 200
)

// layer tells how to get a series from steps.
type layer struct {
	name, class string
	value       func(*step) (v float64, ok bool)
}

func plotsOf(points []step, from time.Time, length time.Duration) []*plot {
	rate := func(of func(*step) int64) func(*step) (float64, bool) {
		return func(s *step) (float64, bool) { return float64(of(s)) / s.seconds, true }
	}
	answers := func(kinds ...hooks.Result) func(*step) (float64, bool) {
		return rate(func(s *step) (sum int64) {
			for _, k := range kinds {
				sum += s.answers[k]
			}
			return sum
		})
	}
	requests := func(kind int) func(*step) (float64, bool) {
		return rate(func(s *step) int64 { return s.requests[kind] })
	}
	quantile := func(of func(*step) *histogram, share float64) func(*step) (float64, bool) {
		return func(s *step) (float64, bool) {
			d := of(s).quantile(share)
			return d.Seconds(), d > 0
		}
	}
	answerTime := func(s *step) *histogram { return &s.answerTime }
	originTime := func(s *step) *histogram { return &s.originTime }
	plots := []*plot{
		newPlot("hits", "Hit rate", "percent", points, layer{"answers from the store", "a", func(s *step) (float64, bool) {
			all, stored := answersOf(&s.answers)
			return 100 * share(stored, all), all > 0
		}}),
		newPlot("answers", "Answers", "keys a second", points,
			layer{"from the store", "a", answers(hooks.Fresh, hooks.Stale, hooks.Absent)},
			layer{"confirmed by the origin", "b", answers(hooks.Revalidated)},
			layer{"shared with another caller", "c", answers(hooks.Coalesced)},
			layer{"fetched", "d", answers(hooks.Fetched)},
			layer{"failed", "e", answers(hooks.Failed)}),
		newPlot("origin", "Origin requests", "requests a second", points,
			layer{"fetched", "d", requests(requestFetched)},
			layer{"confirmed (304)", "b", requests(requestConfirmed)},
			layer{"absent (404, 410)", "c", requests(requestAbsent)},
			layer{"failed", "e", requests(requestFailed)}),
		newPlot("latency", "Latency", "logarithmic", points,
			layer{"answer, median", "a", quantile(answerTime, 0.5)},
			layer{"answer, 95 %", "b", quantile(answerTime, 0.95)},
			layer{"origin, median", "d", quantile(originTime, 0.5)},
			layer{"origin, 95 %", "c", quantile(originTime, 0.95)}),
		newPlot("received", "Received from the origin", "bytes a second", points,
			layer{"bodies", "d", rate(func(s *step) int64 { return s.received })}),
		newPlot("size", "Stored", "bytes", points,
			layer{"size of the store", "a", func(s *step) (float64, bool) { return float64(s.size), s.sized }}),
		newPlot("entries", "Stored responses", "responses", points,
			layer{"responses", "a", func(s *step) (float64, bool) { return float64(s.entries), s.sized }}),
	}
	for _, p := range plots {
		switch p.ID {
		case "hits":
			p.format = func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) + " %" }
		case "answers", "origin":
			p.Stacked, p.format = true, shortNumber
		case "latency":
			p.log, p.format = true, func(v float64) string { return human.Precise(time.Duration(math.Round(v * 1e9))) }
		case "received", "size":
			p.format = func(v float64) string { return human.Size(int64(math.Round(v))) }
		default:
			p.format = shortNumber
		}
		p.draw(from, length)
	}
	return plots
}

func newPlot(id, title, unit string, points []step, layers ...layer) *plot {
	p := &plot{ID: id, Title: title, Unit: unit}
	for _, l := range layers {
		s := &series{Name: l.name, Class: l.class}
		for n := range points {
			v, ok := l.value(&points[n])
			if !ok {
				s.Values = append(s.Values, nil)
				continue
			}
			known := number(v)
			s.Values = append(s.Values, &known)
		}
		p.Series = append(p.Series, s)
	}
	return p
}

// shortNumber is a number of a few digits.
func shortNumber(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case v < 10_000:
		return human.Count(int64(math.Round(v)))
	case v < 999_500:
		return threeDigits(v/1e3) + " k"
	}
	return threeDigits(v/1e6) + " M"
}

func threeDigits(f float64) string {
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// draw makes the lines and the texts.
func (p *plot) draw(from time.Time, length time.Duration) {
	p.From, p.Step = from.UTC(), length.String()
	least, greatest := p.extent()
	p.Empty = greatest == 0 && (p.rates() || !p.known())
	scale := p.axis(least, greatest)
	base := make([]float64, len(p.Series[0].Values))
	for _, s := range p.Series {
		if p.Stacked {
			s.Path = s.area(base, scale)
		} else {
			s.Path = s.line(scale)
		}
		s.Last = "–"
		if v := s.Values[len(s.Values)-1]; v != nil {
			s.Last = p.format(float64(*v))
		} else if v := s.Values[len(s.Values)-2]; v != nil {
			s.Last = p.format(float64(*v))
		}
	}
	n := len(base)
	p.Times = []mark{
		{"0%", "start", human.Relative(from, from.Add(length*time.Duration(n)))},
		{"50%", "middle", human.Relative(from.Add(length*time.Duration(n)/2), from.Add(length*time.Duration(n)))},
		{"100%", "end", "now"},
	}
	p.table(from, length)
	p.describe(greatest)
}

// rates reports whether the plot is of how often something happens: then 0 is nothing.
func (p *plot) rates() bool { return strings.HasSuffix(p.Unit, " a second") }

// known reports whether there is any value.
func (p *plot) known() bool {
	return slices.ContainsFunc(p.Series, func(s *series) bool {
		return slices.ContainsFunc(s.Values, func(v *number) bool { return v != nil })
	})
}

// extent is the least positive and the greatest value.
func (p *plot) extent() (least, greatest float64) {
	sums := make([]float64, len(p.Series[0].Values))
	least = math.Inf(1)
	for _, s := range p.Series {
		for n, v := range s.Values {
			if v == nil {
				continue
			}
			value := float64(*v)
			if p.Stacked {
				sums[n] += value
				value = sums[n]
			}
			greatest = max(greatest, value)
			if value > 0 {
				least = min(least, value)
			}
		}
	}
	return least, greatest
}

// axis sets the grid, and returns how high a value is, from 0 to 1.
func (p *plot) axis(least, greatest float64) func(float64) float64 {
	switch {
	case p.Empty:
		return func(float64) float64 { return 0 }
	case p.log:
		low, high := math.Floor(math.Log10(least)), math.Ceil(math.Log10(greatest))
		if high == low {
			high++
		}
		every := math.Ceil((high - low) / 4)
		for power := low; power <= high; power += every {
			p.rule((power-low)/(high-low), math.Pow(10, power))
		}
		return func(v float64) float64 { return (math.Log10(max(v, least)) - low) / (high - low) }
	}
	top, steps := roundUp(greatest)
	if p.ID == "hits" {
		top, steps = 100, 4
	}
	if p.Unit == "bytes" || p.Unit == "bytes a second" {
		top, steps = roundUpBytes(greatest)
	}
	for n := range steps + 1 {
		p.rule(float64(n)/float64(steps), top*float64(n)/float64(steps))
	}
	return func(v float64) float64 { return v / top }
}

// rule adds a line to the grid, at a height from 0 to 1.
func (p *plot) rule(height, value float64) {
	label := strings.NewReplacer(".00 ", " ", ".0 ", " ").Replace(p.format(value))
	p.Grid = append(p.Grid, grid{position(100 - 100*height), label})
}

// roundUp is the next number that can be halved or quartered without many digits, 1 for 0.
func roundUp(v float64) (top float64, steps int) {
	if v == 0 {
		return 1, 4
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, round := range []struct {
		factor float64
		steps  int
	}{{1, 4}, {2, 4}, {3, 3}, {4, 4}, {6, 3}, {8, 4}, {10, 4}} {
		if v <= round.factor*power*(1+1e-9) {
			return round.factor * power, round.steps
		}
	}
	return 10 * power, 4
}

// roundUpBytes is roundUp in the unit that human.Size has for it.
func roundUpBytes(v float64) (top float64, steps int) {
	unit := 1.0
	for v/unit >= 999.5 {
		unit *= 1024
	}
	top, steps = roundUp(max(v/unit, 1))
	return top * unit, steps
}

func x(n, of int) float64 { return plotWidth * (float64(n) + 0.5) / float64(of) }

func y(height float64) float64 { return plotHeight * (1 - height) }

// line joins the known values; one alone is a short line.
func (s *series) line(scale func(float64) float64) string {
	var b strings.Builder
	pen := false
	for n, v := range s.Values {
		if v == nil {
			pen = false
			continue
		}
		command := byte('L')
		if !pen {
			command = 'M'
		}
		at := x(n, len(s.Values))
		fmt.Fprintf(&b, "%c%.1f %.1f", command, at, y(scale(float64(*v))))
		if !pen && (n+1 == len(s.Values) || s.Values[n+1] == nil) {
			fmt.Fprintf(&b, "h%.1f", plotWidth/float64(2*len(s.Values)))
		}
		pen = true
	}
	return b.String()
}

// area is the layer above base, which it raises.
func (s *series) area(base []float64, scale func(float64) float64) string {
	some := false
	for _, v := range s.Values {
		some = some || v != nil && *v > 0
	}
	if !some {
		return ""
	}
	var b strings.Builder
	width := plotWidth / float64(len(base))
	for n := range base {
		value := 0.0
		if s.Values[n] != nil {
			value = float64(*s.Values[n])
		}
		if value > 0 {
			low, high := y(scale(base[n])), y(scale(base[n]+value))
			fmt.Fprintf(&b, "M%.1f %.1fV%.1fH%.1fV%.1fZ", float64(n)*width, low, high, float64(n+1)*width, low)
		}
		base[n] += value
	}
	return b.String()
}

// table has the numbers, the latest first, without the steps in which there was nothing.
func (p *plot) table(from time.Time, length time.Duration) {
	for at := len(p.Series[0].Values) - 1; at >= 0; at-- {
		r := row{Time: from.Add(length * time.Duration(at)).UTC()}
		some := false
		for _, s := range p.Series {
			cell := "–"
			if v := s.Values[at]; v != nil {
				cell = p.format(float64(*v))
				some = some || *v != 0 || !p.rates()
			}
			r.Cells = append(r.Cells, cell)
		}
		if some {
			p.Rows = append(p.Rows, r)
		}
	}
}

func (p *plot) describe(greatest float64) {
	if p.Empty {
		p.Alt = p.Title + ": nothing was recorded."
		return
	}
	var parts []string
	for _, s := range p.Series {
		parts = append(parts, s.Name+" "+s.Last)
	}
	p.Alt = fmt.Sprintf("%s, %s. Last: %s. At most %s. A table with the numbers follows.", p.Title, p.Unit, strings.Join(parts, ", "), p.format(greatest))
}

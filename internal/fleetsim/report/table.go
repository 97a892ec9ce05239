package report

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/measure"
	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
	"github.com/endpointcache/endpointcache/internal/human"
)

// Table is a table in Markdown.
type Table struct {
	Name string // by which a page has it
	Text string
}

// PutInto returns the page with the table between the comments
//
//	<!-- table: NAME -->
//	<!-- end -->
func (t Table) PutInto(page string) (string, error) {
	from, to, err := t.place(page)
	if err != nil {
		return page, err
	}
	return page[:from] + t.Text + page[to:], nil
}

// In returns what the page has as the table.
func (t Table) In(page string) (string, error) {
	from, to, err := t.place(page)
	return page[from:to], err
}

func (t Table) place(page string) (from, to int, err error) {
	found := regexp.MustCompile(`(?s)<!-- table: ` + regexp.QuoteMeta(t.Name) + ` -->\n\n(.*?)\n<!-- end -->`).FindStringSubmatchIndex(page)
	if found == nil {
		return 0, 0, fmt.Errorf("there is no place for the table %q", t.Name)
	}
	return found[2], found[3], nil
}

// ScenarioTable is what came of the cases of a scenario.
func ScenarioTable(name string, rows []Row) Table {
	kills := slices.ContainsFunc(rows, func(r Row) bool { return len(r.Scenario.Kills) > 0 })
	var b strings.Builder
	head := []string{
		"processes", "settings", "requests", "duplicates", "most per second", "at once for a key",
		"wait p50", "wait p99", "longest wait", "store operations per second",
	}
	if kills {
		head = append(head, "lost callers")
	}
	line(&b, head...)
	line(&b, slices.Repeat([]string{"---"}, len(head))...)
	for _, r := range rows {
		cells := []string{
			human.Count(r.Processes), r.Combination.Name,
			human.Count(r.Requests), human.Count(r.Duplicates), human.Count(int(r.Most(r.RequestsOver))), human.Count(r.AtOnce),
			short(r.Wait(0.5)), short(r.Wait(0.99)), short(r.Wait(1)), human.Count(int(math.Round(r.OperationsPerSecond()))),
		}
		if kills {
			cells = append(cells, human.Count(r.Lost))
		}
		line(&b, cells...)
	}
	return Table{name, b.String()}
}

// CostTable is what operations on the stores cost.
func CostTable(f *measure.File) Table {
	var b strings.Builder
	line(&b, "store", "get", "get 100 entries", "save", "take a lease", "be refused it", "gets per second", "saves per second", "refusals per second", "told of a change after")
	line(&b, slices.Repeat([]string{"---"}, 10)...)
	for _, kind := range []string{"redis", "postgres", "sqlite"} {
		s := f.Stores[kind]
		if s == nil {
			continue
		}
		line(&b, kind, median(s.Get), median(s.GetMany), median(s.Save), median(s.Lease), median(s.Refused),
			most(s.Get), most(s.Save), most(s.Refused), told(s.Notify))
	}
	return Table{"costs", b.String()}
}

func median(c model.Cost) string { return short(c.Latency.Median()) }

func most(c model.Cost) string { return human.Count(int(c.PerSecond)) }

func told(notify *simulation.Distribution) string {
	switch {
	case notify == nil:
		return "never"
	case notify.Median() < time.Microsecond:
		return "at once"
	default:
		return short(notify.Median())
	}
}

func line(b *strings.Builder, cells ...string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// short is d with two digits that count.
func short(d time.Duration) string {
	unit, name := time.Microsecond, "µs"
	switch {
	case d >= time.Second-time.Millisecond/2: // it is not 1000 ms
		unit, name = time.Second, "s"
	case d >= time.Millisecond-time.Microsecond/2:
		unit, name = time.Millisecond, "ms"
	}
	value := float64(d) / float64(unit)
	if value < 10 {
		return strconv.FormatFloat(value, 'f', 1, 64) + " " + name
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + " " + name
}

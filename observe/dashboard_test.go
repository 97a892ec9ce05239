package observe_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/endpointcache/endpointcache/observe"
)

// dashboard is what the tests look at of a dashboard for Grafana.
type dashboard struct {
	UID    string  `json:"uid"`
	Inputs []input `json:"__inputs"`
	Panels []panel `json:"panels"`
	Vars   struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
}

type input struct {
	Name     string `json:"name"`
	PluginID string `json:"pluginId"`
}

type panel struct {
	ID         int        `json:"id"`
	Type       string     `json:"type"`
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	Targets    []struct {
		Expr       string     `json:"expr"`
		Legend     string     `json:"legendFormat"`
		Datasource datasource `json:"datasource"`
	} `json:"targets"`
}

type datasource struct {
	UID string `json:"uid"`
}

// translated are the labels of each metric that there is, by its name as Prometheus has it.
func translated(t *testing.T, m *telemetry) map[string]map[string]bool {
	t.Helper()
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	labels := otlptranslator.LabelNamer{}
	all := make(map[string]map[string]bool)
	for _, metric := range m.metrics() {
		kind, parts := otlptranslator.MetricType(otlptranslator.MetricTypeHistogram), []string{"_bucket", "_sum", "_count"}
		if sum, ok := metric.Data.(metricdata.Sum[int64]); ok {
			kind, parts = otlptranslator.MetricTypeNonMonotonicCounter, []string{""}
			if sum.IsMonotonic {
				kind = otlptranslator.MetricTypeMonotonicCounter
			}
		}
		name, err := namer.Build(otlptranslator.Metric{Name: metric.Name, Unit: metric.Unit, Type: kind})
		if err != nil {
			t.Fatal(err)
		}
		has := make(map[string]bool)
		for _, attribute := range attributesOfMetric(metric) {
			label, err := labels.Build(attribute)
			if err != nil {
				t.Fatal(err)
			}
			has[label] = true
		}
		for _, part := range parts {
			all[name+part] = has
		}
		if kind == otlptranslator.MetricTypeHistogram {
			has["le"] = true
		}
	}
	return all
}

func attributesOfMetric(m metricdata.Metrics) (names []string) {
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			for _, a := range p.Attributes.ToSlice() {
				names = append(names, string(a.Key))
			}
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			for _, a := range p.Attributes.ToSlice() {
				names = append(names, string(a.Key))
			}
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			for _, a := range p.Attributes.ToSlice() {
				names = append(names, string(a.Key))
			}
		}
	}
	return names
}

var (
	selector  = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
	grouping  = regexp.MustCompile(`by \(([^)]*)\)`)
	legend    = regexp.MustCompile(`\{\{([^}]*)\}\}`)
	valuesOf  = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)
	histogram = regexp.MustCompile(`_(?:bucket|sum|count)$`)
)

// TestTheDashboardAsksForMetricsThatThereAre looks at every query of every panel, and finds
// every metric in one of them.
func TestTheDashboardAsksForMetricsThatThereAre(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal(observe.Dashboard, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || len(d.Inputs) != 1 || d.Inputs[0].PluginID != "prometheus" {
		t.Errorf("it cannot be imported: %q, %+v", d.UID, d.Inputs)
	}
	uid := "${" + d.Inputs[0].Name + "}"
	there := translated(t, everything(t))
	shown, ids := make(map[string]bool), make(map[int]bool)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the number %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != uid {
			t.Errorf("panel %q asks nothing, or another source than %s", p.Title, uid)
		}
		for _, target := range p.Targets {
			if target.Datasource.UID != uid {
				t.Errorf("panel %q asks %q", p.Title, target.Datasource.UID)
			}
			used := selector.FindAllStringSubmatch(target.Expr, -1)
			if len(used) == 0 {
				t.Errorf("panel %q asks for no metric: %s", p.Title, target.Expr)
				continue
			}
			for _, u := range used {
				labels, ok := there[u[1]]
				if !ok {
					t.Errorf("panel %q asks for %s, which there is not", p.Title, u[1])
					continue
				}
				shown[histogram.ReplaceAllString(u[1], "")] = true
				asked := grouping.FindAllStringSubmatch(target.Expr, -1)
				var names []string
				for _, by := range asked {
					names = append(names, strings.Split(by[1], ", ")...)
				}
				for _, of := range matcher.FindAllStringSubmatch(u[2], -1) {
					names = append(names, of[1])
				}
				for _, name := range names {
					if !labels[name] {
						t.Errorf("panel %q asks for the label %s of %s, which has none", p.Title, name, u[1])
					}
				}
			}
			for _, of := range legend.FindAllStringSubmatch(target.Legend, -1) {
				if !strings.Contains(target.Expr, of[1]) {
					t.Errorf("panel %q shows %s, which it does not ask for", p.Title, of[1])
				}
			}
		}
	}
	for name := range there {
		if name = histogram.ReplaceAllString(name, ""); !shown[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
	for _, v := range d.Vars.List {
		of := valuesOf.FindStringSubmatch(v.Definition)
		if of == nil || !there[of[1]][of[2]] {
			t.Errorf("the variable %s is %q", v.Name, v.Definition)
		}
	}
}

// TestThePageListsAllMetrics compares docs/observe.md with the metrics that there are.
func TestThePageListsAllMetrics(t *testing.T) {
	page, err := os.ReadFile("../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string) // units by names
	for _, row := range regexp.MustCompile("(?m)^\\| `((?:endpointcache|db)\\.[a-z_.]+)` \\| [a-z -]+ \\| `([^`]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		listed[row[1]] = row[2]
	}
	for _, m := range everything(t).metrics() {
		if listed[m.Name] != m.Unit {
			t.Errorf("%s has the unit %s, and on the page %q", m.Name, m.Unit, listed[m.Name])
		}
		delete(listed, m.Name)
		if m.Description == "" || !slices.Contains([]string{"s", "By"}, m.Unit) && !strings.HasPrefix(m.Unit, "{") {
			t.Errorf("%s: %q, in %s", m.Name, m.Description, m.Unit)
		}
	}
	for name := range listed {
		t.Errorf("the page lists %s, which there is not", name)
	}
}

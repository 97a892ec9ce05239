package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/internal/fleetsim/model"
	"github.com/endpointcache/endpointcache/internal/fleetsim/simulation"
)

// small are the rows of a small fleet.
func small(t *testing.T, s *Scenario) []Row {
	t.Helper()
	op := model.Cost{Latency: simulation.Constant(50 * time.Microsecond)}
	setting := Setting{Costs: model.Costs{
		Get: op, Save: op, Lease: op, Refused: op, Release: op,
		Notify: new(simulation.Distribution),
	}}
	rows, err := setting.Run(Cases(s, []int{3, 10}))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestAPictureIsWellFormedAndSmall(t *testing.T) {
	for i := range Scenarios {
		s := &Scenarios[i]
		svg, err := Picture(s, small(t, s))
		if err != nil {
			t.Fatal(err)
		}
		elements := make(map[string]int)
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			if start, ok := token.(xml.StartElement); ok {
				elements[start.Name.Local]++
			}
		}
		if elements["svg"] != 1 || elements["title"] != 1 || elements["path"] < 10 {
			t.Errorf("%s has the elements %v", s.Name, elements)
		}
		if len(svg) > 64<<10 {
			t.Errorf("%s has %d bytes", s.Name, len(svg))
		}
		for _, text := range []string{s.Title, "3 processes", "10 processes", "nothing", "leases"} {
			if !strings.Contains(string(svg), text) {
				t.Errorf("%s does not say %q", s.Name, text)
			}
		}
	}
}

func TestScenariosLeaveOutWhatMakesNoDifference(t *testing.T) {
	for i := range Scenarios {
		want := len(Combinations)
		if !Scenarios[i].Start.Full {
			want = 4 // of which none only renews
		}
		if n := len(Cases(&Scenarios[i], []int{1})); n != want {
			t.Errorf("%s has %d combinations, want %d", Scenarios[i].Name, n, want)
		}
	}
}

func TestATableReplacesTheOneInThePage(t *testing.T) {
	const page = "before\n<!-- table: a -->\n\nold\n\n<!-- end -->\nbetween\n<!-- table: b -->\n\n\n<!-- end -->\nafter\n"
	text := page
	for _, table := range []Table{{"a", "new\n"}, {"b", "$1\n"}} {
		var err error
		if text, err = table.PutInto(text); err != nil {
			t.Fatal(err)
		}
		if in, err := table.In(text); err != nil || in != table.Text {
			t.Errorf("the page has %q, %v", in, err)
		}
	}
	if want := "before\n<!-- table: a -->\n\nnew\n\n<!-- end -->\nbetween\n<!-- table: b -->\n\n$1\n\n<!-- end -->\nafter\n"; text != want {
		t.Errorf("the page is %q, want %q", text, want)
	}
	if _, err := (Table{"c", ""}).PutInto(page); err == nil {
		t.Error("a table that has no place in the page was put into it")
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 µs", 1_240: "1.2 µs", 23 * time.Microsecond: "23 µs", 186 * time.Millisecond: "186 ms", 5_340 * time.Millisecond: "5.3 s",
		999_600 * time.Microsecond: "1.0 s", 999_400 * time.Microsecond: "999 ms", 999_700: "1.0 ms",
	} {
		if got := short(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
}

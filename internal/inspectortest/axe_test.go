package inspectortest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/policy"
)

// violation is what axe-core finds.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
}

// No page has a fault that axe-core calls serious or critical, on a phone or a desktop, light or dark, with all that
// can be unfolded unfolded. At 320 CSS pixels, a page is not wider than the screen: WCAG 2.2, success criterion 1.4.10.
func TestPagesAreAccessible(t *testing.T) {
	axe, err := os.ReadFile(testenv.URL(t, "AXE_TEST_PATH"))
	must(t, err)
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{AllowChanges: true})
	m.fill(t.Context(), t, 150)
	hostile, _ := hostileCache(t)
	others := serve(t, hostile, &inspector.Options{AllowChanges: true, Origin: answering(nil)})
	id := musicapi.TrackID(7)
	sites := map[string][]string{
		m.pages.URL: {
			"", "list", "list?repository=tracks&order=size&descending=1", "list?key.id=none", "list?status=wrong",
			"entry?table=tracks&key=" + id + "&key=DE", "entry?table=tracks&key=nothing&key=DE",
			"lookup", "lookup?url=" + m.api.URL + "/v1/tracks/" + id + "?market%3DFR", "lookup?url=wrong", "live", "live?window=24h", "nothing",
		},
		others.URL: {"", "list", "list?limit=7", "entry?table=hostile&key=%25253Cscript%25253E", "live"},
	}
	looks := []look{{width: 320, dark: true}, {width: 1280}}
	if !testing.Short() {
		looks = append(looks, look{width: 320}, look{width: 1280, dark: true})
	}
	for site, pages := range sites {
		for _, l := range looks {
			b := open(t, site, l)
			for _, page := range pages {
				b.visit(page)
				b.accessible(string(axe), fmt.Sprintf("%q, %d px, dark: %v", page, l.width, l.dark))
			}
			if site == m.pages.URL {
				b.visit("entry?table=tracks&key=" + id + "&key=DE")
				b.follow("Compare with the origin")
				b.accessible(string(axe), fmt.Sprintf("the comparison, %d px, dark: %v", l.width, l.dark))
			}
		}
	}
}

func (b *tab) accessible(axe, page string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d) => d.open = true)`))
	if wide := get(b, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)); wide > 0 {
		b.t.Errorf("%s: the page is %d px wider than the screen", page, wide)
	}
	b.do(chromedp.Evaluate[chromedp.Void](axe + ";undefined"))
	found := get(b, chromedp.Evaluate[[]violation](`axe.run().then((r) => r.violations)`, chromedp.EvalAwaitPromise))
	for _, v := range found {
		if v.Impact != "serious" && v.Impact != "critical" {
			b.t.Logf("%s: %s: %s: %s", page, v.Impact, v.ID, v.Help)
			continue
		}
		var where []string
		for _, n := range v.Nodes[:min(len(v.Nodes), 3)] {
			where = append(where, n.HTML+"\n"+n.FailureSummary)
		}
		b.t.Errorf("%s: %s: %s: %s:\n%s", page, v.Impact, v.ID, v.Help, strings.Join(where, "\n"))
	}
}

// What axe-core finds fails the test.
func TestFaultsOfAccessibilityAreFound(t *testing.T) {
	axe, err := os.ReadFile(testenv.URL(t, "AXE_TEST_PATH"))
	must(t, err)
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{})
	b := open(t, m.pages.URL, look{})
	b.visit("list")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("label").forEach((l) => l.remove())`), chromedp.Evaluate[chromedp.Void](string(axe)+";undefined"))
	for _, v := range get(b, chromedp.Evaluate[[]violation](`axe.run().then((r) => r.violations)`, chromedp.EvalAwaitPromise)) {
		if v.ID == "label" || v.ID == "select-name" {
			return
		}
	}
	t.Error("fields without labels are not found")
}

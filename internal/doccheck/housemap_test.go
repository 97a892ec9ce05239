package doccheck_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/doccheck"
)

// Newcomers find every package in the map of CONTRIBUTING.md, and imports run one way.
func TestTheMapOfTheHouseHolds(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The map of the house\n")
	section, _, _ = strings.Cut(section, "\nWhich file decides what")
	for _, wrong := range doccheck.CheckMap(doccheck.ReadMap(section), imports(t)) {
		t.Error(wrong)
	}
}

// imports are what the packages of all modules import, but for their tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	list := func(args ...string) []string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...)
		cmd.Dir, cmd.Stderr = root, os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	patterns := list("-m", "-f", "{{.Path}}/...")
	all := make(map[string][]string)
	for _, line := range list(slices.Concat([]string{"-tags", "allstores", "-f", `{{.ImportPath}} {{join .Imports " "}}`}, patterns)...) {
		fields := strings.Fields(line)
		all[fields[0]] = fields[1:]
	}
	return all
}

func TestAMapThatIsWrong(t *testing.T) {
	const m = "github.com/endpointcache/endpointcache"
	const table = "| package | does |\n|---|---|\n"
	right := table + "| `endpointcache` | a |\n| `cache`, `gone/x` | b |\n| `driver` | c |\n\nFor tests:\n\n" + table + "| `drivertest` | d |\n"
	house := map[string][]string{
		m: {"context", m + "/cache"}, m + "/cache": {m + "/driver"}, m + "/cache/inner": {m + "/cache"}, m + "/gone/x": nil,
		m + "/driver": nil, m + "/drivertest": {m + "/cache"},
	}
	changed := func(p string, imported ...string) map[string][]string {
		other := maps.Clone(house)
		other[p] = imported
		return other
	}
	without := changed(m + "/gone/x")
	delete(without, m+"/gone/x")
	for name, c := range map[string]struct {
		page    string
		imports map[string][]string
		want    []string
	}{
		"right":          {right, house, nil},
		"absent":         {right, changed(m + "/new"), []string{m + "/new is not in the map"}},
		"no root":        {strings.Replace(right, "`endpointcache`", "`driver/sub`", 1), changed(m + "/driver/sub"), []string{m + " is not in the map"}},
		"upwards":        {right, changed(m+"/driver", m+"/cache/inner"), []string{m + "/driver imports " + m + "/cache/inner, which is not below it"}},
		"tests imported": {right, changed(m+"/cache", m+"/drivertest"), []string{m + "/cache imports " + m + "/drivertest, which is not below it"}},
		"twice":          {strings.Replace(right, "`driver`", "`driver`, `cache`", 1), changed(m + "/cache"), []string{"cache is in the map twice"}},
		"gone":           {right, without, []string{m + "/gone/x is in the map, but is no package"}},
	} {
		if got := doccheck.CheckMap(doccheck.ReadMap(c.page), c.imports); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

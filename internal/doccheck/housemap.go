package doccheck

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Row is a row of the map of the house: packages that have one place.
type Row struct {
	Packages []string // their paths in the module; the root's is the module's name
	Tests    bool     // they are for tests, and import what they need
}

var (
	firstCell = regexp.MustCompile("^\\| (`[^|]*) \\|")
	inCode    = regexp.MustCompile("`([^`]+)`")
)

// ReadMap takes the map out of its section of a page: one table of the library's packages,
// and after it one of those for tests.
func ReadMap(section string) []Row {
	var rows []Row
	tables := 0
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "| package |") {
			tables++
		}
		cell := firstCell.FindStringSubmatch(line)
		if cell == nil || tables == 0 {
			continue
		}
		row := Row{Tests: tables > 1}
		for _, name := range inCode.FindAllStringSubmatch(cell[1], -1) {
			row.Packages = append(row.Packages, name[1])
		}
		rows = append(rows, row)
	}
	return rows
}

// CheckMap says what is wrong with a map, by what each package imports: all are import paths.
func CheckMap(rows []Row, imports map[string][]string) (wrong []string) {
	places := make(map[string]int)
	for i, row := range rows {
		for _, name := range row.Packages {
			p := path.Join(module, name)
			if name == path.Base(module) {
				p = module
			}
			if _, ok := places[p]; ok {
				wrong = append(wrong, name+" is in the map twice")
			}
			places[p] = i
		}
	}
	found := make(map[string]bool)
	for _, p := range slices.Sorted(maps.Keys(imports)) {
		from, ok := listed(places, p)
		found[from] = true
		if !ok {
			wrong = append(wrong, p+" is not in the map")
			continue
		}
		for _, imported := range imports[p] {
			to, ok := listed(places, imported)
			below := places[to] >= places[from] && !rows[places[to]].Tests
			if ok && !below && !rows[places[from]].Tests {
				wrong = append(wrong, fmt.Sprintf("%s imports %s, which is not below it", p, imported))
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(places)) {
		if !found[p] {
			wrong = append(wrong, p+" is in the map, but is no package")
		}
	}
	return wrong
}

// listed is what the map has for a package: itself, or the nearest folder that it is in.
// The root is none of these folders: it would be a place for all.
func listed(places map[string]int, p string) (string, bool) {
	if p == module {
		_, ok := places[p]
		return p, ok
	}
	for ; strings.HasPrefix(p, module+"/"); p = path.Dir(p) {
		if _, ok := places[p]; ok {
			return p, true
		}
	}
	return "", false
}

package doccheck

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// CheckLinks checks that the links of the pages lead to files of the root, and to
// headings of pages.
func CheckLinks(root string, pages []*Page) []Problem {
	byPath := make(map[string]*Page)
	for _, p := range pages {
		byPath[p.Path] = p
	}
	var problems []Problem
	for _, p := range pages {
		for _, l := range p.Links {
			if text := checkLink(root, p, l, byPath); text != "" {
				problems = append(problems, Problem{p.Path, l.Line, text})
			}
		}
	}
	return problems
}

func checkLink(root string, p *Page, l Link, pages map[string]*Page) string {
	target, fragment, _ := strings.Cut(l.Target, "#")
	file := p.Path
	if target != "" {
		file = path.Join(path.Dir(p.Path), target)
	}
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return "the link " + l.Target + " leads out of the project"
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil {
		return "the link " + l.Target + " leads to no file"
	}
	if fragment == "" {
		return ""
	}
	switch to := pages[file]; {
	case to == nil:
		return "the link " + l.Target + " has an anchor, and leads to no page"
	case !to.Anchors[fragment]:
		return "the link " + l.Target + " leads to no heading of " + file
	}
	return ""
}

// Unreachable are the pages to which no links lead from a page.
func Unreachable(from string, pages []*Page) []string {
	byPath := make(map[string]*Page)
	for _, p := range pages {
		byPath[p.Path] = p
	}
	seen := map[string]bool{from: true}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		p := byPath[queue[0]]
		if p == nil {
			continue
		}
		for _, l := range p.Links {
			target, _, _ := strings.Cut(l.Target, "#")
			file := path.Join(path.Dir(p.Path), target)
			if target != "" && !seen[file] {
				seen[file] = true
				queue = append(queue, file)
			}
		}
	}
	var left []string
	for _, p := range pages {
		if !seen[p.Path] {
			left = append(left, p.Path)
		}
	}
	slices.Sort(left)
	return left
}

// Package doccheck checks the project's pages: that their Go compiles, that their shell
// lines run, and that their links lead somewhere. CONTRIBUTING.md tells how to write a
// block that passes.
package doccheck

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Problem is what is wrong in a line of a page.
type Problem struct {
	Page string
	Line int
	Text string
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.Page, p.Line, p.Text) }

// Page is a Markdown file.
type Page struct {
	Path     string // relative to the root, with slashes
	Blocks   []*Block
	Links    []Link
	Anchors  map[string]bool
	Problems []Problem // of its form

	quoted string // what all of its Go blocks are quoted from
}

// Block is a fenced code block.
type Block struct {
	Page string
	Line int // of its first line of code
	Lang string
	Text string

	// What the comment before it says.
	NotRun   string // why it is not run
	Fields   string // the type of a literal whose elements it is
	Quoted   string // the files it is quoted from
	OutputOf string // it is the output of this command, or of the block before
}

// blockBefore stands for the command that is the block before.
const blockBefore = "-"

func (b *Block) problem(line int, format string, args ...any) Problem {
	return Problem{b.Page, line, fmt.Sprintf(format, args...)}
}

// Link is a link that is relative to its page.
type Link struct {
	Line   int
	Target string
}

var (
	fence    = regexp.MustCompile("^( *)(```+)(.*)$")
	heading  = regexp.MustCompile(`^#{1,6} +(.+?)(?: +#+)?$`)
	link     = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?: +"[^"]*")?\)|^\[[^\]]+\]: *(\S+)`)
	anchor   = regexp.MustCompile(`<[^>]+\b(?:id|name)="([^"]+)"`)
	code     = regexp.MustCompile("(`+)[^`]+(`+)")
	comment  = regexp.MustCompile(`^ *<!-- *(.*?) *-->$`)
	listItem = regexp.MustCompile(`^ *([-*+]|\d+\.) `)
)

// ReadPage reads a page below the root.
func ReadPage(root, path string) (*Page, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	return parsePage(path, string(text)), nil
}

func parsePage(path, text string) *Page {
	p := &Page{Path: path, Anchors: make(map[string]bool)}
	lines := strings.Split(text, "\n")
	note, inList := "", false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch open := fence.FindStringSubmatch(line); {
		case open != nil:
			end := i + 1
			for end < len(lines) && strings.TrimSpace(lines[end]) != open[2] {
				end++
			}
			if end == len(lines) {
				p.report(i, "the fence is not closed")
			}
			p.addBlock(i+1, lines[i+1:end], open[1], open[3], note)
			i, note = end, ""
		case comment.MatchString(line):
			note = comment.FindStringSubmatch(line)[1]
			if from, ok := strings.CutPrefix(note, "all Go is quoted from: "); ok {
				p.quoted, note = from, ""
			}
		case strings.TrimSpace(line) == "":
		default:
			if note != "" && isMark(note) {
				p.report(i, "the comment before is for a block, and none follows")
			}
			note = ""
			if listItem.MatchString(line) {
				inList = true
			} else if !strings.HasPrefix(line, " ") {
				inList = false
			}
			if !inList && strings.HasPrefix(line, "    ") && lines[max(i-1, 0)] == "" {
				p.report(i, "an indented block: put it between fences, with its language")
			}
			p.addText(i, line)
		}
	}
	return p
}

func (p *Page) report(index int, text string) {
	p.Problems = append(p.Problems, Problem{p.Path, index + 1, text})
}

// addBlock adds the block whose first line has the index given.
func (p *Page) addBlock(index int, lines []string, indent, info, note string) {
	b := &Block{Page: p.Path, Line: index + 1}
	b.Lang, _, _ = strings.Cut(strings.TrimSpace(info), " ")
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimPrefix(line, indent))
		text.WriteByte('\n')
	}
	b.Text = text.String()
	kind, rest, _ := strings.Cut(note, ": ")
	switch kind {
	case "not run":
		b.NotRun = rest
	case "fields of":
		b.Fields = rest
	case "quoted from":
		b.Quoted = rest
	case "output of":
		b.OutputOf = rest
	case "output":
		b.OutputOf = blockBefore
	}
	if b.Quoted == "" && b.Lang == "go" {
		b.Quoted = p.quoted
	}
	p.Blocks = append(p.Blocks, b)
}

func isMark(note string) bool {
	kind, _, _ := strings.Cut(note, ":")
	switch kind {
	case "not run", "fields of", "quoted from", "output of", "output":
		return true
	}
	return false
}

// addText adds the links and anchors of a line.
func (p *Page) addText(index int, line string) {
	if h := heading.FindStringSubmatch(line); h != nil {
		slug := slugOf(h[1])
		for name, n := slug, 1; p.Anchors[slug]; n++ {
			slug = fmt.Sprintf("%s-%d", name, n)
		}
		p.Anchors[slug] = true
	}
	for _, a := range anchor.FindAllStringSubmatch(line, -1) {
		p.Anchors[a[1]] = true
	}
	for _, l := range link.FindAllStringSubmatch(code.ReplaceAllString(line, "`…`"), -1) {
		target := l[1] + l[2]
		if !strings.Contains(target, "://") && !strings.HasPrefix(target, "mailto:") {
			p.Links = append(p.Links, Link{index + 1, target})
		}
	}
}

var (
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	dropped  = regexp.MustCompile(`[^\p{L}\p{N}\p{M} _-]`)
)

// slugOf is the anchor that GitHub gives a heading.
func slugOf(heading string) string {
	text := linkText.ReplaceAllString(heading, "$1")
	text = dropped.ReplaceAllString(strings.ToLower(text), "")
	return strings.ReplaceAll(text, " ", "-")
}

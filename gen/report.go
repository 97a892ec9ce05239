package gen

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Report tells what became of each operation of a document. Encoded as JSON, it has the names
// of the tags.
type Report struct {
	Document string `json:"document"`
	Title    string `json:"title"`
	Version  string `json:"version"`
	OpenAPI  string `json:"openapi"`

	// How many operations the document has, how many are cached, are paged and have a batch,
	// how many writes make something old, and how many operations are skipped.
	Total   int `json:"total"`
	Cached  int `json:"cached"`
	Paged   int `json:"paged"`
	Batched int `json:"batched"`
	Writes  int `json:"writes"`
	Skipped int `json:"skipped"`

	// Operations are those of the document by their paths and methods.
	Operations []OperationReport `json:"operations"`
}

// OperationReport tells what became of an operation.
type OperationReport struct {
	ID      string `json:"id,omitempty"` // the operationId
	Method  string `json:"method"`
	Path    string `json:"path"`
	Pointer string `json:"pointer"` // the JSON pointer to it
	Line    int    `json:"line"`    // where it begins

	// Cached tells that it has a declaration; otherwise Skipped has the reason, unless it is
	// a write that makes something old.
	Cached  bool   `json:"cached"`
	Skipped string `json:"skipped,omitempty"`

	// Of the declaration: the names in Go of the settings and the key, the name of the
	// repository, the pattern, the type of the values, and what was decided.
	Var        string `json:"var,omitempty"`
	Key        string `json:"key,omitempty"`
	Repository string `json:"repository,omitempty"`
	Pattern    string `json:"pattern,omitempty"`
	Payload    string `json:"payload,omitempty"`
	Scope      string `json:"scope,omitempty"`
	ScopeWhy   string `json:"scopeWhy,omitempty"`
	Expire     string `json:"expire,omitempty"`
	Confirms   bool   `json:"confirms,omitempty"` // the document names 304 as an answer

	Paged    *PagedReport `json:"paged,omitempty"`
	NotPaged string       `json:"notPaged,omitempty"` // why, if it looks as if it were
	Batch    *BatchReport `json:"batch,omitempty"`

	// Write is the name in Go of the settings of a write, and Invalidates what it makes old.
	Write       string   `json:"write,omitempty"`
	Invalidates []string `json:"invalidates,omitempty"`

	// Notes are what else was decided, such as parameters that are left out.
	Notes []string `json:"notes,omitempty"`
}

// PagedReport tells how pages lead to the next: by a style of package pages.
type PagedReport struct {
	Style string `json:"style"` // link, url, cursor, offset or number
	Var   string `json:"var"`   // the name in Go of the pages.Next
	Why   string `json:"why"`
}

// BatchReport tells which operation answers for many keys.
type BatchReport struct {
	Operation string `json:"operation"` // the method and the path
	Size      int    `json:"size"`
	Why       string `json:"why"`
}

func (p *plan) report() Report {
	r := Report{
		Document: p.doc.name, Title: oneLine(p.doc.Info.Title), Version: oneLine(p.doc.Info.Version), OpenAPI: p.doc.OpenAPI,
		Total: len(p.operations), Operations: make([]OperationReport, 0, len(p.operations)),
	}
	if p.doc.converted {
		r.OpenAPI = "2.0"
	}
	lines := p.doc.tree.linesOfOperations()
	for _, o := range p.operations {
		told := o.report()
		told.Line = lines[told.Pointer]
		switch {
		case told.Cached:
			r.Cached++
		case told.Write != "":
			r.Writes++
		default:
			r.Skipped++
		}
		if told.Paged != nil {
			r.Paged++
		}
		if told.Batch != nil {
			r.Batched++
		}
		r.Operations = append(r.Operations, told)
	}
	return r
}

func (o *operation) report() OperationReport {
	r := OperationReport{ID: o.OperationID, Method: o.method, Path: o.path, Pointer: o.pointer, Skipped: o.skipped}
	for _, note := range o.notes {
		if why, ok := strings.CutPrefix(note, "not paged"); ok {
			r.NotPaged = strings.TrimLeft(why, ":, ")
			continue
		}
		r.Notes = append(r.Notes, note)
	}
	if w := o.write; w != nil {
		r.Write, r.Invalidates = w.name, w.targets()
	}
	e := o.endpoint
	if e == nil {
		return r
	}
	r.Cached = true
	r.Var, r.Key, r.Repository, r.Pattern = e.name, e.name+"Key", e.repository, e.pattern()
	r.Payload, r.Scope, r.ScopeWhy = e.payload.goType, e.security.scope, e.security.why
	r.Expire, r.Confirms = showDuration(e.expire), e.payload.confirms
	if g := e.pages; g != nil {
		r.Paged, r.NotPaged = &PagedReport{g.style, e.name + "Next", g.why}, ""
	}
	if b := e.batch; b != nil {
		r.Batch = &BatchReport{"GET " + b.from.path, b.size, b.why}
	}
	return r
}

// Text writes the report for people.
func (r Report) Text(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s: %s %s, OpenAPI %s\n", r.Document, r.Title, r.Version, r.OpenAPI)
	fmt.Fprintf(b, "%d operations: %d cached (%d paged, %d in batches), %d writes, %d skipped\n",
		r.Total, r.Cached, r.Paged, r.Batched, r.Writes, r.Skipped)
	for _, part := range []struct {
		title string
		has   func(OperationReport) bool
	}{
		{"Cached", func(o OperationReport) bool { return o.Cached }},
		{"Writes", func(o OperationReport) bool { return o.Write != "" }},
		{"Skipped", func(o OperationReport) bool { return o.Skipped != "" }},
	} {
		title := "\n" + part.title + "\n"
		for _, o := range r.Operations {
			if part.has(o) {
				fmt.Fprint(b, title)
				title = ""
				o.text(b)
			}
		}
	}
	return b.Flush()
}

func (o OperationReport) text(b *bufio.Writer) {
	fmt.Fprintf(b, "  %s %s", o.Method, oneLine(o.Path))
	if o.ID != "" {
		fmt.Fprintf(b, " (%s)", oneLine(o.ID))
	}
	fmt.Fprintln(b)
	line := func(format string, args ...any) { fmt.Fprintf(b, "      "+format+"\n", args...) }
	if o.Skipped != "" {
		line("%s", o.Skipped)
	}
	if o.Cached {
		line("%s: %s, %s for %s, %s: %s", o.Var, o.Pattern, o.Payload, o.Expire, o.Scope, o.ScopeWhy)
	}
	if o.Confirms {
		line("an answer of status 304 confirms what has expired")
	}
	if o.Paged != nil {
		line("paged by %s: %s", o.Paged.Style, o.Paged.Why)
	}
	if o.NotPaged != "" {
		line("not paged: %s", o.NotPaged)
	}
	if o.Batch != nil {
		line("in batches by %s: %s", o.Batch.Operation, o.Batch.Why)
	}
	if o.Write != "" {
		line("%s makes old: %s", o.Write, strings.Join(o.Invalidates, ", "))
	}
	for _, note := range o.Notes {
		line("%s", oneLine(note))
	}
}

package term

import (
	"strings"

	"github.com/rivo/uniseg"
)

// Column is a column of a table.
type Column struct {
	Title string
	Right bool // numbers stand at the right
	Fixed bool // it is never cut: cutting would make another value of it
}

// Cell is what stands in a column. It is not escaped: see [Text].
type Cell struct {
	Text  string
	Style Style
}

// Table writes rows in columns. Its columns are as wide as the first rows need; of wider ones after these, cells stick out.
// Where the output is a terminal, cells are cut until a row fits.
type Table struct {
	out     *Output
	columns []Column
	rows    [][]Cell // held back until the widths are known
	widths  []int
}

// Table begins a table. Its rows are written by [Table.Flush] at the latest.
func (o *Output) Table(columns ...Column) *Table { return &Table{out: o, columns: columns} }

const (
	gap   = 2
	aside = 500 // rows by which the widths are found
)

// Row adds a row of texts.
func (t *Table) Row(texts ...string) {
	cells := make([]Cell, len(texts))
	for i, text := range texts {
		cells[i].Text = text
	}
	t.Cells(cells...)
}

// Cells adds a row.
func (t *Table) Cells(cells ...Cell) {
	if t.widths != nil {
		t.write(cells)
		return
	}
	if t.rows = append(t.rows, cells); len(t.rows) >= aside {
		t.Flush()
	}
}

// Flush writes the rows that were held back.
func (t *Table) Flush() {
	if len(t.rows) == 0 {
		return
	}
	t.widths = make([]int, len(t.columns))
	titles := make([]Cell, len(t.columns))
	for i, c := range t.columns {
		titles[i] = Cell{c.Title, Bold}
		t.widths[i] = uniseg.StringWidth(c.Title)
		for _, row := range t.rows {
			t.widths[i] = max(t.widths[i], uniseg.StringWidth(row[i].Text))
		}
	}
	t.fit()
	t.write(titles)
	for _, row := range t.rows {
		t.write(row)
	}
	t.rows = nil
}

// fit takes from the widest column that may be cut until a row fits, or all of them are as narrow as their titles.
func (t *Table) fit() {
	if t.out.width == 0 {
		return
	}
	const least = 4
	over := gap*(len(t.widths)-1) - t.out.width
	for _, w := range t.widths {
		over += w
	}
	for ; over > 0; over-- {
		widest := -1
		for i, c := range t.columns {
			narrow := t.widths[i] <= max(least, uniseg.StringWidth(c.Title))
			if !c.Fixed && !narrow && (widest < 0 || t.widths[i] > t.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		t.widths[widest]--
	}
}

func (t *Table) write(cells []Cell) {
	var line strings.Builder
	for i, c := range t.columns {
		text := cells[i].Text
		if t.out.width > 0 && !c.Fixed {
			text = Cut(text, t.widths[i])
		}
		space := max(t.widths[i]-uniseg.StringWidth(text), 0)
		text = t.out.Styled(cells[i].Style, text)
		if c.Right {
			text = strings.Repeat(" ", space) + text
			space = 0
		}
		line.WriteString(text)
		if i < len(t.columns)-1 {
			line.WriteString(strings.Repeat(" ", space+gap))
		}
	}
	t.out.Printf("%s\n", strings.TrimRight(line.String(), " "))
}

// Cut is text in at most width columns, with … where something is left out.
func Cut(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	var b strings.Builder
	for left := width - 1; text != ""; {
		cluster, rest, w, _ := uniseg.FirstGraphemeClusterInString(text, -1)
		if left -= w; left < 0 {
			break
		}
		b.WriteString(cluster)
		text = rest
	}
	return b.String() + "…"
}

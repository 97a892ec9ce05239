package inspector

import (
	"html/template"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/preview"
)

// functions are those of the templates.
var functions = template.FuncMap{
	"bytes":   human.Size,
	"count":   counted,
	"cut":     printable,
	"instant": instant,
	"percent": percent,
}

// printable is a text as it can be shown on one line, see [preview.Line]. What is beyond limit
// bytes is left out.
func printable(text string, limit int) string {
	if len(text) <= limit {
		return preview.Line(text)
	}
	return preview.Line(truncate(text, limit)) + "…"
}

// truncate is the beginning of a longer text, of at most limit bytes and of whole characters.
func truncate(text string, limit int) string {
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// counted is a number in a template, of whichever type.
func counted(n any) string { return human.Count(reflect.ValueOf(n).Int()) }

func percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + " %" }

// moment is an instant as a page has it.
type moment struct {
	Time  time.Time `json:"time"`
	Words string    `json:"-"` // "3h20m ago"
}

// momentOf is nil for the zero time.
func momentOf(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t.UTC(), human.Relative(t, now)}
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

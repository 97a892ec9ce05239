package inspector

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/internal/preview"
)

// functions are those of the templates.
var functions = template.FuncMap{
	"bytes":   byteCount,
	"count":   countAny,
	"cut":     printable,
	"instant": instant,
	"words":   durationWords,
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

// count is a number with its thousands apart.
func count[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // a narrow space that does not break
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// countAny is count for templates.
func countAny(n any) string {
	if n, ok := n.(int); ok {
		return count(n)
	}
	return count(n.(int64))
}

// byteCount is a size in the greatest unit that leaves one before the point.
func byteCount(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	size := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if size /= 1024; size < 999.5 {
			return threeDigits(size) + " " + unit
		}
	}
	return threeDigits(size/1024) + " TiB"
}

func threeDigits(f float64) string {
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

func percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + " %" }

// durationWords is a duration in its two greatest units: "3 h 20 min".
func durationWords(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d < 0:
		return "−" + durationWords(d.Abs())
	case d < time.Millisecond:
		return threeDigits(float64(d)/1e3) + " µs"
	case d < time.Second:
		return threeDigits(float64(d)/1e6) + " ms"
	case d < 10*time.Second:
		return threeDigits(d.Seconds()) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return units(int(d.Seconds()), "min", 60, "s")
	case d < 48*time.Hour:
		return units(int(d.Minutes()), "h", 60, "min")
	}
	days := int(d.Hours()) / 24
	if days < 100 {
		return units(int(d.Hours()), "d", 24, "h")
	}
	return count(days) + " d"
}

func units(n int, great string, per int, small string) string {
	if n%per == 0 {
		return fmt.Sprintf("%d %s", n/per, great)
	}
	return fmt.Sprintf("%d %s %d %s", n/per, great, n%per, small)
}

// moment is an instant as a page has it.
type moment struct {
	Time  time.Time `json:"time"`
	Words string    `json:"-"` // "3 h ago"
}

// momentOf is nil for the zero time.
func momentOf(t, now time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t.UTC(), relative(t, now)}
}

func relative(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d >= time.Second:
		return coarse(d) + " ago"
	case d > -time.Second:
		return "now"
	default:
		return "in " + coarse(d.Abs())
	}
}

// coarse is a duration in its greatest unit.
func coarse(d time.Duration) string {
	for _, unit := range []struct {
		length, until time.Duration
		name          string
	}{{time.Second, time.Minute, "s"}, {time.Minute, time.Hour, "min"}, {time.Hour, 48 * time.Hour, "h"}} {
		if rounded := d.Round(unit.length); rounded < unit.until {
			return fmt.Sprintf("%d %s", rounded/unit.length, unit.name)
		}
	}
	return count(int(d.Round(24*time.Hour)/(24*time.Hour))) + " d"
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

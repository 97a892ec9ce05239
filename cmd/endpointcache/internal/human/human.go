// Package human writes sizes, numbers and times as people read them, and reads them as people write them.
package human

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes: "1.2 MiB".
func Size(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }

// Count is a number with separators: "1,234".
func Count(n int) string { return humanize.Comma(int64(n)) }

// Things is a number of things: "1 entry", "2 entries".
func Things(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

var units = []struct {
	name string
	unit time.Duration
}{{"y", year}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// Duration is a duration in its two greatest units, rounded: "3h20m", "2d4h". Less than half a second is "0s".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	for i, u := range units {
		least := units[min(i+1, len(units)-1)] // the lesser of the two units
		rounded := d.Round(least.unit)
		if rounded < u.unit {
			continue
		}
		text := fmt.Sprintf("%d%s", rounded/u.unit, u.name)
		if rest := rounded % u.unit / least.unit; rest > 0 {
			text += fmt.Sprintf("%d%s", rest, least.name)
		}
		return text
	}
	return "0s"
}

var longUnits = regexp.MustCompile(`^(\d+)(y|w|d)`)

// ParseDuration reads a duration as [time.ParseDuration] does, and with years, weeks and days before that: "7d", "1d12h".
// It is not negative.
func ParseDuration(text string) (time.Duration, error) {
	var sum time.Duration
	rest := strings.TrimSpace(text)
	for {
		part := longUnits.FindStringSubmatch(rest)
		if part == nil {
			break
		}
		n, err := strconv.ParseInt(part[1], 10, 64)
		unit := map[string]time.Duration{"y": year, "w": week, "d": day}[part[2]]
		if err != nil || n > int64((1<<63-1)/unit) {
			return 0, errDuration(text)
		}
		sum += time.Duration(n) * unit
		rest = rest[len(part[0]):]
	}
	if rest != "" || text == "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, errDuration(text)
		}
		sum += d
	}
	if sum < 0 {
		return 0, errDuration(text)
	}
	return sum, nil
}

func errDuration(text string) error {
	return fmt.Errorf("%q is no duration such as 90s, 24h, 7d or 1d12h", text)
}

// ParseInstant reads an instant: a duration before now, or a date, or a time as RFC 3339 has it. Dates without a time
// zone are those of the zone.
func ParseInstant(text string, now time.Time, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, nil
		}
	}
	d, err := ParseDuration(text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither an age such as 24h or 7d nor a time such as 2006-01-02 or 2006-01-02T15:04:05Z", text)
	}
	return now.Add(-d), nil
}

// ParseSize reads a number of bytes: "1500", "20kB", "1.5 MiB".
func ParseSize(text string) (int64, error) {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return 0, errors.New(strconv.Quote(text) + " is no size such as 1500, 20kB or 1.5MiB")
	}
	return int64(n), nil
}

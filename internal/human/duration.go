package human

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
	year = 365 * day
)

var units = []struct {
	name string
	unit time.Duration
}{{"y", year}, {"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

// Duration is a duration in its two greatest units, rounded: "3h20m", "2d4h", "1y35d". Less than half a second is
// "0s". [ParseDuration] reads it.
func Duration(d time.Duration) string {
	if d.Round(time.Second) < 0 {
		return "-" + Duration(d.Abs())
	}
	step := time.Second
	for i, u := range units[:len(units)-1] {
		if d >= u.unit {
			step = units[i+1].unit
			break
		}
	}
	d = d.Round(step)
	var text string
	for _, u := range units {
		if n := d / u.unit; n > 0 {
			text += fmt.Sprintf("%d%s", n, u.name)
			d -= n * u.unit
		}
		if u.unit == step {
			break
		}
	}
	return cmp.Or(text, "0s")
}

// Precise is a duration in three digits where it is less than ten seconds, as latencies are: "1.25ms", "250µs". Others
// are as [Duration] has them.
func Precise(d time.Duration) string {
	if d.Abs() >= 10*time.Second {
		return Duration(d)
	}
	unit := time.Duration(1)
	for d.Abs() >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit).String()
}

// Between is how long it is from one instant to a later one, as [Duration] has it. Where that is more than a
// [time.Duration] holds, it is in years of the calendar, rounded: "7973y".
func Between(from, to time.Time) string {
	d := to.Sub(from)
	if d < math.MaxInt64 {
		return Duration(d)
	}
	from, to = from.UTC(), to.UTC().AddDate(0, 6, 0)
	years := to.Year() - from.Year()
	if from.AddDate(years, 0, 0).After(to) {
		years--
	}
	return strconv.Itoa(years) + "y"
}

// Relative tells how far t is from now: "3h20m ago", "in 2d4h", and "now" where that is less than a second.
func Relative(t, now time.Time) string {
	switch d := t.Sub(now); {
	case d >= time.Second:
		return "in " + Between(now, t)
	case d > -time.Second:
		return "now"
	default:
		return Between(t, now) + " ago"
	}
}

var (
	long      = regexp.MustCompile(`^(\d+(?:\.\d+)?)([ywd])`)
	longUnits = map[string]time.Duration{"y": year, "w": week, "d": day}
)

// ParseDuration reads a duration as [time.ParseDuration] does, and with years, weeks and days before that: "7d", "1d12h".
// It is not negative.
func ParseDuration(text string) (time.Duration, error) {
	invalid := fmt.Errorf("%q is no duration such as 90s, 24h, 7d or 1d12h", text)
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, invalid
	}
	var sum time.Duration
	for rest != "" {
		var d time.Duration
		var err error
		if part := long.FindStringSubmatch(rest); part != nil {
			n, _ := strconv.ParseFloat(part[1], 64) // infinite where it is beyond all bounds
			n *= float64(longUnits[part[2]])
			if n >= math.MaxInt64 {
				return 0, invalid
			}
			d, rest = time.Duration(n), rest[len(part[0]):]
		} else if d, err = time.ParseDuration(rest); err != nil || d < 0 {
			return 0, invalid
		} else {
			rest = ""
		}
		if sum += d; sum < 0 {
			return 0, invalid
		}
	}
	return sum, nil
}

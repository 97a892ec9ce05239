package human

import (
	"math"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 500 * time.Millisecond: "1s", 1600 * time.Millisecond: "2s", time.Minute: "1m", 90 * time.Second: "1m30s",
		59*time.Minute + 59*time.Second + 400*time.Millisecond: "59m59s", 59*time.Minute + 59*time.Second + 900*time.Millisecond: "1h",
		3*time.Hour + 20*time.Minute + 29*time.Second: "3h20m", 47 * time.Hour: "1d23h", 52 * time.Hour: "2d4h",
		7*day - 10*time.Second: "7d", 7*day - 31*time.Minute: "6d23h", 23*time.Hour + 40*time.Minute: "23h40m", year - 4*time.Hour: "364d20h", 14*day - time.Second: "14d", 200 * day: "200d", year - time.Minute: "1y", 400 * day: "1y35d",
		-time.Hour: "-1h", -400 * time.Millisecond: "0s", -500 * time.Millisecond: "-1s", math.MaxInt64: "292y171d", math.MinInt64: "-292y171d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestPrecise(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1: "1ns", 999: "999ns", 1234: "1.23µs", 250 * time.Microsecond: "250µs", 999_600: "1ms", 1250 * time.Microsecond: "1.25ms",
		12_345 * time.Microsecond: "12.3ms", 2 * time.Second: "2s", 1234 * time.Millisecond: "1.23s", 9994 * time.Millisecond: "9.99s",
		9999 * time.Millisecond: "10s", 10_400 * time.Millisecond: "10s", 90 * time.Second: "1m30s",
		-1250 * time.Microsecond: "-1.25ms", math.MaxInt64: "292y171d", math.MinInt64: "-292y171d",
	} {
		if got := Precise(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestRelative(t *testing.T) {
	now := time.Unix(1e9, 0)
	for ago, want := range map[time.Duration]string{
		0: "now", time.Second - 1: "now", 1 - time.Second: "now", time.Second: "1s ago", -time.Second: "in 1s",
		59*time.Minute + 40*time.Second: "59m40s ago", -7*day + 31*time.Minute: "in 6d23h", 3000 * day: "8y80d ago",
	} {
		if got := Relative(now.Add(-ago), now); got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
}

// What is further away than any time.Duration is told in years.
func TestRelativeOfFarTimes(t *testing.T) {
	now := time.Date(2026, 11, 30, 7, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"9999-12-31T23:59:59Z": "in 7973y", "9999-05-30T07:00:00Z": "in 7973y", "9999-05-30T06:59:59Z": "in 7972y",
		"2319-03-12T06:47:17Z": "in 292y", "2319-03-12T06:47:16Z": "in 292y171d", "0001-01-01T00:00:00Z": "2026y ago",
		"9999-05-30T07:30:00+01:00": "in 7972y", "1000-12-31T00:00:00Z": "1026y ago",
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Relative(at, now); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "7d": 7 * day, " 7d ": 7 * day, "1d12h": 36 * time.Hour, "2w": 14 * day, "1y1d": 366 * day, "0s": 0, "0d": 0,
		"1.5h": 90 * time.Minute, "1.5d": 36 * time.Hour, "292y171d": 106751 * day, "1.25ms": 1250 * time.Microsecond,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "d", "-1h", "-1d", "1", "7 days", "9999999999999w", "999999y", "290y290y", "290y290y290y", "292y200d", "1h7d", "1e3s", "1.d", ".5d", "1d-1h",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

// What is written can be read, and is the same in its two units.
func TestDurationsCanBeReadBack(t *testing.T) {
	for d := time.Second; d < math.MaxInt64/2; d += d/4 + 7*time.Millisecond {
		text := Duration(d)
		back, err := ParseDuration(text)
		if err != nil || Duration(back) != text || (back-d).Abs() > d/24 && (back-d).Abs() > time.Second/2 {
			t.Errorf("%v is %s, which is read as %v, %v", d, text, back, err)
		}
	}
}

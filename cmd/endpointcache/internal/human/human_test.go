package human

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 400 * time.Millisecond: "0s", 1600 * time.Millisecond: "2s", time.Minute: "1m", 90 * time.Second: "1m30s",
		59*time.Minute + 59*time.Second + 900*time.Millisecond: "1h", 3*time.Hour + 20*time.Minute + 29*time.Second: "3h20m",
		14*day - time.Second: "14d", 400 * day: "1y35d", -time.Hour: "-1h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "7d": 7 * day, "1d12h": 36 * time.Hour, "2w": 14 * day, "1y1d": 366 * day, "0s": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1h", "1", "7 days", "9999999999999w", "999999y", "290y290y", "1h7d", "1e3s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestParseInstant(t *testing.T) {
	now := time.Date(2126, 11, 29, 12, 0, 0, 0, time.UTC)
	east := time.FixedZone("east", 3600)
	for text, want := range map[string]time.Time{
		"1d":                        now.Add(-day),
		"2126-11-01":                time.Date(2126, 11, 1, 0, 0, 0, 0, east),
		"2126-11-01 10:30":          time.Date(2126, 11, 1, 10, 30, 0, 0, east),
		"2126-11-01T10:30:05":       time.Date(2126, 11, 1, 10, 30, 5, 0, east),
		"2126-11-01T10:30:05Z":      time.Date(2126, 11, 1, 10, 30, 5, 0, time.UTC),
		"2126-11-01T10:30:05-02:00": time.Date(2126, 11, 1, 12, 30, 5, 0, time.UTC),
	} {
		if got, err := ParseInstant(text, now, east); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2126-13-01", "2126"} {
		if got, err := ParseInstant(text, now, east); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1500": 1500, "20kB": 20_000, "1.5MiB": 3 << 19, "1 GiB": 1 << 30} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "much", "9999999999999999TB", "1e9"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

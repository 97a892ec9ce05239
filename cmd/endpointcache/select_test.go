package main

import (
	"testing"
	"time"
)

func TestInstants(t *testing.T) {
	now := time.Date(2126, 11, 29, 12, 0, 0, 0, time.UTC)
	east := time.FixedZone("east", 3600)
	for text, want := range map[string]time.Time{
		"1d":                        now.Add(-24 * time.Hour),
		"2126-11-01":                time.Date(2126, 11, 1, 0, 0, 0, 0, east),
		"2126-11-01 10:30":          time.Date(2126, 11, 1, 10, 30, 0, 0, east),
		"2126-11-01T10:30:05":       time.Date(2126, 11, 1, 10, 30, 5, 0, east),
		"2126-11-01T10:30:05Z":      time.Date(2126, 11, 1, 10, 30, 5, 0, time.UTC),
		"2126-11-01T10:30:05-02:00": time.Date(2126, 11, 1, 12, 30, 5, 0, time.UTC),
	} {
		if got, err := parseInstant(text, now, east); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "2126-13-01", "2126"} {
		if got, err := parseInstant(text, now, east); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{"1500": 1500, "20kB": 20_000, "1.5MiB": 3 << 19, "1 GiB": 1 << 30} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "much", "9999999999999999TB", "1e9"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

package findings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
)

// want fails the test unless the only finding has this in its value, at that level.
func want(t *testing.T, l findings.List, value string, level driver.Level) {
	t.Helper()
	if len(l) != 1 || !strings.Contains(l[0].Value, value) || l[0].Level != level || (level == driver.Good) != (l[0].Advice == "") {
		t.Errorf("%+v: want %q, %v", l, value, level)
	}
}

func TestClock(t *testing.T) {
	now := time.Now()
	for apart, level := range map[time.Duration]driver.Level{
		0: driver.Good, 900 * time.Millisecond: driver.Good, -900 * time.Millisecond: driver.Good,
		3 * time.Second: driver.Warning, -3 * time.Second: driver.Warning,
	} {
		var l findings.List
		l.Clock(now.Add(apart), now, now)
		words := map[bool]string{true: "behind", false: "ahead"}[apart < 0]
		if level == driver.Good {
			words = "agrees"
		}
		want(t, l, words, level)
	}
	var l findings.List
	l.Clock(now.Add(3*time.Second), now, now.Add(5*time.Second)) // the answer took that long
	want(t, l, "agrees", driver.Good)
}

func TestEncryption(t *testing.T) {
	for _, tt := range []struct {
		encrypted, here bool
		level           driver.Level
	}{{true, false, driver.Good}, {true, true, driver.Good}, {false, true, driver.Good}, {false, false, driver.Warning}} {
		var l findings.List
		l.Encryption(tt.encrypted, tt.here)
		want(t, l, "encrypted", tt.level)
	}
}

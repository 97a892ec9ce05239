package findings_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/mount"
)

// want fails the test unless the only finding has this in its value, at that level.
func want(t *testing.T, l findings.List, value string, level driver.Level) {
	t.Helper()
	if len(l) != 1 || !strings.Contains(l[0].Value, value) || l[0].Level != level || (level == driver.Good) != (l[0].Advice == "") {
		t.Errorf("%+v: want %q, %v", l, value, level)
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 30: "3.0 GiB", 2 << 40: "2.0 TiB", 1 << 62: "4096.0 PiB",
	} {
		if got := findings.Size(bytes); got != want {
			t.Errorf("%d: %s, want %s", bytes, got, want)
		}
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

func TestFileSystem(t *testing.T) {
	for _, tt := range []struct {
		system mount.System
		err    error
		value  string
		level  driver.Level
	}{
		{mount.System{Name: "ext4", Local: true}, nil, "ext4", driver.Good},
		{mount.System{Name: "nfs", Remote: true}, nil, "nfs", driver.Fault},
		{mount.System{}, nil, "unknown", driver.Good},
		{mount.System{}, errors.New("absent"), "unknown", driver.Good},
	} {
		var l findings.List
		l.FileSystem(tt.system, tt.err, driver.Fault, "Keep it on a disk.")
		want(t, l, tt.value, tt.level)
	}
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "music.db")
	for mode, level := range map[os.FileMode]driver.Level{0o600: driver.Good, 0o660: driver.Good, 0o604: driver.Warning, 0o602: driver.Fault} {
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		var l findings.List
		l.Permissions("file", file)
		want(t, l, mode.String(), level)
	}
	for mode, level := range map[os.FileMode]driver.Level{
		0o700: driver.Good, 0o755: driver.Good, 0o777: driver.Fault, 0o777 | os.ModeSticky: driver.Good,
	} {
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
		var l findings.List
		l.Permissions("folder", folder)
		want(t, l, "of this user", level)
	}
	var l findings.List
	l.Permissions("log", file+"-wal")
	if len(l) > 0 {
		t.Errorf("of a file that is absent, %v is told", l)
	}
}

func TestSpace(t *testing.T) {
	var l findings.List
	l.Space(t.TempDir())
	l.Files(t.TempDir())
	if len(l) != 2 || l[0].Value == "" || l[1].Value == "" {
		t.Errorf("%+v", l)
	}
	l = nil
	l.Space("/absent/folder")
	want(t, l, "unknown", driver.Good)
}

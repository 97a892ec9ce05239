package ondisk_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/findings/ondisk"
	"github.com/endpointcache/endpointcache/internal/mount"
)

// want fails the test unless the only finding has this in its value, at that level.
func want(t *testing.T, l findings.List, value string, level driver.Level) {
	t.Helper()
	if len(l) != 1 || !strings.Contains(l[0].Value, value) || l[0].Level != level || (level == driver.Good) != (l[0].Advice == "") {
		t.Errorf("%+v: want %q, %v", l, value, level)
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
		ondisk.FileSystem(&l, tt.system, tt.err, driver.Fault, "Keep it on a disk.")
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
		ondisk.Permissions(&l, "file", file)
		want(t, l, mode.String(), level)
	}
	for mode, level := range map[os.FileMode]driver.Level{
		0o700: driver.Good, 0o755: driver.Good, 0o777: driver.Fault, 0o777 | os.ModeSticky: driver.Good,
	} {
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
		var l findings.List
		ondisk.Permissions(&l, "folder", folder)
		want(t, l, "of this user", level)
	}
	var l findings.List
	ondisk.Permissions(&l, "log", file+"-wal")
	if len(l) > 0 {
		t.Errorf("of a file that is absent, %v is told", l)
	}
}

func TestSpace(t *testing.T) {
	var l findings.List
	ondisk.Space(&l, t.TempDir())
	ondisk.Files(&l, t.TempDir())
	if len(l) != 2 || l[0].Value == "" || l[1].Value == "" {
		t.Errorf("%+v", l)
	}
	l = nil
	ondisk.Space(&l, "/absent/folder")
	want(t, l, "unknown", driver.Good)
}

package sqlite_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const folderVariable = "ENDPOINTCACHE_TEST_FOLDER"

// asNobody runs the test that it is called by in a process of a user who may not do everything,
// and which has a folder of its own. It returns "" in the process that starts the other.
func asNobody(t *testing.T) (folder string) {
	t.Helper()
	if folder := os.Getenv(folderVariable); folder != "" {
		return folder
	}
	made, err := os.MkdirTemp("", "endpointcache-test-") // whose path all may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(made) })
	program := filepath.Join(made, "test")
	copyFile(t, os.Args[0], program)
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), folderVariable+"="+made)
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(made, nobody, nobody); err != nil {
			t.Skip(err)
		}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		t.Skipf("no process of another user can be started: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return ""
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(dst, src); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}

// What SQLite makes beside a file that may only be read may only be read, too. It does not
// keep the file from being written when that is allowed again.
func TestAFileThatMayBeWrittenAgain(t *testing.T) {
	folder := asNobody(t)
	if folder == "" {
		return
	}
	path := filepath.Join(folder, "music.db")
	oneTrack(t, path)
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	wantReadOnly(t, path, nil)
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, table := openTracks(t, path, nil)
	put(t, table, track("w", 2))
}

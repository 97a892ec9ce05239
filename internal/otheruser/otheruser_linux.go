// Package otheruser lets a test run as a user who may not do everything, as the one who
// started the tests perhaps may.
package otheruser

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Nobody is the number of the user and of the group.
const Nobody = 65534

const folderVariable = "ENDPOINTCACHE_TEST_OTHER_USER"

// Run runs the test that it is called by once more, in a process of that user, or of the same
// one if that is not root. There it returns a folder of its own, which is removed in the end; in the
// process that starts the other it returns "", and fails the test if the other does.
func Run(t *testing.T) (folder string) {
	t.Helper()
	if folder := os.Getenv(folderVariable); folder != "" {
		return folder
	}
	made, err := os.MkdirTemp("", "endpointcache-test-") // whose path all may go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(made); err != nil {
			t.Error(err)
		}
	})
	program := filepath.Join(made, "test")
	copyProgram(t, program)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.v") // #nosec G204 -- it is this program
	cmd.Env = append(os.Environ(), folderVariable+"="+made)
	if os.Getuid() == 0 { // who may do everything
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: Nobody, Gid: Nobody}}
		if err := os.Chown(made, Nobody, Nobody); err != nil {
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

func copyProgram(t *testing.T, to string) {
	t.Helper()
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, program, 0o755); err != nil { // #nosec G306 -- another user runs it
		t.Fatal(err)
	}
}

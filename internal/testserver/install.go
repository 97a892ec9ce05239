package testserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// managers are the package managers that can install a server unattended.
var managers = []struct {
	name     string
	root     bool       // it must be run as root
	commands [][]string // the package is added to the last
}{
	{"apt-get", true, [][]string{
		{"apt-get", "-qq", "update"},
		{"apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", "--no-install-recommends", "-y", "install"},
	}},
	{"dnf", true, [][]string{{"dnf", "-q", "-y", "install"}}},
	{"brew", false, [][]string{{"brew", "install", "-q"}}},
}

// install installs one of the packages, which are named for each manager, with
// the one that the machine has. What that says goes to log.
func install(ctx context.Context, packages map[string]string, log io.Writer) error {
	for _, m := range managers {
		if _, err := exec.LookPath(m.name); err != nil || packages[m.name] == "" {
			continue
		}
		if m.root && os.Geteuid() != 0 {
			return fmt.Errorf("only root can install it: %s %s", strings.Join(m.commands[len(m.commands)-1], " "), packages[m.name])
		}
		for i, args := range m.commands {
			if i == len(m.commands)-1 {
				args = append(args[:len(args):len(args)], packages[m.name])
			}
			fmt.Fprintln(log, strings.Join(args, " "))
			cmd := exec.CommandContext(ctx, args[0], args[1:]...) // #nosec G204 -- of the table above
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
			}
		}
		return nil
	}
	return errors.New("there is no package manager that can install it")
}

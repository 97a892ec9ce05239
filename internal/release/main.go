// Release checks that the modules of this repository agree, as they are released
// together at one version, and writes that version:
//
//	go run ./internal/release             # check
//	go run ./internal/release -set v0.2.0 # require that version of each other
//	go run ./internal/release -tags       # the tags of a release, one on a line
//
// docs/releasing.md tells how a release is made.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	modversion "golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

func main() {
	version := flag.String("set", "", "write this `version` into the requirements that the modules have of each other")
	tags := flag.Bool("tags", false, "print the tags of a release")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "release: unexpected argument %q: there are only flags\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*version, *tags); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version string, tags bool) error {
	root, err := findRoot()
	if err != nil {
		return err
	}
	r, err := load(root)
	if err != nil {
		return err
	}
	if version != "" {
		if semver.Canonical(version) != version {
			return fmt.Errorf("%q is no version of the form v1.2.3", version)
		}
		if err := modversion.Check(r.path(), version); err != nil {
			return err
		}
		if err := r.set(version); err != nil {
			return err
		}
	}
	if err := r.check(); err != nil {
		return err
	}
	if !tags {
		fmt.Printf("%d modules agree on %s\n", len(r.modules), r.version())
		return nil
	}
	for _, m := range r.modules {
		fmt.Println(strings.TrimPrefix(m.folder+"/", "./") + r.version())
	}
	return nil
}

// findRoot is the folder of go.work.
func findRoot() (string, error) {
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOWORK").Output()
	if err != nil {
		return "", err
	}
	work := strings.TrimSpace(string(out))
	if work == "" || work == "off" {
		return "", fmt.Errorf("there is no go.work here")
	}
	return filepath.Dir(work), nil
}

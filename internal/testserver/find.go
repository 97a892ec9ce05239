package testserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var errNotInstalled = errors.New("not installed")

// findPrograms returns the folder that holds all of the programs, in a version
// that runs. It looks on PATH, and then in the folders that match the patterns,
// the highest version first.
//
// Programs of one folder belong together: a link on PATH may lead to one of them
// and not to the others, and those of two versions do not fit.
func findPrograms(ctx context.Context, programs []string, patterns ...string) (string, error) {
	folders := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortFunc(found, func(a, b string) int { return compareVersions(b, a) })
		folders = append(folders, found...)
	}
	for _, folder := range folders {
		first, err := filepath.EvalSymlinks(filepath.Join(folder, programs[0]))
		if err != nil {
			continue
		}
		if folder = filepath.Dir(first); allRun(ctx, folder, programs) {
			return folder, nil
		}
	}
	return "", fmt.Errorf("%w: no folder of PATH or %s has %s", errNotInstalled,
		strings.Join(patterns, ", "), strings.Join(programs, " and "))
}

func allRun(ctx context.Context, folder string, programs []string) bool {
	for _, program := range programs {
		// #nosec G204,G702 -- the programs of this machine's servers
		if exec.CommandContext(ctx, filepath.Join(folder, program), "--version").Run() != nil {
			return false
		}
	}
	return true
}

var digits = regexp.MustCompile(`\d+`)

// compareVersions compares paths by the numbers in them: 9.6 is below 15.
func compareVersions(a, b string) int {
	return cmp.Or(slices.Compare(numbers(a), numbers(b)), strings.Compare(a, b))
}

func numbers(path string) (ns []int) {
	for _, text := range digits.FindAllString(path, -1) {
		n, _ := strconv.Atoi(text) // what does not fit is the largest
		ns = append(ns, n)
	}
	return ns
}

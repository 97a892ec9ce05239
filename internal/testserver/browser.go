package testserver

import (
	"context"
	"path/filepath"
)

// program is one that tests run themselves: its URL is its path.
type program string

func (p program) URL() string { return string(p) }

func (program) Stop() error { return nil }

// browserFolders are where systems keep a Chromium that they do not put on PATH.
var browserFolders = []string{
	"/usr/lib64/chromium-browser",
	"/Applications/Chromium.app/Contents/MacOS",
}

// findChromium finds a Chromium, by any of the names that systems give it.
func findChromium(ctx context.Context) (server, error) {
	var folder string
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "Chromium"} {
		if folder, err = findPrograms(ctx, []string{name}, browserFolders...); err == nil {
			return program(filepath.Join(folder, name)), nil
		}
	}
	return nil, err
}

// axe is the checker of accessibility that runs in a page.
var axe = npmPackage{
	name: "axe-core", version: "4.14.1",
	digest: "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
	folder: "package/", keep: "axe-core", file: "axe.min.js",
}

func fetchAxe(ctx context.Context, o *Options) (server, error) {
	folder, err := axe.fetch(ctx, o)
	if err != nil {
		return nil, err
	}
	return program(filepath.Join(folder, axe.file)), nil
}

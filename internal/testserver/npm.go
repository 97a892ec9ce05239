package testserver

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// npmPackage is a package of npm that carries a program, and its digest.
type npmPackage struct {
	name, version string
	digest        string // SHA-512, base64
	folder        string // the part of the package that is needed, with a slash at the end
	keep          string // the folder that it is kept in, in the user's cache
	file          string // one of its files: if that is there, all are
}

// fetch returns the folder of the files. They are fetched once; no script of the package is run.
func (p npmPackage) fetch(ctx context.Context, o *Options) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "endpointcache", p.keep+"-"+p.version)
	if _, err := os.Stat(filepath.Join(folder, p.file)); err == nil {
		return folder, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which fetches it, is %w", errNoNPM)
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), p.keep+"-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	fmt.Fprintln(o.log(), "npm pack", p.name+"@"+p.version)
	// #nosec G204 -- npm of this machine
	cmd := exec.CommandContext(ctx, npm, "pack", p.name+"@"+p.version, "--ignore-scripts", "--silent", "--pack-destination", work)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, bytes.TrimSpace(out))
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := p.unpack(filepath.Join(work, p.name+"-"+p.version+".tgz"), unpacked); err != nil {
		return "", err
	}
	if err := os.Rename(unpacked, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(filepath.Join(folder, p.file)); there != nil {
			return "", err
		}
	}
	return folder, nil // another process may have been first
}

var errNoNPM = errors.New("missing")

// unpack writes the files that are needed to a new folder, if the package is the one that is expected.
func (p npmPackage) unpack(file, folder string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	digest := sha512.Sum512(data)
	if got := base64.StdEncoding.EncodeToString(digest[:]); got != p.digest {
		return fmt.Errorf("%s has the digest %s, want %s", filepath.Base(file), got, p.digest)
	}
	if err := os.Mkdir(folder, 0o755); err != nil { // #nosec G301 -- servers may run as another user
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ours := strings.CutPrefix(header.Name, p.folder)
		if !ours || header.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		content, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
}

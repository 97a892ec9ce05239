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

// The npm package that carries DynamoDB Local, and its digest.
const (
	dynamoDBPackage = "amplify-dynamodb-simulator@2.9.30"
	dynamoDBDigest  = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
	dynamoDBFolder  = "package/emulator/" // in the package
)

// fetchDynamoDB returns the folder of the program. It is fetched once, and kept in the
// user's cache; no script of the package is run.
func fetchDynamoDB(ctx context.Context, o *Options) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "endpointcache", "dynamodb-local-2.9.30")
	if _, err := os.Stat(filepath.Join(folder, "DynamoDBLocal.jar")); err == nil {
		return folder, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("npm, which fetches it, is %w", errNoNPM)
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), "dynamodb-local-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	fmt.Fprintln(o.log(), "npm pack", dynamoDBPackage)
	// #nosec G204 -- npm of this machine
	cmd := exec.CommandContext(ctx, npm, "pack", dynamoDBPackage, "--ignore-scripts", "--silent", "--pack-destination", work)
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack: %w: %s", err, bytes.TrimSpace(out))
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpackDynamoDB(filepath.Join(work, strings.ReplaceAll(dynamoDBPackage, "@", "-")+".tgz"), unpacked); err != nil {
		return "", err
	}
	if err := os.Rename(unpacked, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(filepath.Join(folder, "DynamoDBLocal.jar")); there != nil {
			return "", err
		}
	}
	return folder, nil // another process may have been first
}

var errNoNPM = errors.New("missing")

// unpackDynamoDB writes the program's files to a new folder, if the package is the one
// that is expected.
func unpackDynamoDB(file, folder string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	digest := sha512.Sum512(data)
	if got := base64.StdEncoding.EncodeToString(digest[:]); got != dynamoDBDigest {
		return fmt.Errorf("%s has the digest %s, want %s", filepath.Base(file), got, dynamoDBDigest)
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
		name, ours := strings.CutPrefix(header.Name, dynamoDBFolder)
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

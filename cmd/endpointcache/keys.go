package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/access"
	"github.com/endpointcache/endpointcache/seal"
)

// keyFiles are the names of files with the keys of a sealed store.
type keyFiles []string

// open opens what is sealed in a store, as that tells how it was. Where there are no files, the store stays as it is.
func (f keyFiles) open(ctx context.Context, s *session, below driver.Store) (driver.Store, error) {
	if len(f) == 0 {
		return below, nil
	}
	keys, digestKey, err := f.read()
	if err != nil {
		return nil, err
	}
	opts, err := seal.OptionsOf(ctx, below)
	if errors.Is(err, seal.ErrNotSealed) {
		return nil, fmt.Errorf("%w: leave --keys away", err)
	}
	if err != nil {
		return nil, err
	}
	opts.DigestKey, opts.Logger = digestKey, s.log
	if opts.KeyColumn != nil && len(digestKey) == 0 {
		return nil, usagef("there are digests in its keys: --keys needs a line with the digest key, too")
	}
	opened, err := seal.New(below, keys, opts)
	if err != nil {
		return nil, err
	}
	if err := opensAny(ctx, opened); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// errSealed is the error where something has to be read that is sealed.
var errSealed = errors.New("what is stored is sealed: --keys FILE opens it")

// mostTried is how many entries of a table are tried with the keys.
const mostTried = 100

// opensAny is an error where other keys have sealed what is there: as these open nothing, there would seem to be nothing.
func opensAny(ctx context.Context, opened driver.Store) error {
	specs, err := opened.Tables(ctx)
	if err != nil {
		return err
	}
	var unknown error
	for _, spec := range specs {
		table, err := opened.OpenTable(ctx, spec)
		if err != nil {
			return err
		}
		n := 0
		for found, err := range driver.Examine(ctx, opened, table, spec, driver.Selection{Parts: driver.Meta}) {
			switch {
			case err != nil:
				return err
			case errors.Is(found.Fault, seal.ErrUnknownKey):
				unknown = errors.New("the keys open nothing that is stored: it is sealed with others")
			default:
				return nil
			}
			if n++; n == mostTried {
				break
			}
		}
	}
	return unknown
}

// read reads the keys: those of one Tink keyset, or those that are bytes, and the key of digests.
func (f keyFiles) read() (keys *seal.Keys, digestKey []byte, err error) {
	var handle *keyset.Handle
	var secrets [][]byte
	for _, path := range f {
		content, err := readSecret(path)
		if err != nil {
			return nil, nil, err
		}
		named := func(err error) error { return fmt.Errorf("the keys in %s: %w", term.Quote(path), err) }
		switch {
		case !utf8.Valid(content): // the bytes of one key
			secrets = append(secrets, content)
		case bytes.HasPrefix(bytes.TrimSpace(content), []byte("{")):
			if handle != nil {
				return nil, nil, usagef("--keys takes one keyset, which can have many keys")
			}
			if bytes.Contains(content, []byte(`"encryptedKeyset"`)) {
				return nil, nil, named(errors.New("the keyset is encrypted: it has to be in the clear here, as tinkey convert-keyset writes it"))
			}
			if handle, err = insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content))); err != nil {
				return nil, nil, named(errors.New("it is no keyset of Tink in JSON")) // the cause may show some of it
			}
		default:
			some, digest, err := parseKeys(string(content))
			if err == nil && digest != nil && digestKey != nil {
				err = errors.New("there is a digest key already")
			}
			if err != nil {
				return nil, nil, named(err)
			}
			secrets = append(secrets, some...)
			if digest != nil {
				digestKey = digest
			}
		}
	}
	switch {
	case handle != nil && len(secrets) > 0:
		return nil, nil, usagef("--keys takes a keyset, or keys that are bytes, not both")
	case handle != nil:
		keys, err = seal.FromKeyset(handle)
	case len(secrets) > 0:
		keys, err = seal.FromBytes(secrets[0], secrets[1:]...)
	default:
		err = errors.New("there is no key in the files of --keys")
	}
	return keys, digestKey, err
}

// parseKeys reads keys in base64, one on a line. One behind the word digest is that of digests.
func parseKeys(text string) (secrets [][]byte, digestKey []byte, err error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		encoded, isDigest := strings.CutPrefix(line, "digest ")
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("line %d is no key in base64", n) // which is not shown
		case isDigest && digestKey != nil:
			return nil, nil, fmt.Errorf("line %d is a second digest key", n)
		case isDigest:
			digestKey = key
		default:
			secrets = append(secrets, key)
		}
	}
	return secrets, digestKey, nil
}

// maxSecret is how large a file of keys may be, in bytes.
const maxSecret = 1 << 20

// readSecret reads a file that only its owner can read. As ssh does, it refuses one of this user that others can.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if others := info.Mode().Perm() & access.Others; access.Mine(info) && others != 0 {
		return nil, fmt.Errorf("the keys in %s are not used, as others can read them: its permissions are %v, chmod 600 makes it this user's alone",
			term.Quote(path), info.Mode())
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(content) > maxSecret {
		err = fmt.Errorf("%s is too large for a file of keys", term.Quote(path))
	}
	return content, err
}

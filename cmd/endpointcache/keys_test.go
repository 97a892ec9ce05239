package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/seal"
	"github.com/endpointcache/endpointcache/store"
)

// sealedLocation is a filled store whose entries are sealed. Commands see it as it is.
func sealedLocation(t *testing.T, keys *seal.Keys, opts *seal.Options) *location {
	t.Helper()
	p := newLocation(t, "sqlite")
	p.program.open = func(ctx context.Context, url string, o *store.Options) (driver.Store, error) {
		below, err := store.Open(ctx, url, o)
		if err != nil {
			return nil, err
		}
		return seal.New(below, keys, opts)
	}
	filled(t, p)
	p.program.open = nil
	return p
}

func TestSealedStores(t *testing.T) {
	dir := t.TempDir()
	secret, older := bytes.Repeat([]byte{'k'}, 32), bytes.Repeat([]byte{0xff}, 40)
	encoded := base64.StdEncoding.EncodeToString(secret) + "\n"
	handle, err := keyset.NewHandle(aead.XAES256GCM192BitNonceKeyTemplate())
	check(t, err)
	var tink bytes.Buffer
	check(t, insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&tink)))
	for name, content := range map[string]string{
		"key": encoded, "bytes": string(older), "several": "# the keys of a program\n\n" + base64.StdEncoding.EncodeToString(older) + "\n" + encoded,
		"digest": encoded + "digest " + encoded, "tink.json": tink.String(), "empty": "# none\n", "text": "a text\n", "short": "c2hvcnQ=\n",
		"encrypted.json": `{"encryptedKeyset":"AAAA"}`, "damaged.json": "{}", "open": encoded,
	} {
		mode := os.FileMode(0o600)
		if name == "open" {
			mode = 0o644
		}
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(content), mode))
	}
	raw, err := seal.FromBytes(secret)
	check(t, err)
	fromTink, err := seal.FromKeyset(handle)
	check(t, err)
	for name, sealed := range map[string]struct {
		keys *seal.Keys
		opts *seal.Options
	}{
		"sealed": {raw, nil},
		"signed": {raw, &seal.Options{Mode: seal.Sign}},
		"tink":   {fromTink, nil},
		"digests": {raw, &seal.Options{DigestKey: secret, Names: seal.Digest, KeyColumn: func(table, column string) seal.Form {
			if table == "tracks" && column == "id" {
				return seal.Digest
			}
			return seal.Clear
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			p := sealedLocation(t, sealed.keys, sealed.opts)
			p.golden(t, name, p.url, "STORE", dir, "DIR", t.TempDir(), "NEW")
		})
	}
}

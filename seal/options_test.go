package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/signature"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/seal"
)

func newMemory(tb testing.TB) driver.Store {
	tb.Helper()
	s, err := memory.New(nil)
	check(tb, err)
	tb.Cleanup(func() { check(tb, s.Close()) })
	return s
}

func newKeyset(tb testing.TB, template *tinkpb.KeyTemplate) *keyset.Handle {
	tb.Helper()
	h, err := keyset.NewHandle(template)
	check(tb, err)
	return h
}

func TestWhatCannotBeIsAnError(t *testing.T) {
	below := newMemory(t)
	forMAC, err := seal.FromKeyset(newKeyset(t, mac.HMACSHA256Tag256KeyTemplate()))
	check(t, err)
	forAEAD, err := seal.FromKeyset(newKeyset(t, aead.AES256GCMKeyTemplate()))
	check(t, err)
	both := keys(t, 1)
	for name, c := range map[string]struct {
		below driver.Store
		keys  *seal.Keys
		opts  *seal.Options
		want  string
	}{
		"no store":                {nil, both, nil, "no store"},
		"no keys":                 {below, nil, nil, "no keys"},
		"zero keys":               {below, &seal.Keys{}, nil, "no keys"},
		"an unknown mode":         {below, both, &seal.Options{Mode: 7}, "mode 7"},
		"an unknown form":         {below, both, &seal.Options{Names: 7}, "form 7"},
		"no digest key":           {below, both, &seal.Options{Names: seal.Digest}, "DigestKey"},
		"no digest key of keys":   {below, both, &seal.Options{KeyColumn: digestAll}, "DigestKey"},
		"a short digest key":      {below, both, &seal.Options{Names: seal.Digest, DigestKey: []byte("short")}, "32"},
		"signed and digested":     {below, both, &seal.Options{Mode: seal.Sign, Names: seal.Digest, DigestKey: secret(1)}, "signed"},
		"signed and digested too": {below, both, &seal.Options{Mode: seal.Sign, KeyColumn: digestAll, DigestKey: secret(1)}, "signed"},
		"signed with AEAD keys":   {below, forAEAD, &seal.Options{Mode: seal.Sign}, "MAC"},
		"encrypted with MAC keys": {below, forMAC, nil, "AEAD"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := seal.New(c.below, c.keys, c.opts)
			if err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}
	s, err := seal.New(below, both, nil)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	if err := s.SetKeys(nil); err == nil {
		t.Error("no error of no keys")
	}
	if err := s.SetKeys(forMAC); err == nil {
		t.Error("no error of keys that cannot encrypt")
	}
}

func TestKeysThatAreNoneAreErrors(t *testing.T) {
	for name, secrets := range map[string][][]byte{
		"none": {nil}, "short": {secret(1)[:31]}, "a short older one": {secret(1), []byte("x")}, "twice": {secret(1), secret(2), secret(1)},
	} {
		if k, err := seal.FromBytes(secrets[0], secrets[1:]...); err == nil || k != nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), string(secret(1))) {
			t.Errorf("%s: the error has a key in it", name)
		}
	}
	mixed := keyset.NewManagerFromHandle(newKeyset(t, aead.AES256GCMKeyTemplate()))
	_, err := mixed.Add(mac.HMACSHA256Tag256KeyTemplate())
	check(t, err)
	handle, err := mixed.Handle()
	check(t, err)
	for name, h := range map[string]*keyset.Handle{
		"nil": nil, "for signatures": newKeyset(t, signature.ED25519KeyTemplate()), "of two kinds": handle,
	} {
		if k, err := seal.FromKeyset(h); err == nil || k != nil {
			t.Errorf("a keyset that is %s: no error", name)
		}
	}
}

// templates are those of all kinds of keys that Tink has.
var templates = map[string]struct {
	mode     seal.Mode
	template *tinkpb.KeyTemplate
}{
	"AES-GCM":           {seal.Encrypt, aead.AES256GCMKeyTemplate()},
	"AES-GCM raw":       {seal.Encrypt, aead.AES256GCMNoPrefixKeyTemplate()},
	"AES-GCM-SIV":       {seal.Encrypt, aead.AES256GCMSIVKeyTemplate()},
	"X-AES-GCM":         {seal.Encrypt, aead.XAES256GCM192BitNonceKeyTemplate()},
	"AES-CTR-HMAC":      {seal.Encrypt, aead.AES256CTRHMACSHA256KeyTemplate()},
	"ChaCha20":          {seal.Encrypt, aead.ChaCha20Poly1305KeyTemplate()},
	"XChaCha20":         {seal.Encrypt, aead.XChaCha20Poly1305KeyTemplate()},
	"HMAC-SHA-256":      {seal.Sign, mac.HMACSHA256Tag256KeyTemplate()},
	"HMAC-SHA-512":      {seal.Sign, mac.HMACSHA512Tag512KeyTemplate()},
	"AES-CMAC":          {seal.Sign, mac.AESCMACTag128KeyTemplate()},
	"HMAC with 16 byte": {seal.Sign, mac.HMACSHA256Tag128KeyTemplate()},
}

func TestKeysetsOfTink(t *testing.T) {
	for name, c := range templates {
		t.Run(name, func(t *testing.T) {
			handle := newKeyset(t, c.template)
			k, err := seal.FromKeyset(handle)
			check(t, err)
			s := openSealed(t, "memory", k, &seal.Options{Mode: c.mode})
			table := s.table(t, spec)
			all, asked := entries(20, 1)
			check(t, table.Put(t.Context(), all))
			if got := found(t, table, everything, asked...); len(got) != 20 || string(got[3].Payload) != string(all[3].Payload) {
				t.Errorf("%d of 20 entries are found", len(got))
			}

			// The keyset gets another primary key, then the first one is disabled.
			first := handle.KeysetInfo().GetPrimaryKeyId()
			manager := keyset.NewManagerFromHandle(handle)
			id, err := manager.Add(c.template)
			check(t, err)
			check(t, manager.SetPrimary(id))
			rotate := func() {
				handle, err := manager.Handle()
				check(t, err)
				k, err := seal.FromKeyset(handle)
				check(t, err)
				check(t, s.SetKeys(k))
			}
			rotate()
			if got := found(t, table, everything, asked...); len(got) != 20 {
				t.Errorf("%d of 20 entries are found with two keys", len(got))
			}
			reseal(t, s, -1)
			check(t, manager.Disable(first))
			rotate()
			if got := found(t, table, everything, asked...); len(got) != 20 {
				t.Errorf("%d of 20 entries are found with the new key", len(got))
			}
			if failed := s.Stats().Failed; failed != 0 {
				t.Errorf("%d entries could not be opened", failed)
			}
		})
	}
}

func TestADisabledPrimaryKeyIsAnError(t *testing.T) {
	if _, err := seal.FromKeyset(new(keyset.Handle)); err == nil {
		t.Error("no error of an empty keyset")
	}
}

func TestCloseClosesWhatIsBelow(t *testing.T) {
	below := newMemory(t)
	s, err := seal.New(below, keys(t, 1), nil)
	check(t, err)
	for range 2 {
		check(t, s.Close())
	}
	if _, err := below.OpenTable(t.Context(), spec); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("%v, want %v", err, driver.ErrClosed)
	}
	if _, err := s.Reseal(t.Context()); !errors.Is(err, driver.ErrClosed) {
		t.Errorf("reseal: %v, want %v", err, driver.ErrClosed)
	}
}

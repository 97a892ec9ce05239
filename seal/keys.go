package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
)

// Keys are the keys that entries are sealed with: the primary one seals what is stored, all
// of them open what is read. They do not change; [Store.SetKeys] takes others.
type Keys struct {
	primary *secretKey
	byID    map[uint32]*secretKey
}

// secretKey is one key, and the number that a box names it by. cipher is nil of a key that can
// only sign, and signer of one that can only encrypt.
type secretKey struct {
	id     uint32
	cipher cipher
	signer signer
}

// minKey is the least length of a key that is given as bytes.
const minKey = 32

// FromBytes returns keys for [Encrypt] and [Sign] that are derived, by HKDF with SHA-256 (RFC
// 5869), from secrets of 32 random bytes or more. The primary one seals, the older ones only
// open. The secrets are not kept.
//
// Boxes are sealed with XChaCha20-Poly1305 and random nonces of 192 bits, of which a key can
// have as many as any fleet writes. Tags are HMAC-SHA-256.
func FromBytes(primary []byte, older ...[]byte) (*Keys, error) {
	keys := &Keys{byID: make(map[uint32]*secretKey)}
	for i, secret := range append([][]byte{primary}, older...) {
		if len(secret) < minKey {
			return nil, fmt.Errorf("seal: key %d has %d bytes: a key has %d random bytes at least", i, len(secret), minKey)
		}
		k, err := derive(secret)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d: %w", i, err)
		}
		if keys.byID[k.id] != nil {
			return nil, fmt.Errorf("seal: key %d is there twice", i)
		}
		keys.add(k, i == 0)
	}
	return keys, nil
}

// derive makes a key for both modes of a secret.
func derive(secret []byte) (*secretKey, error) {
	parts := make(map[string][]byte)
	for label, size := range map[string]int{"id": 4, "encrypt": 32, "sign": 32} {
		part, err := hkdf.Key(sha256.New, secret, nil, "endpointcache seal 1 "+label, size)
		if err != nil {
			return nil, err
		}
		parts[label] = part
	}
	c, err := newXChaCha(parts["encrypt"])
	if err != nil {
		return nil, err
	}
	return &secretKey{id: binary.BigEndian.Uint32(parts["id"]), cipher: c, signer: newHMAC(parts["sign"])}, nil
}

// FromKeyset returns the enabled keys of a Tink keyset: one of AEAD keys for [Encrypt], or
// one of MAC keys for [Sign]. Its primary key seals.
//
// How many entries a key may seal depends on its type. An entry takes two messages: with
// AES-GCM, whose nonces of 96 bits are random, NIST SP 800-38D (section 8.3) allows 2^32 for a
// key; XChaCha20-Poly1305 and X-AES-GCM have no limit that matters. With a key that a KMS
// wraps each message is a call to it.
func FromKeyset(handle *keyset.Handle) (*Keys, error) {
	if handle.Len() == 0 {
		return nil, errors.New("seal: the keyset is nil or empty")
	}
	keys := &Keys{byID: make(map[uint32]*secretKey)}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("seal: read the keyset: %w", err)
		}
		if entry.KeyStatus() != keyset.Enabled {
			continue
		}
		k, err := fromEntry(entry)
		if err != nil {
			return nil, fmt.Errorf("seal: key %d of the keyset: %w", entry.KeyID(), err)
		}
		keys.add(k, entry.IsPrimary())
	}
	if keys.primary == nil {
		return nil, errors.New("seal: the keyset has no enabled primary key")
	}
	for _, k := range keys.byID {
		if (k.cipher == nil) != (keys.primary.cipher == nil) {
			return nil, errors.New("seal: the keyset has keys that encrypt and keys that sign")
		}
	}
	return keys, nil
}

// fromEntry makes a primitive of one key, so that a box names its key and no other is tried.
func fromEntry(entry *keyset.Entry) (*secretKey, error) {
	manager := keyset.NewManager()
	id, err := manager.AddKey(entry.Key())
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, err
	}
	alone, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	a, noAEAD := aead.New(alone)
	if noAEAD == nil {
		return &secretKey{id: entry.KeyID(), cipher: tinkCipher{a}}, nil
	}
	m, noMAC := mac.New(alone)
	if noMAC == nil {
		return &secretKey{id: entry.KeyID(), signer: tinkSigner{m}}, nil
	}
	return nil, fmt.Errorf("it is neither an AEAD key (%w) nor a MAC key (%w)", noAEAD, noMAC)
}

func (k *Keys) add(key *secretKey, primary bool) {
	k.byID[key.id] = key
	if primary {
		k.primary = key
	}
}

// and returns keys that open what others open, too.
func (k *Keys) and(others *Keys) *Keys {
	byID := maps.Clone(others.byID)
	maps.Copy(byID, k.byID)
	return &Keys{primary: k.primary, byID: byID}
}

// check reports keys that cannot do what a mode needs.
func (k *Keys) check(m Mode) error {
	switch {
	case k == nil || k.primary == nil:
		return errors.New("seal: there are no keys")
	case m == Encrypt && k.primary.cipher == nil:
		return errors.New("seal: the keys are for signing: encryption needs a keyset of AEAD keys")
	case m == Sign && k.primary.signer == nil:
		return errors.New("seal: the keys are for encryption: signing needs a keyset of MAC keys")
	}
	return nil
}

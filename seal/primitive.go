package seal

import (
	stdcipher "crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash"
	"sync"

	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/crypto/chacha20poly1305"
)

// cipher encrypts and authenticates. Many goroutines may use it at once.
type cipher interface {
	// overhead is about by how much a box is longer than what is in it.
	overhead() int

	// seal appends a box to dst, which does not overlap plain.
	seal(dst, plain, associated []byte) ([]byte, error)

	// open returns what is in a box, in the box's own memory if inPlace allows that.
	open(box, associated []byte, inPlace bool) ([]byte, error)
}

// signer makes tags. Many goroutines may use it at once.
type signer interface {
	sign(dst, data []byte) ([]byte, error) // appends the tag
	verify(tag, data []byte) error
}

var errMismatch = errors.New("it does not match")

// xChaCha is a cipher whose boxes begin with their nonce.
type xChaCha struct{ aead stdcipher.AEAD }

func newXChaCha(key []byte) (xChaCha, error) {
	a, err := chacha20poly1305.NewX(key)
	return xChaCha{a}, err
}

func (c xChaCha) overhead() int { return c.aead.NonceSize() + c.aead.Overhead() }

func (c xChaCha) seal(dst, plain, associated []byte) ([]byte, error) {
	var nonce [chacha20poly1305.NonceSizeX]byte
	_, _ = rand.Read(nonce[:]) // which never fails
	return c.aead.Seal(append(dst, nonce[:]...), nonce[:], plain, associated), nil
}

func (c xChaCha) open(box, associated []byte, inPlace bool) ([]byte, error) {
	if len(box) < c.overhead() {
		return nil, errMismatch
	}
	nonce, sealed := box[:c.aead.NonceSize()], box[c.aead.NonceSize():]
	dst := sealed[:0]
	if !inPlace {
		dst = make([]byte, 0, len(sealed)-c.aead.Overhead())
	}
	return c.aead.Open(dst, nonce, sealed, associated)
}

// tinkCipher is a key of a Tink keyset.
type tinkCipher struct{ aead tink.AEAD }

func (tinkCipher) overhead() int { return 64 }

func (c tinkCipher) seal(dst, plain, associated []byte) ([]byte, error) {
	box, err := c.aead.Encrypt(plain, associated)
	return append(dst, box...), err
}

func (c tinkCipher) open(box, associated []byte, _ bool) ([]byte, error) {
	return c.aead.Decrypt(box, associated)
}

// hmacs makes HMAC-SHA-256. It keeps hashes that know the key: to begin with the key takes as
// long as what is short.
type hmacs struct{ pool *sync.Pool }

func newHMAC(key []byte) hmacs {
	return hmacs{&sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (h hmacs) sign(dst, data []byte) ([]byte, error) {
	mac := h.pool.Get().(hash.Hash)
	defer h.pool.Put(mac)
	mac.Reset()
	_, _ = mac.Write(data)
	return mac.Sum(dst), nil
}

func (h hmacs) verify(tag, data []byte) error {
	var room [sha256.Size]byte
	if want, _ := h.sign(room[:0], data); !hmac.Equal(tag, want) {
		return errMismatch
	}
	return nil
}

// tinkSigner is a key of a Tink keyset.
type tinkSigner struct{ mac tink.MAC }

func (s tinkSigner) sign(dst, data []byte) ([]byte, error) {
	tag, err := s.mac.ComputeMAC(data)
	return append(dst, tag...), err
}

func (s tinkSigner) verify(tag, data []byte) error { return s.mac.VerifyMAC(tag, data) }

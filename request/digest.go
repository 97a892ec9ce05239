package request

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"sync"
)

// digests are what stands in a key for text that is not to be in it.
type digests struct {
	keyed bool
	pool  *sync.Pool // of *digest
}

// digest makes one digest. What it has copied needs not escape from its caller.
type digest struct {
	hash hash.Hash
	text [1024]byte
	sum  [sha256.Size]byte
}

// minDigestKey is the size of the smallest key that cannot be found by trying.
const minDigestKey = 16

func newDigests(key []byte) digests {
	key = slices.Clone(key)
	return digests{len(key) > 0, &sync.Pool{New: func() any {
		if len(key) == 0 {
			return &digest{hash: sha256.New()}
		}
		return &digest{hash: hmac.New(sha256.New, key)}
	}}}
}

// append appends what stands for text, which may be what follows dst in one array.
func (d digests) append(dst, text []byte) []byte {
	made := d.of(text)
	defer d.pool.Put(made)
	if d.keyed {
		dst = append(dst, "{hmac:"...)
	} else {
		dst = append(dst, "{sha256:"...)
	}
	return append(d.appendSum(dst, made), '}')
}

// sum is the digest of two texts.
func (d digests) sum(head, text []byte) string {
	made := d.of(head, text)
	defer d.pool.Put(made)
	return string(d.appendSum(nil, made))
}

func (d digests) of(texts ...[]byte) *digest {
	made := d.pool.Get().(*digest)
	made.hash.Reset()
	for _, text := range texts {
		for len(text) > 0 {
			n := copy(made.text[:], text)
			made.hash.Write(made.text[:n])
			text = text[n:]
		}
	}
	made.hash.Sum(made.sum[:0])
	return made
}

func (d digests) appendSum(dst []byte, made *digest) []byte {
	if !d.keyed {
		return hex.AppendEncode(dst, made.sum[:])
	}
	// Of a digest that nobody else can make, half is as good, and keys are shorter.
	return base64.RawURLEncoding.AppendEncode(dst, made.sum[:16])
}

package preambles

import (
	"os"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/endpointcache/endpointcache/seal"
)

var (
	secret, newer, digestKey []byte

	file   *os.File
	kms    tink.AEAD
	keys   *seal.Keys
	sealed *seal.Store
	_      *keyset.Handle
)

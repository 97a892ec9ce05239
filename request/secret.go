package request

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
)

// appendDigest appends what stands in a key for text that is not to be in it.
// text may be what follows dst in one array.
func appendDigest(dst, text []byte) []byte {
	sum := sha256.Sum256(text)
	dst = append(dst, "{sha256:"...)
	return append(hex.AppendEncode(dst, sum[:]), '}')
}

// secrets are names of parameters whose values are secret, in the form of
// foldSecret.
type secrets map[string]bool

// secretNames are those of which the whole tells it, and secretEnds those that
// tell it at the end of a name.
var (
	secretNames = secrets{
		"appid": true, "auth": true, "authorization": true, "bearer": true, "jwt": true, "key": true,
		"pass": true, "pwd": true, "session": true, "sid": true, "sig": true, "sign": true, "token": true,
	}
	secretEnds = [][]byte{
		[]byte("accesskey"), []byte("accesstoken"), []byte("apikey"), []byte("apitoken"), []byte("appkey"),
		[]byte("authkey"), []byte("authtoken"), []byte("credential"), []byte("idtoken"), []byte("passwd"),
		[]byte("password"), []byte("privatekey"), []byte("refreshtoken"), []byte("secret"), []byte("secretkey"),
		[]byte("securitytoken"), []byte("sessionid"), []byte("sessionkey"), []byte("sessiontoken"),
		[]byte("signature"), []byte("subscriptionkey"), []byte("usertoken"),
	}
)

func newSecrets(names []string) (secrets, error) {
	all := maps.Clone(secretNames)
	for _, name := range names {
		folded := string(foldSecret(nil, name))
		if folded == "" {
			return nil, fmt.Errorf("Secret: %q has no letter or digit", name)
		}
		all[folded] = true
	}
	return all, nil
}

func (s secrets) has(name string) bool {
	if s == nil {
		return false
	}
	var buf [64]byte
	folded := foldSecret(buf[:0], name)
	if s[string(folded)] {
		return true
	}
	for _, end := range secretEnds {
		if bytes.HasSuffix(folded, end) {
			return true
		}
	}
	return false
}

// foldSecret appends the letters and digits of a name in lower case.
func foldSecret(dst []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		case isAlnum(rune(c)):
			dst = append(dst, c)
		}
	}
	return dst
}

package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strings"

	"github.com/endpointcache/endpointcache/driver"
)

// In mode Sign the seal is a digest of the payload, and a tag of that, of the header, and of
// all that the meta data is bound to. So a renewal makes another tag without the payload.

// digestPayload is the digest of a payload and of what tells how it stands there.
func digestPayload(s *scratch, e *driver.Entry) (digest [tieSize]byte) {
	s.bound = appendString(s.bound[:0], e.Encoding)
	s.bound = binary.BigEndian.AppendUint32(s.bound, e.PayloadSum)
	h := sha256.New()
	_, _ = h.Write(s.bound)
	_, _ = h.Write(e.Payload)
	h.Sum(digest[:0])
	return digest
}

// bindSigned adds to what the meta data is bound to what is readable here.
func bindSigned(b []byte, e *driver.Entry, tie []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, e.MetaSum)
	return append(b, tie...)
}

// signMeta is the header below.
func (c *codec) signMeta(s *scratch, k *secretKey, e *driver.Entry, in *inside) (string, error) {
	header, err := canonical(string(in.header))
	if err != nil {
		return "", err
	}
	s.bound = bindSigned(c.bindMeta(s.bound[:0], e.Key, e), e, in.tie[:])
	s.bound = append(s.bound, header...)
	s.box = append(appendHead(s.box[:0], c.format, k), in.tie[:]...)
	if s.box, err = k.signer.sign(s.box, s.bound); err != nil {
		return "", err
	}
	return sealText(s, header), nil
}

// verifyMeta checks the tag. s.bound has what the meta data is bound to.
func (c *codec) verifyMeta(s *scratch, k *secretKey, e *driver.Entry, in *inside, sealed []byte, header string) error {
	if len(sealed) < tieSize {
		return errMalformed
	}
	tie, tag := sealed[:tieSize], sealed[tieSize:]
	s.bound = bindSigned(s.bound, e, tie)
	n := len(s.bound)
	s.bound = append(s.bound, header...)
	if k.signer.verify(tag, s.bound) != nil {
		usual, err := canonical(header)
		if err != nil || usual == header {
			return errMismatch
		}
		if s.bound = append(s.bound[:n], usual...); k.signer.verify(tag, s.bound) != nil {
			return errMismatch
		}
		header = usual // not what else has the same form
	}
	copy(in.tie[:], tie)
	in.payloadKey, in.payloadSum, in.metaSum = k.id, e.PayloadSum, e.MetaSum
	in.header = []byte(header)
	return nil
}

// canonical is the form of a header that is signed: without white space, members in the order
// of their names. A store that has a type for JSON gives it back in another one.
func canonical(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	var object map[string]any
	d := json.NewDecoder(strings.NewReader(header))
	d.UseNumber()
	if err := d.Decode(&object); err != nil {
		return "", err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

package preview

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// mostUnpacked is what a compressed body is unpacked to at most: a small one may be made to have no end.
const mostUnpacked = 256 << 20

// ErrCoding means that a Content-Encoding is not known here.
var ErrCoding = errors.New("the content coding is not known")

// Plain returns a body without its Content-Encoding: gzip, deflate or zstd, at most most bytes of it; 0: all, up to 256 MiB.
// whole is false if that is not all of it. The result may be body itself, or a part of it.
func Plain(header http.Header, body []byte, most int) (plain []byte, whole bool, err error) {
	most = min(max(most, 0), mostUnpacked)
	packed := io.Reader(bytes.NewReader(body))
	var r io.Reader
	switch coding(header) {
	case "":
		if most == 0 || len(body) <= most {
			return body, true, nil
		}
		return body[:most:most], false, nil
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(packed)
	case "deflate": // RFC 9110, section 8.4.1.2, tells of senders that leave out zlib's frame
		if r, err = zlib.NewReader(packed); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostUnpacked)); err == nil {
			defer z.Close()
		}
		r = z
	default:
		return nil, false, fmt.Errorf("%w: %q", ErrCoding, coding(header))
	}
	if err != nil {
		return nil, false, err
	}
	if most == 0 {
		most = mostUnpacked
	}
	plain, err = io.ReadAll(io.LimitReader(r, int64(most)+1))
	switch {
	case len(plain) > most:
		return plain[:most], false, nil
	case err != nil && len(plain) > 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return plain, false, nil
	case err != nil:
		return nil, false, err
	}
	return plain, true, nil
}

// coding is the Content-Encoding of a body, empty for none.
func coding(header http.Header) string {
	text := strings.ToLower(strings.TrimSpace(strings.Join(header.Values("Content-Encoding"), ", ")))
	if text == "identity" {
		return ""
	}
	return Line(text)
}

// asUTF8 returns a text in UTF-8: of the charset that its byte order mark or its Content-Type tells. What tells none stays as it is.
// It is false if the charset is not known, or the text is not in it.
func asUTF8(header http.Header, plain []byte, whole bool) ([]byte, bool) {
	enc, ok := charset(header, plain)
	if !ok {
		return nil, false
	}
	if enc == nil {
		return bytes.TrimPrefix(plain, []byte("\ufeff")), true
	}
	text, err := enc.NewDecoder().Bytes(plain)
	if err != nil {
		return nil, false
	}
	if !whole { // of the last character a part may be missing
		text = bytes.TrimSuffix(text, []byte(string(utf8.RuneError)))
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), true
}

// charset is the encoding of a text, nil for UTF-8 and for one of which nothing is told.
func charset(header http.Header, plain []byte) (encoding.Encoding, bool) {
	for mark, order := range map[string]unicode.Endianness{"\xfe\xff": unicode.BigEndian, "\xff\xfe": unicode.LittleEndian} {
		if bytes.HasPrefix(plain, []byte(mark)) {
			return unicode.UTF16(order, unicode.UseBOM), true
		}
	}
	_, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	name := strings.ToLower(params["charset"])
	if err != nil || name == "" || bytes.HasPrefix(plain, []byte("\ufeff")) {
		return nil, true
	}
	enc, err := htmlindex.Get(name)
	if err != nil || name == "x-user-defined" || name == "replacement" {
		return nil, false
	}
	if canonical, err := htmlindex.Name(enc); err != nil || canonical == "utf-8" {
		return nil, true // what is not UTF-8 shows as it is
	}
	return enc, true
}

// decoded is a body that is text, in UTF-8. It is false if it is none: bytes that are not shown as characters.
func decoded(header http.Header, mediaType string, plain []byte, whole bool) ([]byte, bool) {
	text, ok := asUTF8(header, plain, whole)
	if !ok { // as bytes
		text = plain
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, false
	}
	cut := text
	if !whole {
		cut = text[:wholeRunes(text)]
	}
	if utf8.Valid(cut) && (isText(mediaType) || strings.HasPrefix(http.DetectContentType(text), "text/")) {
		return text, true
	}
	return text, isText(mediaType) && strings.HasPrefix(http.DetectContentType(text), "text/")
}

// unescaped is a name or value of form data.
func unescaped(text []byte) string {
	plain, err := url.QueryUnescape(string(text))
	if err != nil {
		return string(text)
	}
	return plain
}

// UTF8 returns a body that is JSON or text as it is compared with another: without its Content-Encoding, and in UTF-8 if it
// is in another charset that is known. whole is false where that cannot be done, or would be more than 256 MiB.
func UTF8(header http.Header, body []byte) (text []byte, whole bool) {
	plain, whole, err := Plain(header, body, 0)
	if err != nil || !whole {
		return nil, false
	}
	if text, ok := asUTF8(header, plain, true); ok {
		return text, true
	}
	return plain, true
}

package archive

import (
	"bytes"
	"encoding/base64"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/repository"
)

// entry is the response as it is stored, in answer to a request with that method, if it can be.
func (r *foreignResponse) entry(method string) (e repository.Entry, ok bool) {
	status := r.status()
	if status == 0 {
		return e, false
	}
	h := repository.Head{Header: headerOf(r.Headers), Proto: protoOf(r.HTTPVersion)}
	if text := strings.TrimSpace(r.StatusText); text != http.StatusText(status) && !strings.ContainsFunc(text, isControl) {
		h.Reason = text
	}
	payload, ok := r.payload(method, status)
	if !ok {
		return e, false
	}
	if r.Content != nil && h.Header.Get("Content-Type") == "" && len(payload) > 0 {
		if kind := strings.TrimSpace(r.Content.MimeType); kind != "" && kind != "x-unknown" && !strings.ContainsFunc(kind, isControl) {
			h.Header.Set("Content-Type", kind)
		}
	}
	if method != http.MethodHead {
		fitHeader(h.Header, payload, r.Content != nil && r.Content.Encoding != "base64")
	}
	e, err := repository.NewEntry(status, h, payload)
	return e, err == nil
}

// status is the status code, 0 if there is none that is one of a response that can be stored.
func (r *foreignResponse) status() int {
	n, err := strconv.Atoi(string(r.Status))
	if err != nil || n < 200 || n > 599 || n == http.StatusPartialContent || n == http.StatusNotModified {
		return 0
	}
	return n
}

// payload is the body; it is false if there was one and it is not known.
func (r *foreignResponse) payload(method string, status int) ([]byte, bool) {
	if r.Content != nil && r.Content.Text != nil {
		return r.Content.payload()
	}
	if method == http.MethodHead || status == http.StatusNoContent || status == http.StatusResetContent {
		return nil, true
	}
	had := isPositive(r.BodySize) || r.Content != nil && isPositive(r.Content.Size)
	return nil, !had
}

func isPositive(n interface{ Float64() (float64, error) }) bool {
	f, err := n.Float64()
	return err == nil && f > 0
}

// payload is a body that is there.
func (c *foreignContent) payload() ([]byte, bool) {
	if c.Text == nil {
		return nil, false
	}
	if !strings.EqualFold(c.Encoding, "base64") {
		return []byte(*c.Text), true
	}
	decoded, err := base64.StdEncoding.DecodeString(*c.Text)
	return decoded, err == nil
}

// protoOf is the protocol as net/http has it, however browsers name it; empty for HTTP/1.1, and where
// it is not known.
func protoOf(version string) string {
	switch strings.ToLower(version) {
	case "http/1.0":
		return "HTTP/1.0"
	case "h2", "http/2", "http/2.0":
		return "HTTP/2.0"
	case "h3", "http/3", "http/3.0":
		return "HTTP/3.0"
	default:
		return ""
	}
}

// Codings begin with these bytes. Some programs write bodies with them, though HAR does not have it so.
var (
	gzipMagic = []byte("\x1f\x8b\x08")
	zstdMagic = []byte("\x28\xb5\x2f\xfd")
)

// fitHeader makes a header fit a body that has no Content-Encoding any more, and if it is text, is in UTF-8.
func fitHeader(h http.Header, payload []byte, isText bool) {
	coded := h.Get("Content-Encoding") != "" && (bytes.HasPrefix(payload, gzipMagic) || bytes.HasPrefix(payload, zstdMagic))
	if !coded && len(h["Content-Encoding"]) > 0 {
		for _, name := range []string{"Content-Encoding", "Content-Md5", "Content-Digest", "Digest", "Repr-Digest", "Accept-Ranges"} {
			h.Del(name)
		}
	}
	if len(h["Content-Length"]) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(payload)))
	}
	if !isText {
		return
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if charset := strings.ToLower(params["charset"]); err == nil && charset != "" && charset != "utf-8" && charset != "us-ascii" {
		params["charset"] = "utf-8"
		h.Set("Content-Type", mime.FormatMediaType(kind, params))
	}
}

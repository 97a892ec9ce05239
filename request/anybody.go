package request

import (
	"cmp"
	"encoding/binary"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// anyBody is what an endpoint of any URL makes of bodies.
type anyBody struct {
	limit   int64
	none    bool // no body counts
	ignored ignoredParts
	headers []string // those about the body that count
	form    anyQuery
	digests digests
}

func newAnyBody(opts *AnyOptions, headers *anyHeaders) (b anyBody, err error) {
	b.limit = cmp.Or(opts.MaxBody, DefaultBodyLimit)
	b.none = slices.Contains(opts.IgnoreBody, "*")
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if !matchName(headers.ignored, name) {
			b.headers = append(b.headers, name)
		}
	}
	b.ignored, err = newIgnoredParts(opts.IgnoreBody)
	b.form = anyQuery{ignored: b.ignored.names, sort: opts.SortQuery, plain: true}
	return b, err
}

// digest is that of req's body and of what its bytes mean, empty where there
// is no body. ok is false where it is too large.
func (b *anyBody) digest(req *http.Request) (digest string, ok bool, err error) {
	if b.none || !hasBody(req) {
		return "", true, nil
	}
	if req.ContentLength > b.limit {
		return "", false, nil
	}
	data, err := Body(req, b.limit)
	switch {
	case errors.Is(err, ErrBodyTooLarge):
		return "", false, nil
	case err != nil:
		return "", false, err
	case len(data) == 0:
		return "", true, nil
	}
	types := linesOf(req.Header, "Content-Type")
	n := normalBody{kind: "bytes", types: types, data: data}
	if len(types) == 1 && len(linesOf(req.Header, "Content-Encoding")) == 0 {
		n = b.normalize(n)
	}
	// Each part has its length before it, so that none can pass for another.
	head := appendField(nil, []byte(n.kind))
	for _, name := range b.headers {
		lines := n.types
		if name != "Content-Type" {
			lines = linesOf(req.Header, name)
		}
		head = binary.AppendUvarint(head, uint64(len(lines)))
		for _, line := range lines {
			head = appendField(head, []byte(trim(line)))
		}
	}
	return b.digests.sum(head, n.data), true, nil
}

// normalBody is a body and its content type, without what makes no difference.
type normalBody struct {
	kind  string // what was done to the data
	types []string
	data  []byte
}

// normalize returns raw where it is not what its content type says.
func (b *anyBody) normalize(raw normalBody) normalBody {
	mediaType, params, err := mime.ParseMediaType(raw.types[0])
	if err != nil {
		return raw
	}
	switch {
	case strings.HasPrefix(mediaType, "multipart/"):
		data, err := normalMultipart(raw.data, params["boundary"], &b.ignored)
		delete(params, "boundary")
		contentType := mime.FormatMediaType(mediaType, params)
		if err != nil || contentType == "" {
			return raw
		}
		return normalBody{"multipart", []string{contentType}, data}
	case b.ignored.empty():
		return raw
	case mediaType == "application/x-www-form-urlencoded":
		return normalBody{"form", raw.types, b.form.append(nil, string(raw.data), false)}
	case isJSONType(mediaType):
		data, err := normalJSON(raw.data, &b.ignored)
		if err != nil {
			return raw
		}
		return normalBody{"json", raw.types, data}
	}
	return raw
}

func isJSONType(mediaType string) bool {
	return mediaType == "application/json" || mediaType == "text/json" || strings.HasSuffix(mediaType, "+json")
}

// linesOf returns the lines of a header, however its name is written.
func linesOf(h http.Header, name string) []string {
	var spellings []string
	for written := range h {
		if strings.EqualFold(written, name) {
			spellings = append(spellings, written)
		}
	}
	slices.Sort(spellings)
	var lines []string
	for _, written := range spellings {
		lines = append(lines, h[written]...)
	}
	return lines
}

func appendField(dst, field []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(field))), field...)
}

package request

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"slices"
)

// normalMultipart is the parts of a multipart body, without the boundary, which
// clients choose at random. An error means that the body is no such one.
func normalMultipart(data []byte, boundary string, ignored *ignoredParts) ([]byte, error) {
	if boundary == "" {
		return nil, errors.New("no boundary")
	}
	var normal []byte
	parts := multipart.NewReader(bytes.NewReader(data), boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF { //nolint:errorlint // wrapped, it means that the end is missing
			return normal, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		if name := part.FormName(); name != "" && matchName(ignored.names, name) {
			continue
		}
		normal = binary.AppendUvarint(normal, uint64(len(part.Header)))
		for _, name := range slices.Sorted(maps.Keys(part.Header)) {
			normal = appendField(normal, []byte(name))
			normal = binary.AppendUvarint(normal, uint64(len(part.Header[name])))
			for _, line := range part.Header[name] {
				normal = appendField(normal, []byte(line))
			}
		}
		normal = appendField(normal, content)
	}
}

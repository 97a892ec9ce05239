package archive_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/archive"
)

// What can be told of a file by its beginning is told, and all of it can be read afterwards.
func TestPeek(t *testing.T) {
	const begin = `{"format":"endpointcache","version":1}` + "\n" + `{"table":{"name":"t","repository":"t","key":[{"name":"id","kind":"string"}]}}` + "\n"
	const response = `{"response":{"table":"t","key":["a"],"status":200,"cachedAt":"2026-11-29T12:00:00Z"}}` + "\n"
	for text, want := range map[string]error{
		"":           archive.ErrCutShort,
		"hello\n":    archive.ErrFormat,
		`{"log":{}}`: archive.ErrFormat,
		`{"format":"endpointcache","version":99}` + "\n": archive.ErrVersion,
		begin: archive.ErrCutShort,
		begin + `{"response":{"table":"u","key":["a"],"status":200,"cachedAt":"2026-11-29T12:00:00Z"}}` + "\n": archive.ErrFormat,
		begin + response[:40]:                    archive.ErrCutShort,
		begin + response:                         nil,
		"\ufeff" + begin + response:              nil,
		begin + response + "damaged\n":           nil,
		begin + `{"end":{"responses":0}}` + "\n": nil,
	} {
		peeked(t, archive.PeekLines, text, want)
	}
	for text, want := range map[string]error{
		"":                        archive.ErrCutShort,
		"hello":                   archive.ErrFormat,
		`{"a":1}`:                 archive.ErrFormat,
		`{"log":{}}`:              archive.ErrFormat,
		`{"log":{"entries":[{`:    archive.ErrCutShort,
		`{"log":{"entries":[`:     archive.ErrCutShort,
		`{"log":{"entries":[]}}`:  nil,
		`{"log":{"entries":[1,2]`: nil,
		`{"log":{"pages":[],"entries":[{"request":{},"response":{}}, damaged`: nil,
	} {
		peeked(t, archive.PeekHAR, text, want)
	}
}

func peeked(t *testing.T, peek func(io.Reader) (io.Reader, error), text string, want error) {
	t.Helper()
	whole, err := peek(strings.NewReader(text))
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%q: %v, want %v", text, err, want)
	}
	if err != nil {
		return
	}
	if all, err := io.ReadAll(whole); err != nil || string(all) != text {
		t.Errorf("of %q there is %q, %v", text, all, err)
	}
}

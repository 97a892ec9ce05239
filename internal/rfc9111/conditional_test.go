package rfc9111

import (
	"net/http"
	"testing"
)

func TestByteRange(t *testing.T) {
	stored := http.Header{"Etag": {`"1"`}, "Last-Modified": {"Mon, 02 Jan 2006 15:04:05 GMT"}}
	for _, test := range []struct {
		spec, condition string
		first, last     int64
		ok              bool
	}{
		{"bytes=0-0", "", 0, 0, true},
		{"bytes=0-9", "", 0, 9, true},
		{"bytes=0-", "", 0, 9, true},
		{"bytes=9-", "", 9, 9, true},
		{"bytes=5-99", "", 5, 9, true},
		{"bytes=-3", "", 7, 9, true},
		{"bytes=-99", "", 0, 9, true},
		{"bytes=-0", "", 0, 0, false},
		{"bytes=10-", "", 0, 0, false},
		{"bytes=5-4", "", 0, 0, false},
		{"bytes=-", "", 0, 0, false},
		{"bytes=", "", 0, 0, false},
		{"bytes", "", 0, 0, false},
		{"", "", 0, 0, false},
		{"lines=0-1", "", 0, 0, false},
		{"bytes=0-1,3-4", "", 0, 0, false},
		{"bytes=a-b", "", 0, 0, false},
		{"bytes=--1", "", 0, 0, false},
		{"bytes=+1-2", "", 0, 0, false},
		{"bytes=0-99999999999999999999", "", 0, 0, false},
		{"bytes=0-9223372036854775807", "", 0, 0, false},
		{"bytes=0-1", `"1"`, 0, 1, true},
		{"bytes=0-1", `"2"`, 0, 0, false},
		{"bytes=0-1", `W/"1"`, 0, 0, false},
		{"bytes=0-1", "Mon, 02 Jan 2006 15:04:05 GMT", 0, 1, true},
		{"bytes=0-1", "Mon, 02 Jan 2006 15:04:06 GMT", 0, 0, false},
	} {
		request := http.Header{"Range": {test.spec}}
		if test.condition != "" {
			request.Set("If-Range", test.condition)
		}
		first, last, ok := ByteRange(request, stored, 10)
		if first != test.first || last != test.last || ok != test.ok {
			t.Errorf("%q if %q: %d-%d, %v, want %d-%d, %v", test.spec, test.condition, first, last, ok, test.first, test.last, test.ok)
		}
	}
	if _, _, ok := ByteRange(http.Header{"Range": {"bytes=0-"}}, nil, 0); ok {
		t.Error("an empty body has a part")
	}
}

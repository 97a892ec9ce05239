package textprefix_test

import (
	"testing"

	"github.com/endpointcache/endpointcache/internal/textprefix"
)

func TestWhole(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "aé": "aé", "a\xc3": "a", "日\xe6\x97": "日", "\xf4\x8f\xbf": "", "a\xff": "a\xff", "a\x97": "a\x97",
		"a\xc3a": "a\xc3a", "a\x00": "a\x00", "\ufffd": "\ufffd", "\x97\x97\x97\x97": "\x97\x97\x97\x97",
	} {
		if got := textprefix.Whole(s); got != want {
			t.Errorf("of %q %q is whole, want %q", s, got, want)
		}
	}
}

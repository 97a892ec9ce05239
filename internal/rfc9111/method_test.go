package rfc9111

import "testing"

func TestSafeMethods(t *testing.T) {
	for _, test := range []struct {
		section, method string
		want            bool
	}{
		{"9110, 9.2.1", "GET", true},
		{"9110, 9.2.1", "HEAD", true},
		{"9110, 9.2.1", "OPTIONS", true},
		{"9110, 9.2.1", "TRACE", true},
		{"9110, 9.2.1", "", true}, // GET, to net/http
		{"9110, 9.2.1", "POST", false},
		{"9110, 9.2.1", "PUT", false},
		{"9110, 9.2.1", "DELETE", false},
		{"9110, 9.2.1", "CONNECT", false},
		{"5789, 2", "PATCH", false},
		{"9110, 9.1", "get", false}, // methods have a letter case
		{"9110, 16.1.1", "SEARCH", true},
		{"9110, 16.1.1", "PROPFIND", true},
		{"9110, 16.1.1", "MKCOL", false},
		{"9111, 4.4", "UNKNOWN", false},
	} {
		if got := SafeMethod(test.method); got != test.want {
			t.Errorf("RFC %s: %q is safe is %v", test.section, test.method, got)
		}
	}
}

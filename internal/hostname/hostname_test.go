package hostname

import "testing"

func TestNamesOfOneHost(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"api.example.com", "API.Example.COM", true},
		{"bücher.example", "BüCHER.example", true},
		{"", "", true},
		{"[::1]", "[::1]", true},
		{"2001:DB8::1", "2001:db8::1", true},
		{"api.example.com", "api.example.com.", false},
		{"git.example", "gİt.example", false},
		{"straße.example", "straẞe.example", false},
		{"kelvin.example", "\u212Aelvin.example", false},
		{"bücher.example", "BÜCHER.example", false}, // at worst, a credential is not sent
		{"a\xff.example", "a\xfe.example", false},
	} {
		if got := Equal(test.a, test.b); got != test.want || (Lower(test.a) == Lower(test.b)) != got {
			t.Errorf("%q and %q are equal: %v", test.a, test.b, got)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.1.2.3": true, "::1": true,
		"": false, "localhost.example.com": false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "example.com": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

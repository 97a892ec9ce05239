// Package hostname compares the names of hosts, and tells which are this machine's.
package hostname

import "net"

// IsLoopback reports whether a host, by name or address, is this machine alone.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return Equal(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Lower is a name in small letters, of ASCII alone. Unicode has other letters that differ
// in case, and of which IDNA makes different hosts: what strings.ToLower makes of "gİt" is
// "git", and the two Unicode cases of ß are two domains.
func Lower(name string) string {
	for i := range len(name) {
		if lower(name[i]) == name[i] {
			continue
		}
		small := []byte(name)
		for ; i < len(small); i++ {
			small[i] = lower(small[i])
		}
		return string(small)
	}
	return name
}

// Equal reports whether two names are those of one host.
func Equal(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

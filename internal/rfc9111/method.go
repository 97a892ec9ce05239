package rfc9111

import "net/http"

// SafeMethod reports whether requests of that method change nothing at the origin:
// those of RFC 9110, section 9.2.1, and the others that are registered as such. The
// empty method is GET. What is unknown is not safe.
func SafeMethod(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		"PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH":
		return true
	}
	return false
}

// Package diff tells in which parts two responses differ: for a stored one and the origin's answer of this moment.
package diff

import "net/http"

// Response is a response to compare.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Change is a part that differs. From is empty where it is only in the second, To where it is only in the first.
type Change struct {
	Path     string // "status", "header ETag", or of JSON bodies a JSON Pointer after "body ", such as "body /album/title"
	Op       Op
	From, To string // JSON values as compact JSON, others as text
}

// Op is the kind of a change.
type Op string

// The kinds.
const (
	Added    Op = "added"
	Removed  Op = "removed"
	Replaced Op = "replaced"
)

// Compare returns what differs, in the order status, headers by name, body. JSON bodies are compared by member, with
// numbers as they are written; other bodies as a whole.
func Compare(stored, now Response) []Change { return nil }

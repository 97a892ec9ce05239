package request

import "github.com/endpointcache/endpointcache/internal/keytype"

// JoinList is the text of a key's field with the option list or set: its values separated by
// commas, whatever separates them in a request. A comma in a value is written as \, and a
// backslash as \\, and an empty value is \e, so that no two lists have one text. The text of
// no values is empty.
//
// A set is the same in whatever order its values are given and however often.
func JoinList(values ...string) string { return keytype.JoinList(values...) }

// SplitList returns the values of which [JoinList] makes the text s.
func SplitList(s string) ([]string, error) { return keytype.SplitList(s) }

package secret

import (
	"iter"
	"maps"
)

// CommonHeaders are those that are not looked at more closely.
func CommonHeaders() iter.Seq[string] { return maps.Keys(commonHeaders) }

package settings

import "fmt"

// Compression is how a repository's bodies are kept in its store.
type Compression uint8

const (
	// Uncompressed bodies are kept as they come.
	Uncompressed Compression = iota

	// Zstd compresses bodies with zstd, RFC 8878, if that makes them smaller. Once there are a
	// few hundred entries, it makes a dictionary of what their bodies have in common, in the
	// background, and makes another one when the entries have become many more or different.
	// JSON bodies of 2 KiB then take about a fifth of their size, and a get takes a few
	// microseconds more. The page docs/compression.md says how other programs read them.
	Zstd
)

func (c Compression) validate() error {
	if c > Zstd {
		return fmt.Errorf("unknown Compression %d", c)
	}
	return nil
}

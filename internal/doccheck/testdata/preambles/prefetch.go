package preambles

import "github.com/endpointcache/endpointcache/prefetch"

var (
	opts         *prefetch.Options
	keysFromFile func(name string) iter.Seq[TrackKey]
)

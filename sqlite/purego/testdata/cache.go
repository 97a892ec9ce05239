package cache_test

import _ "github.com/endpointcache/endpointcache/sqlite/purego"

module github.com/endpointcache/endpointcache/internal/conformance

go 1.26.0

require (
	github.com/endpointcache/endpointcache v0.1.0
	github.com/gregjones/httpcache v0.0.0-20190611155906-901d90724c79
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/mattn/go-sqlite3 v1.14.53 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)

replace github.com/endpointcache/endpointcache => ../..

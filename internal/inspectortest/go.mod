module github.com/endpointcache/endpointcache/internal/inspectortest

go 1.26.0

require (
	github.com/chromedp/cdproto v0.160.1
	github.com/chromedp/chromedp v0.23.1
	github.com/endpointcache/endpointcache v0.1.0
	github.com/endpointcache/endpointcache/examples v0.1.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/mattn/go-sqlite3 v1.14.53 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace (
	github.com/endpointcache/endpointcache => ../..
	github.com/endpointcache/endpointcache/dynamodb => ../../dynamodb
	github.com/endpointcache/endpointcache/examples => ../../examples
	github.com/endpointcache/endpointcache/internal/testserver => ../testserver
	github.com/endpointcache/endpointcache/mongodb => ../../mongodb
	github.com/endpointcache/endpointcache/prefetch/bar => ../../prefetch/bar
	github.com/endpointcache/endpointcache/redis => ../../redis
	github.com/endpointcache/endpointcache/store => ../../store
)

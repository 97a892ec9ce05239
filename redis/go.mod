module github.com/endpointcache/endpointcache/redis

go 1.26.0

require (
	github.com/endpointcache/endpointcache v0.1.0
	github.com/endpointcache/endpointcache/internal/testserver v0.1.0
	github.com/redis/rueidis v1.0.79
	go.uber.org/goleak v1.3.0
)

require golang.org/x/sys v0.50.0 // indirect

replace (
	github.com/endpointcache/endpointcache => ..
	github.com/endpointcache/endpointcache/internal/testserver => ../internal/testserver
)

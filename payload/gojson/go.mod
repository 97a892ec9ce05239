module github.com/endpointcache/endpointcache/payload/gojson

go 1.26.0

require (
	github.com/endpointcache/endpointcache v0.1.0
	github.com/goccy/go-json v0.12.0
	github.com/google/go-cmp v0.7.0
)

require github.com/go-json-experiment/json v1.27.2 // indirect

replace github.com/endpointcache/endpointcache => ../..

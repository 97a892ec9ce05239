module github.com/endpointcache/endpointcache/mongodb

go 1.26.0

require (
	github.com/endpointcache/endpointcache v0.1.0
	github.com/endpointcache/endpointcache/internal/testserver v0.1.0
	go.mongodb.org/mongo-driver/v2 v2.10.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/xdg-go/scram v1.4.0 // indirect
	github.com/xdg-go/stringprep v1.0.4 // indirect
	github.com/youmark/pkcs8 v0.0.0-20240726163527-a2c0da244d78 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace (
	github.com/endpointcache/endpointcache => ..
	github.com/endpointcache/endpointcache/internal/testserver => ../internal/testserver
)

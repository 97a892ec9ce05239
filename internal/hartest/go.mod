module github.com/endpointcache/endpointcache/internal/hartest

go 1.26.0

require (
	github.com/endpointcache/endpointcache v0.1.0
	github.com/jackc/pgx/v5 v5.13.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/endpointcache/endpointcache => ../..

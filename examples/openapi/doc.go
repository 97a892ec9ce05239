// Package openapi goes from an OpenAPI document to clients with a cache. The document is
// library.yaml; everything that is generated from it is made by
//
//	go generate ./examples/openapi/...
//
// Its packages:
//
//   - librarycache is what endpointcache has made of the document, by cache.yaml;
//   - oapiclient and ogenclient are made by oapi-codegen and ogen;
//   - kiotaclient is written by hand on kiota's runtime;
//   - libraryapi is a server for all of them.
//
// The examples put the cache under each client. The page docs/openapi.md tells how.
package openapi

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapiclient/config.yaml library.yaml
//go:generate go run github.com/ogen-go/ogen/cmd/ogen@v1.25.0 -target ogenclient -package ogenclient -config ogenclient/ogen.yaml -clean library.yaml

// Package endpointcache documents a library that gives each endpoint of an API its own
// typed response cache.
//
// An endpoint is described once, in a settings.RepositorySettings: the name of
// its table, the key that tells its responses apart, the value that they hold.
// The repository made of it reads and writes values by key, one by one and in
// bulk, takes part in the routing of requests, and is filled by prefetch. What
// is stored is each response as it came, byte for byte.
//
//   - settings describes an endpoint, with request for its requests and keys and
//     payload for its bodies, and policy says what is kept of them and for how long;
//   - repository is its typed table, and cache holds many on one store;
//   - fetch asks the API for what is missing, pages walks its listings, prefetch
//     fills repositories in bulk, and origin keeps to the API's limits;
//   - transport puts a cache under any HTTP client;
//   - sqlite, memory, filesystem, postgres, redis, mongodb and dynamodb are stores,
//     which store opens by a URL. Others implement driver and are proved by
//     drivertest. Redis, mongodb, dynamodb and store are modules of their own.
//
// The example shows them at work together. README.md, docs/ and examples/ have
// more.
package endpointcache

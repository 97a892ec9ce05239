// Package clients tests the transport under the clients of real APIs: what such a client
// reads through a cache is what it reads without one, answer by answer.
//
// It is a module of its own, because of these clients.
package clients

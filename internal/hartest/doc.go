// Package hartest shows that the HAR documents which package archive writes are ones to programs that are not
// ours: two packages of npm check and read them, also what the command endpointcache exports of the cache that an example
// leaves. It is a module of its own, as it needs Node.js.
package hartest

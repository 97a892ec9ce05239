// Package repository provides the typed table of one endpoint's responses.
//
// A [ResponseRepository] is read and written with keys and values, in bulk as
// well as one by one, and with requests and responses. What it stores is the
// response as it came; values are decoded when they are read.
//
// Most programs make repositories with cache.CreateRepository, which lets their
// requests be routed to them. [New] makes one that stands alone.
package repository

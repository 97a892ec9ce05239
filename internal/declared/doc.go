// Package declared keeps the tables of a repository to its declaration: the store remembers
// the one by which the entries were stored, and what they become where the declaration has
// changed.
//
// There is one record for each repository, which is only ever replaced by whoever has read
// it as it is: by a renewal, the compare-and-swap that all stores have. It has the declaration and the
// number of the tables with its entries: each origin that the repository has responses of has
// one. A changed declaration gets tables of another number, and so of other names. Programs
// with the older one go on with their tables until these are dropped, and never write to the newer ones.
//
// A migration copies entries into the tables of the next number, then replaces the record, then
// drops the old tables. Whoever finds one that has not ended goes on with it. The record
// says until when somebody is at work, and everybody else waits.
package declared

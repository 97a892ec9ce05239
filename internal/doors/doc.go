// Package doors tests that one declaration has one behaviour: each row of its table goes
// through every door of the library, with the same declaration and origin, and is to end
// with the same answer, number of requests and stored row.
package doors

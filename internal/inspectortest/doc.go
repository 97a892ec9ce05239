// Package inspectortest holds the tests of the inspector's pages in a real browser: what is stored is
// found, opened, compared and deleted there, nothing that is stored runs, and axe-core finds no
// serious fault. With a flag, they also make the pictures of the documentation.
//
// It is a module of its own, as the library does not need what drives the browser.
package inspectortest

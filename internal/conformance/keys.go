package main

import "github.com/endpointcache/endpointcache/request"

// A keying is one way in which the key of the library's catch-all may be made. Which
// headers are in the key changes what Vary is left to tell apart: the required tests hold
// whatever the key.
type keying struct {
	name    string
	options request.AnyOptions
	why     string
}

// bookkeeping are the headers by which the suite follows its own requests. Each has
// another value for each test, and no client of an origin sends them.
var bookkeeping = []string{"Test-Id", "Test-Name", "Req-Num"}

var keyings = []keying{
	{"default", request.AnyOptions{IgnoreHeaders: bookkeeping},
		"all headers count, but for those that the catch-all leaves out by itself, and the suite's bookkeeping"},
	{"declared", request.AnyOptions{Headers: []string{"Accept"}},
		"Accept and credentials count: APIs choose the form of a response by Accept, and not all of them say so in Vary"},
	{"vary", request.AnyOptions{IgnoreHeaders: []string{"*"}},
		"no header counts: which of them tell responses apart is Vary's to say"},
}

// declined are optional tests of what the library does not do on purpose, with the
// reason. They count as tests that apply and are not passed.
var declined = map[string]string{
	"vary-normalise-lang-order":  "languages of equal weight are told apart by their order, which many origins follow: to ignore it is no change without a meaning (RFC 9111, section 4.1; RFC 9110, section 12.5.4)",
	"vary-normalise-lang-select": "which language an origin would choose for another header is not known (RFC 9111, section 4.1; RFC 9110, section 12.1)",
	"conditional-lm-fresh-no-lm": "a response without Last-Modified is compared by its Date, which is later than that of the condition: the answer is 200 (RFC 9111, section 4.3.2; RFC 9110, section 13.1.3)",
}

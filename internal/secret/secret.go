// Package secret knows which names of headers, parameters and members stand before
// credentials, so that what stands behind them is neither stored nor shown.
//
// A name is read as words: "_", "-", "." and brackets part them, as does a capital letter
// after a small one. Its last word decides, so that a password counts and a keyword does
// not; "user_key", "userKey" and "userkey" are one name.
//
// Where a name may stand for either, it is a secret: what is hidden without need costs a
// key that cannot be requested again, what is shown without need costs more. The
// exceptions are names that APIs need for their listings: "page_token", "nextToken",
// "continuationToken", "cursor", and "state", which filters more often than it is one of
// OAuth.
package secret

import (
	"bytes"
	"slices"
)

// Param reports whether a parameter of a query, a field of a form or a cookie of that name
// has a value that is not to be shown: a credential, what is as good as one for a while,
// such as an authorization code, or what identifies a person, such as an e-mail address.
func Param(name string) bool {
	var b buffers
	w := split(name, &b)
	return w.secret() || wholeNames[string(w.text)]
}

// Member reports whether a member of a JSON object, or a field that is named like one,
// has a value that is not to be shown. It is [Param] but for names that mean something
// else in documents, such as "key" and "code".
func Member(name string) bool {
	var b buffers
	w := split(name, &b)
	return w.secret() && !documentNames[string(w.text)]
}

// Header reports whether a header of that name carries credentials, in a request or a
// response, or tells who is asking.
func Header(name string) bool {
	if commonHeaders[name] {
		return false
	}
	var b buffers
	w := split(name, &b)
	return w.header()
}

// Response reports whether a header of that name carries credentials in a response. It is
// [Header] but for signatures: those of a response are for whoever receives it.
func Response(name string) bool {
	if commonHeaders[name] {
		return false
	}
	var b buffers
	w := split(name, &b)
	return w.header() && !signatures[string(w.last())]
}

// Fold is the letters and digits of a name in lower case, which are the same for names
// that are not told apart.
func Fold(name string) string {
	var b buffers
	w := fold(name, &b)
	return string(w.text)
}

// words are a name's words in lower case, one after another.
type words struct {
	text   []byte
	starts []int // of each word in text
}

// buffers spare allocations for names of usual length.
type buffers struct {
	text   [64]byte
	starts [16]int
}

// split takes the words of name, without those at its end that say nothing of what the
// value is: "token_v2" and "passwordConfirmation" are a token and a password.
func split(name string, b *buffers) words {
	w := fold(name, b)
	for {
		w.text = bytes.TrimRight(w.text, "0123456789")
		for n := len(w.starts); n > 0 && w.starts[n-1] >= len(w.text); n-- {
			w.starts = w.starts[:n-1]
		}
		n := len(w.starts)
		// What is before them has to be more than a name for anything.
		if n < 2 || !tails[string(w.last())] || n == 2 && vague[string(w.text[:w.starts[1]])] {
			return w
		}
		w.text, w.starts = w.text[:w.starts[n-1]], w.starts[:n-1]
	}
}

func fold(name string, b *buffers) words {
	w := words{b.text[:0], b.starts[:0]}
	before := separator
	for i := range len(name) {
		c := name[i]
		kind := kindOf(c)
		if kind == separator {
			before = kind
			continue
		}
		// A capital begins a word after a small letter, and before one: the R of SAMLResponse.
		begins := before == separator || kind == capital &&
			(before != capital || i+1 < len(name) && kindOf(name[i+1]) == small)
		if begins {
			w.starts = append(w.starts, len(w.text))
		}
		if kind == capital {
			c += 'a' - 'A'
		}
		w.text = append(w.text, c)
		before = kind
	}
	return w
}

type kind uint8

const (
	separator kind = iota
	small
	capital
	digit
)

func kindOf(c byte) kind {
	switch {
	case 'a' <= c && c <= 'z':
		return small
	case 'A' <= c && c <= 'Z':
		return capital
	case '0' <= c && c <= '9':
		return digit
	}
	return separator
}

// last is the last word.
func (w *words) last() []byte { return w.word(len(w.starts) - 1) }

// word is the word of that index, empty where there is none.
func (w *words) word(i int) []byte {
	switch {
	case i < 0 || i >= len(w.starts):
		return nil
	case i == len(w.starts)-1:
		return w.text[w.starts[i]:]
	}
	return w.text[w.starts[i]:w.starts[i+1]]
}

// secret reports whether the name ends in one for a secret.
func (w *words) secret() bool {
	if len(w.text) == 0 {
		return false
	}
	last, previous := w.last(), w.word(len(w.starts)-2)
	if w.goesOn() {
		return false
	}
	if except, ok := lastWords[string(last)]; ok {
		return !slices.Contains(except, string(previous))
	}
	for _, end := range endings[w.text[len(w.text)-1]] {
		if !bytes.HasSuffix(w.text, []byte(end.text)) {
			continue
		}
		// What stands before it: in the same word, or else the word before.
		before := previous
		if len(last) > len(end.text) {
			before = last[:len(last)-len(end.text)]
		}
		return !end.exempts(before)
	}
	return hasEnd(last, "key", keysOf) || hasEnd(w.text, "code", codesOf)
}

// goesOn reports whether the name is that of a token or a key by which a listing goes on.
func (w *words) goesOn() bool {
	if last := string(w.last()); last != "token" && last != "key" {
		return false
	}
	for i := range len(w.starts) - 1 {
		if further[string(w.word(i))] {
			return true
		}
	}
	return false
}

// hasEnd reports whether text is a noun after one of the words.
func hasEnd(text []byte, noun string, after []string) bool {
	before, ok := bytes.CutSuffix(text, []byte(noun))
	return ok && slices.ContainsFunc(after, func(word string) bool { return bytes.HasSuffix(before, []byte(word)) })
}

// header is secret for a header's name.
func (w *words) header() bool {
	if w.secret() {
		return true
	}
	text, x := w.text, string(w.word(0)) == "x"
	if x {
		text = text[1:]
	}
	switch {
	case headerNames[string(text)]:
		return true
	case !x || len(w.starts) < 3:
		return false
	}
	family := string(w.word(1)) // X-Auth-User, X-Api-User
	return family == "auth" || family == "api" && !aboutAPI[string(w.last())]
}

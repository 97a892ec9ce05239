package gen

import (
	"go/token"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// initialisms are written in one case.
var initialisms = map[string]string{}

func init() {
	for word := range strings.FieldsSeq("ACL API ASCII CIDR CPU CSS CSV CVE DNS EOF GPG GUID HTML HTTP HTTPS ID IP ISBN JSON JWT LDAP OAuth OIDC " +
		"PDF QPS RAM RPC SAML SCIM SHA SKU SLA SMTP SQL SSH SSO TCP TLS TTL UDP UI UID URI URL URN UTC UTF8 UUID VAT VM XML XMPP YAML") {
		initialisms[strings.ToLower(word)] = word
	}
}

// goName is an exported name in Go for a text, such as "repos/list-for-org". It is empty
// where the text has neither letters nor digits.
func goName(text string) string {
	var b strings.Builder
	for _, word := range words(text) {
		lower := strings.ToLower(word)
		if known, ok := initialisms[lower]; ok {
			b.WriteString(known)
			continue
		}
		if singular, ok := strings.CutSuffix(lower, "s"); ok && initialisms[singular] != "" && len(singular) > 1 {
			b.WriteString(initialisms[singular] + "s")
			continue
		}
		first, size := utf8.DecodeRuneInString(word)
		b.WriteRune(unicode.ToUpper(first))
		b.WriteString(word[size:])
	}
	name := b.String()
	if first, _ := utf8.DecodeRuneInString(name); name != "" && !unicode.IsUpper(first) {
		name = "X" + name // a digit, or a letter of a script without cases
	}
	return name
}

// words are the words of a text. They end where letters and digits do, and before a capital
// letter that begins one.
func words(text string) []string {
	var all []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			all = append(all, string(word))
			word = nil
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == utf8.RuneError {
			end()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			before := runes[i-1]
			followed := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && !isPlural(runes, i)
			if unicode.IsLower(before) || unicode.IsDigit(before) || unicode.IsUpper(before) && followed {
				end()
			}
		}
		word = append(word, r)
	}
	end()
	return all
}

// isPlural tells whether the capital letter at i ends an initialism of which an "s" follows,
// as in "listIDs".
func isPlural(runes []rune, i int) bool {
	return i+1 < len(runes) && runes[i+1] == 's' && (i+2 == len(runes) || !unicode.IsLower(runes[i+2]))
}

// camel is a name as generators of clients make it of a schema's: a capital letter for each
// part.
func camel(text string) string {
	var b strings.Builder
	up := true
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		up = unicode.IsDigit(r)
	}
	return b.String()
}

// valueName is a part of a name for the value of an enumeration, of which symbols are words.
func valueName(value string) string {
	if value == "" {
		return "Empty"
	}
	var b strings.Builder
	for i, r := range value {
		if word := symbols[r]; word != "" && (i == 0 || r != '-' && r != '.') {
			b.WriteString(" " + word + " ")
			continue
		}
		b.WriteRune(r)
	}
	name := goName(b.String())
	if name == "" {
		return "Value"
	}
	if first, rest := name[0], name[1:]; first == 'X' && rest != "" && !isASCIILetter(rest[0]) {
		return rest // it stands behind another name
	}
	return name
}

func isASCIILetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

var symbols = map[rune]string{
	'+': "Plus", '-': "Minus", '*': "Star", '<': "Less", '>': "Greater", '=': "Equal", '!': "Not", '%': "Percent",
	'&': "And", '|': "Or", '#': "Hash", '@': "At", '$': "Dollar", '~': "Tilde", '^': "Caret", '.': "Dot",
}

func isIdentifier(name string) bool { return token.IsIdentifier(name) }
func isExported(name string) bool   { return token.IsExported(name) }

// unexported is a name in Go with a small first letter.
func unexported(name string) string {
	for i, r := range name {
		if !unicode.IsUpper(r) {
			if i > 1 {
				i-- // which begins the next word
			}
			return strings.ToLower(name[:i]) + name[i:]
		}
	}
	return strings.ToLower(name)
}

// names are the names that the package has.
type names struct {
	taken  map[string]bool
	number map[string]int // the last one that a name was told from others with
}

func newNames() *names {
	n := &names{taken: make(map[string]bool), number: make(map[string]int)}
	for _, name := range []string{"Client", "Create", "Fetcher", "Transport"} {
		n.taken[name] = true
	}
	return n
}

// take returns the first of the candidates of which all forms are free, or else the last
// one with a number, and takes its forms.
func (n *names) take(forms func(string) []string, candidates ...string) string {
	free := func(name string) bool {
		if name == "" {
			return false
		}
		for _, form := range forms(name) {
			if n.taken[form] {
				return false
			}
		}
		return true
	}
	chosen := ""
	for _, candidate := range candidates {
		if chosen == "" && free(candidate) {
			chosen = candidate
		}
	}
	last := candidates[len(candidates)-1]
	for i := max(2, n.number[last]); chosen == ""; i++ {
		if name := last + strconv.Itoa(i); free(name) {
			chosen, n.number[last] = name, i
		}
	}
	for _, form := range forms(chosen) {
		n.taken[form] = true
	}
	return chosen
}

// unique is the name, or else the name with a number, that is not in taken, where names that
// differ only in case are one. It adds it.
func unique(taken map[string]bool, name string) string {
	chosen := name
	for i := 2; taken[strings.ToLower(chosen)]; i++ {
		chosen = name + strconv.Itoa(i)
	}
	taken[strings.ToLower(chosen)] = true
	return chosen
}

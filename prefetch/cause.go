package prefetch

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/internal/keytype"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/repository"
)

// Cause is what several keys have failed for.
type Cause[K comparable] struct {
	// Text says what went wrong, without the parts of the errors that differ
	// between keys, such as URLs, quotations and numbers: one line, and no long one.
	Text string

	Count int // how many keys
	Keys  []K // the first few of them
}

// String is the text with the keys.
func (c Cause[K]) String() string {
	var b strings.Builder
	b.WriteString(c.Text)
	for i, key := range c.Keys {
		fmt.Fprintf(&b, "%s %s", []string{":", ","}[min(i, 1)], keytype.Show(key))
	}
	if c.Count > len(c.Keys) {
		b.WriteString(", …")
	}
	return b.String()
}

// A report is for people, and a run may be long: more is not kept.
const (
	maxCauses = 20
	maxKeys   = 3
	maxText   = 200 // characters of a cause
)

// otherCauses are those that come when there are enough.
const otherCauses = "other causes"

// causes collects the causes of failures by their text.
type causes[K comparable] struct{ byText map[string]*Cause[K] }

func (c *causes[K]) add(key K, err error) {
	text := shortened(causeOf(err))
	if c.byText == nil {
		c.byText = make(map[string]*Cause[K])
	}
	cause := c.byText[text]
	if cause == nil && len(c.byText) >= maxCauses {
		text = otherCauses
		cause = c.byText[text]
	}
	if cause == nil {
		cause = &Cause[K]{Text: text}
		c.byText[text] = cause
	}
	cause.Count++
	if len(cause.Keys) < maxKeys {
		cause.Keys = append(cause.Keys, key)
	}
}

// shortened is a text as a line that is not too long.
func shortened(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		text = string(runes[:maxText-1]) + "…"
	}
	return text
}

// sorted are the causes, the most frequent first, and then the others.
func (c *causes[K]) sorted() []Cause[K] {
	var list []Cause[K]
	for _, cause := range c.byText {
		list = append(list, *cause)
	}
	slices.SortFunc(list, func(a, b Cause[K]) int {
		return cmp.Or(order(a.Text == otherCauses, b.Text == otherCauses), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// order puts what is last behind what is not.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// causeOf is what an error has in common with those of other keys.
func causeOf(err error) string {
	var status *fetch.StatusError
	var decode *repository.DecodeError
	var network *net.OpError
	switch {
	case errors.As(err, &status):
		return strings.TrimSpace(fmt.Sprintf("status %d %s", status.Code, http.StatusText(status.Code)))
	case errors.As(err, &decode):
		return "the body cannot be decoded: " + secret.MaskValues(common(decode.Err))
	case errors.As(err, &network) && network.Addr != nil:
		return fmt.Sprintf("%s %s: %s", network.Op, network.Addr, common(network.Err))
	}
	return common(err)
}

// varying are quotations, URLs and numbers.
var varying = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|https?://\S+|\d+`)

// common is the text of the innermost error, as what is around it tells of the key.
func common(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return varying.ReplaceAllString(secret.Mask(err.Error()), "…")
		}
		err = inner
	}
}

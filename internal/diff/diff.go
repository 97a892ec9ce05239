// Package diff tells in which parts two responses differ: for a stored one and the origin's answer of this moment.
package diff

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/preview"
	"github.com/endpointcache/endpointcache/redact"
)

// Response is a response to compare.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Change is a part that differs. Nothing in it is escaped: see preview.Line.
type Change struct {
	// Path is "status", "header ETag", of JSON "body" or a JSON Pointer after it, such as "body /album/title", and of text
	// "body line 12". Elements and lines have the numbers that they have in the first response, those that are added the
	// one that they have in the second.
	Path string

	Op Op

	// From is empty where the part is only in the second, To where it is only in the first. Values of JSON are
	// compact JSON, as they are written; headers and lines are text; of other bodies it is a summary. What is longer than
	// 64 KiB is cut, and ends in "…".
	From, To string

	// Volatile is true for headers that differ from answer to answer though the response is the same: Date, Age,
	// the identifiers of requests, the state of rate limits.
	Volatile bool
}

// Op is the kind of a change.
type Op string

// The kinds.
const (
	Added    Op = "added"
	Removed  Op = "removed"
	Replaced Op = "replaced"
)

// Compare returns what differs, in the order status, headers by name, body. Headers that are never stored, such as
// those with credentials, are left out.
//
// JSON bodies are compared by member: the order of members and white space make no difference, nor does how a string is
// escaped. Numbers are equal if their values are, with all their digits: 1, 1.0 and 1e0, but not 12345678901234567890 and
// ...1. Of members with the same name the first is compared with the first. Arrays are aligned, so
// that an element that is inserted is one change; objects in them belong together by a member such as "id". Text is
// compared by line, other bodies as a whole. A Content-Encoding makes no difference to the body.
//
// It takes time in proportion to the bodies. Of JSON with more than a quarter of a million values, objects and arrays
// that are further in are compared as a whole.
func Compare(stored, now Response) []Change {
	var changes []Change
	if stored.Status != now.Status {
		changes = append(changes, Change{Path: "status", Op: Replaced, From: strconv.Itoa(stored.Status), To: strconv.Itoa(now.Status)})
	}
	changes = append(changes, headers(stored.Header, now.Header)...)
	return append(changes, bodies(stored, now)...)
}

func headers(stored, now http.Header) []Change {
	if always, err := redact.New(); err == nil {
		stored, now = always.Header(stored), always.Header(now)
	}
	names := make(http.Header)
	maps.Copy(names, now)
	maps.Copy(names, stored)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		from, inFrom := stored[name]
		to, inTo := now[name]
		c := Change{Path: "header " + name, Op: Replaced, From: joined(from), To: joined(to), Volatile: isVolatile(name)}
		switch {
		case head.HopByHop(name), inFrom && inTo && c.From == c.To:
			continue
		case !inTo:
			c.Op = Removed
		case !inFrom:
			c.Op = Added
		}
		c.From, c.To = cut(c.From), cut(c.To)
		changes = append(changes, c)
	}
	return changes
}

// joined are the lines of a header as one, RFC 9110, section 5.3.
func joined(lines []string) string {
	trimmed := make([]string, len(lines))
	for i, line := range lines {
		trimmed[i] = strings.TrimSpace(line)
	}
	return strings.Join(trimmed, ", ")
}

// bodies compares the bodies by what they are.
func bodies(stored, now Response) []Change {
	if same(stored, now) {
		return nil
	}
	const enough = 4096
	ours, theirs := preview.Of(stored.Header, stored.Body, enough).Kind, preview.Of(now.Header, now.Body, enough).Kind
	from, ok := preview.UTF8(stored.Header, stored.Body)
	to, okTo := preview.UTF8(now.Header, now.Body)
	if ok && okTo && ours == preview.JSON && theirs == preview.JSON {
		if changes, ok := values(from, to); ok {
			return changes
		}
	}
	if ok && okTo && shows(ours) && shows(theirs) {
		if changes := lines(from, to); len(changes) > 0 {
			return changes
		}
	}
	c := Change{Path: "body", Op: Replaced, From: summary(stored), To: summary(now)}
	switch {
	case len(stored.Body) == 0:
		c.Op, c.From = Added, ""
	case len(now.Body) == 0:
		c.Op, c.To = Removed, ""
	}
	return []Change{c}
}

// same reports whether the bodies have the same bytes, where they are compressed once they are unpacked.
func same(stored, now Response) bool {
	if bytes.Equal(stored.Body, now.Body) {
		return true
	}
	from, whole, err := preview.Plain(stored.Header, stored.Body, 0)
	if err != nil || !whole {
		return false
	}
	to, whole, err := preview.Plain(now.Header, now.Body, 0)
	return err == nil && whole && bytes.Equal(from, to)
}

// shows reports whether bodies of a kind have lines.
func shows(kind preview.Kind) bool { return kind == preview.JSON || kind == preview.Text }

// summary tells of a body in a few words.
func summary(r Response) string {
	b := preview.Of(r.Header, r.Body, 1)
	text := human.Things(len(r.Body), "byte", "bytes")
	if b.MediaType != "" {
		text += " of " + b.MediaType
	}
	if b.Coding != "" {
		text += " (" + b.Coding + ")"
	}
	return text
}

const mostShown = 64 << 10

// cut is a text of bounded length.
func cut(text string) string {
	if len(text) <= mostShown {
		return text
	}
	return strings.ToValidUTF8(text[:mostShown], "") + "…"
}

// volatile are headers that tell of an answer, not of the response in it.
var volatile = map[string]bool{
	"Age": true, "Date": true, "Expires": true, "Content-Length": true, "Set-Cookie": true, "Retry-After": true, "Server-Timing": true,
	"Via": true, "X-Cache": true, "X-Cache-Hits": true, "X-Served-By": true, "X-Timer": true, "X-Varnish": true, "X-Runtime": true,
	"X-Response-Time": true, "X-Process-Time": true, "Request-Id": true, "Cf-Ray": true, "Cf-Cache-Status": true, "X-Amz-Cf-Id": true,
	"X-Amz-Id-2": true, "X-Amzn-Requestid": true, "X-Azure-Ref": true, "X-Correlation-Id": true, "X-Cloud-Trace-Context": true,
	"Traceparent": true, "Tracestate": true, "Report-To": true, "Nel": true, "X-Nonce": true, "X-Envoy-Upstream-Service-Time": true,
}

func isVolatile(name string) bool {
	return volatile[name] || strings.HasSuffix(name, "-Request-Id") || strings.HasSuffix(name, "-Trace-Id") ||
		strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "X-Rate-Limit-") || strings.HasPrefix(name, "Ratelimit")
}

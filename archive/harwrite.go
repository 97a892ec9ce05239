package archive

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/exchange"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/preview"
	"github.com/endpointcache/endpointcache/request"
)

// WriteHAR writes the responses that a query selects as a HAR 1.2 document, and returns how many.
//
// Their requests are those that the store remembers the endpoints of, see [cache.Contents.Request],
// without credentials. Where nobody knows the request, its URL is "endpointcache:" with the table
// and the key, and the entry's comment says so. Contents are text in UTF-8, without a
// Content-Encoding, or else base64. Times that nobody has recorded are 0.
//
// Members named _endpointcache hold what HAR has no place for, so that [ReadHAR] finds every part as it
// was. What is sealed is an error, as in [WriteLines], and invalidations and Vary are as there.
func WriteHAR(ctx context.Context, w io.Writer, from *cache.Contents, q cache.Query) (n int, err error) {
	defer wrap(&err, "write HAR")
	tables, err := from.Tables(ctx)
	if err != nil {
		return 0, err
	}
	own := harOwn{Version: version, Tables: make([]table, len(tables))}
	for i, t := range tables {
		own.Tables[i] = tableOf(t)
	}
	out := bufio.NewWriter(w)
	defer func() { err = errors.Join(err, out.Flush()) }()
	begin, err := marshal(harCreator{"endpointcache", fmt.Sprint(version)})
	if err != nil {
		return 0, err
	}
	ours, err := marshal(own)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(out, `{"log":{"version":"1.2","creator":%s,"_endpointcache":%s,"entries":[`, begin, ours); err != nil {
		return 0, err
	}
	known, err := exchange.TransferOf(ctx, from, false)
	if err != nil {
		return 0, err
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	q.Bodies = true
	for stored, err := range from.Entries(ctx, q) {
		if err != nil {
			return n, err
		}
		req, err := known.Request(ctx, stored.Table, keyValues(&stored))
		if err != nil && !errors.Is(err, cache.ErrNoRequest) {
			return n, err
		}
		entry, err := harEntryOf(&stored, req)
		if err != nil {
			return n, err
		}
		if _, err := out.WriteString([]string{"\n", ","}[min(n, 1)]); err != nil {
			return n, err
		}
		if err := e.Encode(entry); err != nil {
			return n, err
		}
		n++
	}
	_, err = out.WriteString("]}}\n")
	return n, err
}

func keyValues(stored *cache.Stored) driver.Key {
	key := make(driver.Key, len(stored.Key))
	for i, c := range stored.Key {
		key[i] = c.Value
	}
	return key
}

// harEntryOf is the entry of a stored response to a request, which is nil where it is not known.
func harEntryOf(stored *cache.Stored, req *http.Request) (*harEntry, error) {
	own, err := responseOf(stored)
	if err != nil {
		return nil, err
	}
	h, err := head.Decode(exchange.HeadOf(stored.Entry))
	if err != nil {
		return nil, err
	}
	proto := h.Proto
	if proto == "" {
		proto = "HTTP/1.1"
	}
	reason := h.Reason
	if reason == "" {
		reason = http.StatusText(stored.Status)
	}
	content, same := contentOf(h.Header, stored.Payload)
	e := &harEntry{
		Started: harTime(stored.CachedAt), Own: &harOwnEntry{response: own},
		Response: harResponse{
			Status: stored.Status, StatusText: reason, HTTPVersion: proto, Cookies: cookiesOf(h.Header), Headers: fieldsOf(h.Header),
			Content: content, RedirectURL: validText(h.Header.Get("Location")), HeadersSize: -1, BodySize: int64(len(stored.Payload)),
		},
	}
	if !same {
		raw := bodyOf(stored.Payload)
		e.Own.Body = &raw
	}
	e.Request, e.Comment = requestOf(stored, req, proto)
	return e, nil
}

// contentOf is a body as HAR has it; same tells that it is the body to the byte.
func contentOf(h http.Header, payload []byte) (c harContent, same bool) {
	c.MimeType = validText(h.Get("Content-Type"))
	if c.MimeType == "" {
		c.MimeType = "x-unknown"
	}
	plain, whole := preview.UTF8(h, payload)
	if !whole {
		plain = payload // of a coding that is not known
	}
	text := string(plain)
	if !utf8.Valid(plain) {
		text, c.Encoding = base64.StdEncoding.EncodeToString(plain), "base64"
	}
	c.Text, c.Size = &text, int64(len(plain))
	return c, string(plain) == string(payload)
}

// maxRequest is the size of the largest body that a key tells.
const maxRequest = 1 << 20

func requestOf(stored *cache.Stored, req *http.Request, proto string) (r harRequest, comment string) {
	r = harRequest{
		Method: http.MethodGet, HTTPVersion: proto, Cookies: []harCookie{}, Headers: []harField{}, QueryString: []harField{}, HeadersSize: -1,
	}
	if req == nil {
		u := url.URL{Scheme: "endpointcache", Path: "/" + stored.Table}
		for _, c := range stored.Key {
			r.QueryString = append(r.QueryString, harField{validText(c.Name), validText(fmt.Sprint(c.Value))})
			u.RawQuery += "&" + url.QueryEscape(c.Name) + "=" + url.QueryEscape(fmt.Sprint(c.Value))
		}
		u.RawQuery = strings.TrimPrefix(u.RawQuery, "&")
		r.URL = u.String()
		return r, "The request is not known: its URL tells the table and the key of the stored response."
	}
	if req.Method != "" {
		r.Method = req.Method
	}
	r.URL, r.Headers = req.URL.String(), fieldsOf(req.Header)
	if sent, err := request.Body(req, maxRequest); err == nil && len(sent) > 0 {
		r.BodySize = int64(len(sent))
		r.PostData = &harPostData{MimeType: validText(req.Header.Get("Content-Type")), Params: []harField{}, Text: validText(string(sent))}
	}
	for pair := range strings.SplitSeq(req.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if pair != "" {
			r.QueryString = append(r.QueryString, harField{unescaped(name), unescaped(value)})
		}
	}
	return r, ""
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		text = plain
	}
	return validText(text)
}

// fieldsOf are headers in the order of their names.
func fieldsOf(h http.Header) []harField {
	fields := []harField{}
	for name, values := range h {
		for _, v := range values {
			fields = append(fields, harField{validText(name), validText(v)})
		}
	}
	slices.SortStableFunc(fields, func(a, b harField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func cookiesOf(h http.Header) []harCookie {
	cookies := []harCookie{}
	for _, c := range (&http.Response{Header: h}).Cookies() { //nolint:bodyclose // it has none
		cookies = append(cookies, harCookie{validText(c.Name), validText(c.Value)})
	}
	return cookies
}

// validText is text that JSON can hold; all of it is in our own members.
func validText(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

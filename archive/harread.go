package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// HARTarget says how the entries of a HAR become stored responses. The zero value takes those whose requests
// belong to an endpoint that the cache has, or its store remembers.
type HARTarget struct {
	// Repository is the name of the catch-all for all other requests, see [settings.CatchAll].
	// It is made where it is not there. If it is empty, they are skipped.
	Repository string

	// Any are the options of that catch-all, which the programs that are to find the responses
	// have, too; nil for the defaults. By these, all headers count that the
	// program has sent which wrote the file: a browser's are not those of another client.
	Any *request.AnyOptions

	// Expire is how long responses live from when they were requested, or [settings.NeverExpire].
	// The default is [settings.DefaultExpire].
	Expire time.Duration
}

// ReadHAR saves the responses of a HAR document, and returns how many, and how many of its entries
// were skipped. Of several for one request, the one that was requested last is saved, and one that
// is stored and newer stays. What [WriteHAR] has written comes back as it was, whatever the target says.
//
// Of other programs, a response has the status, headers and body of its entry. Bodies stand in HAR
// without their Content-Encoding, and text in UTF-8: the headers are made to fit. Credentials in a
// request make a difference to a catch-all's key, where a digest stands for them, as they do in a
// transport; they are stored nowhere. Skipped are entries without a response that can be stored: of
// status 0, 1xx, 206 or 304, without a body that the response had, of another method than GET, HEAD
// and POST, of a URL that is not http, for an endpoint for which nobody knows whose the response is,
// or for further hosts of an endpoint that has tables for 65.
//
// An error names the entry, counted from 1, and what came before it is saved. It wraps [ErrFormat]
// or [ErrCutShort] for a document that is none, and [ErrVersion] for one of a newer version of this package.
func ReadHAR(ctx context.Context, r io.Reader, to *cache.Contents, t HARTarget) (saved, skipped int, err error) {
	defer wrap(&err, "read HAR")
	h := newHARReader(r, t)
	if err := h.begin(); err != nil {
		return 0, 0, err
	}
	if err := h.place(ctx, to); err != nil {
		return 0, 0, err
	}
	saved, err = to.Save(ctx, h.responses(ctx), &cache.SaveOptions{Tables: h.tables, KeepNewer: true})
	skipped = h.entries - saved
	switch {
	case h.err != nil:
		return saved, skipped, errors.Join(h.err, err)
	case err != nil:
		return saved, skipped, h.at(err)
	}
	return saved, skipped, h.end()
}

// harReader reads a document entry by entry.
type harReader struct {
	json    *json.Decoder
	target  HARTarget
	tables  []cache.Table
	places  places
	now     time.Time
	entries int
	err     error // of an entry
}

func newHARReader(r io.Reader, t HARTarget) *harReader {
	in := bufio.NewReader(r)
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(len(mark)) // some programs write one
	}
	h := &harReader{json: json.NewDecoder(in), target: t, now: time.Now()}
	h.json.UseNumber()
	return h
}

// begin reads up to the first entry.
func (h *harReader) begin() error {
	found, err := h.member("log")
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: there is no log", ErrFormat)
	}
	for {
		name, more, err := h.name()
		switch {
		case err != nil:
			return err
		case !more:
			return fmt.Errorf("%w: there are no entries", ErrFormat)
		case name == "entries":
			return h.open('[')
		case name == "_endpointcache":
			err = h.readOwn()
		default:
			err = h.skip()
		}
		if err != nil {
			return err
		}
	}
}

// member goes to a member of the document.
func (h *harReader) member(want string) (found bool, err error) {
	if err := h.open('{'); err != nil {
		return false, err
	}
	for {
		name, more, err := h.name()
		if err != nil || !more {
			return false, err
		}
		if name == want {
			return true, h.open('{')
		}
		if err := h.skip(); err != nil {
			return false, err
		}
	}
}

// end reads what comes behind the entries, to the end of the array, the log and the document.
func (h *harReader) end() error { return h.leave(3) }

// leave reads to the end of so many arrays and objects that have begun.
func (h *harReader) leave(depth int) error {
	for depth > 0 {
		deeper, err := h.step()
		if err != nil {
			return err
		}
		depth += deeper
	}
	return nil
}

// step reads a token, and tells how much deeper it leads: by 1, 0 or -1.
func (h *harReader) step() (deeper int, err error) {
	token, err := h.token()
	switch token {
	case json.Delim('['), json.Delim('{'):
		return 1, err
	case json.Delim(']'), json.Delim('}'):
		return -1, err
	}
	return 0, err
}

func (h *harReader) token() (json.Token, error) {
	token, err := h.json.Token()
	return token, h.bad(err)
}

// bad tells a document that is cut short from one that is damaged.
func (h *harReader) bad(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return h.at(ErrCutShort)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return h.at(fmt.Errorf("%w: %w", ErrFormat, err))
	}
	return h.at(err)
}

// at names the entry that an error is about.
func (h *harReader) at(err error) error {
	if h.entries == 0 {
		return err
	}
	return fmt.Errorf("entry %d: %w", h.entries, err)
}

func (h *harReader) open(delim json.Delim) error {
	token, err := h.token()
	if err == nil && token != delim {
		err = h.at(fmt.Errorf("%w: there is no %v where one has to be", ErrFormat, delim))
	}
	return err
}

// name reads the name of the next member; more is false at the end of the object.
func (h *harReader) name() (name string, more bool, err error) {
	token, err := h.token()
	if err != nil || token == json.Delim('}') {
		return "", false, err
	}
	name, ok := token.(string)
	if !ok {
		return "", false, h.at(ErrFormat)
	}
	return name, true, nil
}

// skip reads a value, however long it is.
func (h *harReader) skip() error {
	depth, err := h.step()
	if err != nil {
		return err
	}
	return h.leave(depth)
}

// readOwn reads what we have added to the log.
func (h *harReader) readOwn() error {
	var data json.RawMessage
	if err := h.json.Decode(&data); err != nil {
		return h.bad(err)
	}
	var seen struct{ Version int }
	if json.Unmarshal(data, &seen) != nil || seen.Version != version {
		return fmt.Errorf("%w: %d, and not %d", ErrVersion, seen.Version, version)
	}
	var own harOwn
	if err := unmarshal(data, &own); err != nil {
		return fmt.Errorf("%w: _endpointcache: %w", ErrFormat, err)
	}
	for _, t := range own.Tables {
		stored, err := t.stored()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		h.tables = append(h.tables, stored)
	}
	return nil
}

// responses yields the responses of the entries. An error ends the sequence, and is kept.
func (h *harReader) responses(ctx context.Context) func(yield func(cache.Stored, error) bool) {
	return func(yield func(cache.Stored, error) bool) {
		for h.json.More() {
			h.entries++
			var entry foreignEntry
			if err := h.json.Decode(&entry); err != nil {
				if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
					continue // a part is of another type: nobody knows what it means
				}
				h.err = h.bad(err)
				return
			}
			e, ok, err := h.response(ctx, &entry)
			if err != nil {
				h.err = h.at(err)
				return
			}
			if ok && !yield(e, nil) {
				return
			}
		}
	}
}

// response is the response of an entry, if it is one that can be stored.
func (h *harReader) response(ctx context.Context, entry *foreignEntry) (e cache.Stored, ok bool, err error) {
	if len(entry.Own) > 0 && len(h.tables) > 0 {
		return h.ownResponse(entry)
	}
	if entry.Request == nil || entry.Response == nil {
		return e, false, nil
	}
	req, ok := entry.Request.request(ctx)
	if !ok {
		return e, false, nil
	}
	started, err := time.Parse(time.RFC3339, entry.Started)
	if err != nil {
		return e, false, nil //nolint:nilerr // nobody knows how old it is
	}
	entryOf, ok := entry.Response.entry(req.Method)
	if !ok {
		return e, false, nil
	}
	if e, ok, err = h.places.of(ctx, req); !ok {
		return e, false, err
	}
	e.Entry = entryOf
	if e.CachedAt = started; started.After(h.now) {
		e.CachedAt = h.now
	}
	switch d := h.target.Expire; d {
	case settings.NeverExpire:
	case 0:
		e.ExpiresAt = e.CachedAt.Add(settings.DefaultExpire)
	default:
		e.ExpiresAt = e.CachedAt.Add(d)
	}
	return e, true, nil
}

// ownResponse is one that WriteHAR has written.
func (h *harReader) ownResponse(entry *foreignEntry) (e cache.Stored, ok bool, err error) {
	var own harOwnEntry
	if err := unmarshal(entry.Own, &own); err != nil {
		return e, false, fmt.Errorf("%w: _endpointcache: %w", ErrFormat, err)
	}
	var payload []byte
	switch {
	case own.Body != nil:
		payload, err = own.Body.payload()
	case entry.Response != nil && entry.Response.Content != nil:
		payload, ok = entry.Response.Content.payload()
		if !ok {
			err = errors.New("there is no body")
		}
	default:
		err = errors.New("there is no content")
	}
	if err == nil {
		e, err = own.stored(h.tables, payload)
	}
	if err != nil {
		return e, false, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return e, true, nil
}

// request is the request of an entry, if it is one whose response may be stored.
func (r *foreignRequest) request(ctx context.Context) (*http.Request, bool) {
	method := strings.ToUpper(r.Method)
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return nil, false
	}
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, false
	}
	u.Fragment, u.RawFragment = "", ""
	var body io.Reader
	if p := r.PostData; p != nil && p.Text != nil {
		text := []byte(*p.Text)
		if p.Encoding == "base64" { // as some programs have it
			if text, err = base64.StdEncoding.DecodeString(*p.Text); err != nil {
				return nil, false
			}
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, false
	}
	req.Header = headerOf(r.Headers)
	for _, name := range []string{"Host", "Content-Length"} { // which the URL and the body tell
		req.Header.Del(name)
	}
	return req, true
}

// headerOf are fields as net/http has them. Browsers write the pseudo-headers of HTTP/2 there, and several
// values of one name with line ends between.
func headerOf(fields []harField) http.Header {
	h := make(http.Header, len(fields))
	for _, f := range fields {
		if !head.IsToken(f.Name) {
			continue
		}
		for line := range strings.SplitSeq(f.Value, "\n") {
			if line = textproto.TrimString(line); !strings.ContainsFunc(line, isControl) {
				h.Add(f.Name, line)
			}
		}
	}
	return h
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

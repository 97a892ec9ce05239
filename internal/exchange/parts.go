package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
)

// A part of a response, RFC 9111, sections 3.3 and 3.4, is an entry of status 206. Its
// payload is all bytes that are known, and a note says which these are. It is for requests
// with a Range alone: to all others there is nothing.

// partsNote says which bytes the payload of a part is.
const partsNote = "parts"

func (s *Stored) isPart() bool { return s != nil && IsPart(s.Entry.Status) }

// Parts are the bytes that s has of its representation.
func (s *Stored) Parts() rfc9111.Parts {
	if s.isPart() {
		return s.parts
	}
	return rfc9111.WholeParts(int64(len(s.Entry.Payload)))
}

// readParts reads which bytes a part has, and reports whether that can be told.
func (s *Stored) readParts() (ok bool) {
	s.parts, ok = rfc9111.ParseParts(s.Head.Notes[partsNote], int64(len(s.Entry.Payload)))
	return ok
}

// takesPart reports whether a part may be looked at for the ask. Filters of a policy are
// not asked about parts of a body.
func (a *Ask) takesPart(s *Stored) bool {
	return !a.Values && a.Rules.Controls() && a.Rules.serve == nil && s.readParts()
}

// answeredBy reports whether s has all that is asked for. A range in a unit that is not
// known here is the origin's to understand.
func (t *Terms) answeredBy(s *Stored) bool {
	switch {
	case t.Range == nil:
		return !s.isPart()
	case !s.isPart():
		_, wanted := rfc9111.Ranges(t.Range, int64(len(s.Entry.Payload)))
		return wanted != rfc9111.OfAnotherUnit || t.neverForward()
	}
	_, wanted, known := s.parts.Wanted(t.Range)
	return known && wanted != rfc9111.OfAnotherUnit && rfc9111.RangeHolds(t.Range, s.Head.Header, s.Entry.CachedAt)
}

// completes reports whether the origin is to be asked for no more than what s lacks: where
// it can say whether that is still of the same representation, or s is fresh.
func (t *Terms) completes(s *Stored, now time.Time) bool {
	if !t.Completes || t.wantsNews() {
		return false
	}
	_, ok := s.parts.Rest()
	return ok && (rfc9111.StrongValidator(s.Head.Header, s.Entry.CachedAt) != "" || t.satisfiedBy(s, now))
}

// setPart makes a part that is no answer to the flight's ask one that the answer may be
// combined with.
func (f *Flight) setPart() {
	s := f.old
	if !s.isPart() || f.ask.answeredBy(s) {
		return
	}
	f.part, f.old = s, nil
	if f.ask.completes(s, f.x.Now()) {
		rest, _ := s.parts.Rest()
		f.rest = &rest
	}
}

// Amends reports whether the request to the origin is not the caller's as it stands.
func (f *Flight) Amends() bool { return f.conditional || f.rest != nil || f.renews && f.ask.Partial }

// Amend makes the headers of the request those for the origin.
func (f *Flight) Amend(h http.Header) {
	switch {
	case f.conditional && f.old.isPart():
		// Where it has changed, it is the caller's part that is wanted.
		rfc9111.SetValidators(h, f.old.Head.Header)
		return
	case f.rest != nil:
		h.Set("Range", rfc9111.RangeOf(*f.rest, f.part.parts.Size))
		if validator := rfc9111.StrongValidator(f.part.Head.Header, f.part.Entry.CachedAt); validator != "" {
			h.Set("If-Range", validator)
		}
		return
	case f.conditional:
		rfc9111.SetValidators(h, f.old.Head.Header)
	default:
		h.Del("If-None-Match")
		h.Del("If-Modified-Since")
	}
	h.Del("Range")
	h.Del("If-Range")
}

// completed makes a whole response of the rest, where it is that. It is false where the
// origin has to be asked for the whole.
func (f *Flight) completed(resp *http.Response) (*http.Response, bool) {
	if f.rest == nil {
		return resp, true
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable:
		return resp, false
	default:
		return resp, true
	}
	now, old := f.x.Now(), f.part
	p := old.parts
	span, size, ok := rfc9111.ParseContentRange(resp.Header)
	if !ok || span != *f.rest || size >= 0 && size != p.Size || resp.ContentLength > 0 && resp.ContentLength != span.Len() ||
		!rfc9111.SameBytes(old.Head.Header, resp.Header, old.Entry.CachedAt, now) {
		return resp, false
	}
	var before, after []byte
	if span.First > 0 {
		before = p.Bytes(old.Entry.Payload, rfc9111.Span{First: 0, Last: span.First - 1})
	}
	if span.Last < p.Size-1 {
		after = p.Bytes(old.Entry.Payload, rfc9111.Span{First: span.Last + 1, Last: p.Size - 1})
	}
	whole := *resp
	whole.StatusCode, whole.Status = http.StatusOK, "200 "+http.StatusText(http.StatusOK)
	whole.Header = rfc9111.CombinedHeaders(old.Head.Header, resp.Header, now)
	whole.Header.Set("Content-Length", strconv.FormatInt(p.Size, 10))
	whole.ContentLength, whole.TransferEncoding = p.Size, nil
	whole.Body = &completedBody{
		Reader: io.MultiReader(bytes.NewReader(before), &exactly{resp.Body, span.Len()}, bytes.NewReader(after)),
		Closer: resp.Body,
	}
	return &whole, true
}

// completedBody is a body of which the origin sends a part.
type completedBody struct {
	io.Reader
	io.Closer
}

// exactly is a body that has to have as many bytes as were said.
type exactly struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		var more [1]byte
		switch n, err := e.from.Read(more[:]); {
		case n > 0:
			return 0, errMiscounted
		default:
			return 0, err
		}
	}
	n, err := e.from.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(max(n, 0))
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// keepsPart reports whether a response of status 206 may be kept as a part. The tags of a
// response are those of its value, which a part does not tell.
func (a *Ask) keepsPart(h http.Header) bool {
	if a.Values || a.Range == nil || !a.Rules.Controls() || a.Rules.serve != nil || a.Rules.decidesByBody() || a.Table.Tags != nil {
		return false
	}
	_, _, ok := rfc9111.ParseContentRange(h)
	return ok && !isMultipart(h)
}

// policyStatus is the status that policies decide by: a part is kept for as long as the
// whole would be.
func policyStatus(status int) int {
	if status == http.StatusPartialContent {
		return http.StatusOK
	}
	return status
}

// partOf is the part that the flight's response has brought. A body may be shorter than
// its Content-Range says only where it is all that the response has.
func (f *Flight) partOf(payload []byte) (rfc9111.Parts, bool) {
	p, ok := rfc9111.PartOf(f.resp.Header, int64(len(payload)))
	return p, ok && (!p.Miscounted || f.resp.ContentLength == int64(len(payload)))
}

// putParts saves parts, each combined with what is known already.
func (s *saves) putParts(ctx context.Context, of []int) error {
	var errs []error
	for _, at := range of {
		if err := s.putPart(ctx, at); errors.Is(err, driver.ErrTooLarge) {
			s.errs[at] = err
		} else {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// maxRivals is how often another program's save may come between reading what is stored
// and saving what was made of it.
const maxRivals = 3

// putPart saves a part. Within this process parts of one key take turns, so that none is
// lost.
func (s *saves) putPart(ctx context.Context, at int) error {
	x, f := s.t.x, s.flights[at]
	done, err := x.vary.saving(ctx, f.ask.flightKey())
	if err != nil {
		return err
	}
	defer done()
	for range maxRivals {
		base, err := s.baseOf(ctx, f)
		if err != nil {
			return err
		}
		v := x.combined(f, base)
		if v == nil || !v.isPart() && !x.makesValue(f.ask.Table, v) {
			return nil
		}
		if rfc9111.Varies(v.Head.Header) {
			if err := x.prepareVariant(ctx, &f.ask, v); err != nil {
				return err
			}
		}
		stored, err := s.putOne(ctx, at, v)
		if err != nil || stored {
			return err
		}
	}
	return nil
}

// putOne saves v as the answer of a flight, unless what is stored is newer.
func (s *saves) putOne(ctx context.Context, at int, v *Stored) (bool, error) {
	f := s.flights[at]
	var err error
	if v.Entry.Header, err = head.Encode(v.Head); err != nil {
		return false, err
	}
	v.Entry.Key = f.ask.Key
	stored, err := s.t.table.PutIf(ctx, []driver.Entry{v.Entry}, driver.Condition{If: driver.IfNewer})
	if err != nil {
		return false, err
	}
	s.t.x.counts.stored.Add(int64(count(stored)))
	s.undo(ctx, []int{at}, stored)
	return count(stored) == 1, nil
}

// baseOf is what is stored of the flight's variant, nil for nothing.
func (s *saves) baseOf(ctx context.Context, f *Flight) (*Stored, error) {
	var read once
	if err := s.t.table.Get(ctx, []driver.Key{f.ask.Key}, allParts(s.t.x), read.visit); err != nil || !read.ok {
		return nil, err
	}
	latest, err := newStored(read.entry)
	switch {
	case err != nil:
		return nil, nil //nolint:nilerr // it is of no use, and replaced
	case f.ask.matches(latest):
		if latest.isPart() && !latest.readParts() {
			return nil, nil
		}
		return latest, nil
	case f.part != nil && f.part.beside:
		return f.part, nil
	}
	return nil, nil
}

// A part is saved with all that is known besides. So that the bytes which are written
// for many small parts stay few, one is only added to a payload that is small, or not
// much larger.
const (
	smallPayload = 1 << 20
	muchLarger   = 32
)

// combined is what is to be stored of the flight's part and what is stored already; nil
// where that stays as it is.
func (x *Exchange) combined(f *Flight, base *Stored) *Stored {
	own := f.stored.Clone()
	same := base != nil && rfc9111.SameBytes(base.Head.Header, own.Head.Header, base.Entry.CachedAt, f.answered)
	switch {
	case !same && base != nil && base.Entry.Status == http.StatusOK && base.Fresh(x.Now()) &&
		!(rfc9111.HasValidator(base.Head.Header) && rfc9111.HasValidator(own.Head.Header)):
		return nil // nothing says that it has changed
	case !same:
		return f.instead(base, own)
	}
	if n := len(base.Entry.Payload); n > smallPayload && len(own.Entry.Payload) < n/muchLarger {
		return nil
	}
	p, payload, fit := rfc9111.Combine(base.Parts(), own.parts, base.Entry.Payload, own.Entry.Payload, x.opts.MaxBody)
	switch fit {
	case rfc9111.Together:
	case rfc9111.TooMuch:
		return nil
	default:
		return f.instead(base, own)
	}
	newest := own
	if base.Entry.CachedAt.After(own.Entry.CachedAt) {
		newest = base.Clone()
		newest.Head.Header = rfc9111.CombinedHeaders(own.Head.Header, base.Head.Header, base.Entry.CachedAt)
	} else {
		own.Head.Header = rfc9111.CombinedHeaders(base.Head.Header, own.Head.Header, f.answered)
	}
	if !newest.Entry.CachedAt.After(base.Entry.CachedAt) {
		newest.Entry.CachedAt = base.Entry.CachedAt.Add(time.Microsecond)
	}
	newest.Entry.Payload = payload
	newest.setParts(p)
	return newest
}

// instead is the flight's part, where it is to take the place of what is stored. What was
// asked for with If-Range may lack headers that a whole has to have.
func (f *Flight) instead(base, own *Stored) *Stored {
	switch {
	case base != nil && base.Entry.CachedAt.After(own.Entry.CachedAt):
		return nil
	case len(f.ask.Range["If-Range"]) > 0 && own.Head.Header.Get("Content-Type") == "":
		return nil
	}
	return own
}

// setParts makes s the parts, or the whole where they are all of it.
func (s *Stored) setParts(p rfc9111.Parts) {
	for _, name := range []string{"Content-Range", "Content-Length"} {
		s.Head.Header.Del(name)
	}
	s.parts, s.Head.Reason = p, ""
	if !p.Whole() {
		s.Entry.Status = http.StatusPartialContent
		s.note(partsNote, p.String())
		if len(p.Spans) == 1 { // for those who look at the table
			s.Head.Header.Set("Content-Range", p.ContentRange(p.Spans[0]))
			s.Head.Header.Set("Content-Length", strconv.FormatInt(p.Len(), 10))
		}
		return
	}
	s.Entry.Status = http.StatusOK
	delete(s.Head.Notes, partsNote)
	s.Head.Header.Set("Content-Length", strconv.FormatInt(p.Size, 10))
}

// makesValue gives a whole that was made of parts its name. It is false where the
// declaration cannot decode it.
func (x *Exchange) makesValue(t *Table, s *Stored) bool {
	if t.Decode == nil {
		return true
	}
	err := guarded(func() (err error) {
		_, s.Entry.Name, err = t.Decode(s.Entry.Payload, false)
		return err
	})
	if err != nil {
		x.counts.undecodable.Add(1)
		x.undecodable("save", t, err)
	}
	return err == nil
}

// replaceParts saves whole responses that were not stored because a newer part is: what
// the part has is in the whole, too.
func (s *saves) replaceParts(ctx context.Context, of []int, stored []bool) error {
	var errs []error
	for i, at := range of {
		f := s.flights[at]
		if stored[i] || !f.ask.Rules.Controls() || f.entry.Status != http.StatusOK || f.outdated.Load() {
			continue
		}
		errs = append(errs, s.replacePart(ctx, at))
	}
	return errors.Join(errs...)
}

func (s *saves) replacePart(ctx context.Context, at int) error {
	f := s.flights[at]
	done, err := s.t.x.vary.saving(ctx, f.ask.flightKey())
	if err != nil {
		return err
	}
	defer done()
	whole, err := newStored(f.entry)
	if err != nil {
		return err
	}
	return s.putOverPart(ctx, at, whole)
}

// putOverPart saves a whole response in place of a newer part of it, if that is what is
// stored. The key's turn is the caller's.
func (s *saves) putOverPart(ctx context.Context, at int, whole *Stored) error {
	f := s.flights[at]
	part, err := s.baseOf(ctx, f)
	if err != nil || !part.isPart() || !rfc9111.SameBytes(part.Head.Header, whole.Head.Header, part.Entry.CachedAt, f.answered) {
		return err
	}
	whole.Head.Header = rfc9111.CombinedHeaders(whole.Head.Header, part.Head.Header, part.Entry.CachedAt)
	whole.Entry.CachedAt, whole.Entry.ExpiresAt = part.Entry.CachedAt.Add(time.Microsecond), part.Entry.ExpiresAt
	whole.noteAge(part.Age(part.Entry.CachedAt))
	whole.setParts(rfc9111.WholeParts(int64(len(whole.Entry.Payload))))
	_, err = s.putOne(ctx, at, whole)
	return err
}

package exchange

import (
	"net/http"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/head"
)

// Redact is a response as the table stores it: without what is not to be stored. Its head
// is h itself where nothing changes.
func (t *Table) Redact(status int, h head.Head, body []byte) (_ head.Head, redacted []byte, err error) {
	if h.Header, redacted, err = t.redactor.Response(status, h.Header, body); err == nil && h.Trailer != nil {
		// As a header, it loses what describes a body that has changed.
		h.Trailer, _, err = t.redactor.Response(http.StatusOK, h.Trailer, body)
	}
	return h, redacted, err
}

// RedactBody is a body as the table stores it, and its name: where the body changes, that
// of what is left. The error is also that of what is left, if it cannot be decoded.
func (t *Table) RedactBody(status int, h http.Header, body []byte, name string) ([]byte, string, error) {
	redacted, err := t.redactor.Body(h, body)
	if err == nil {
		name, err = t.renamed(status, body, redacted, name)
	}
	return redacted, name, err
}

func (t *Table) renamed(status int, body, redacted []byte, name string) (string, error) {
	same := len(body) == len(redacted) && (len(body) == 0 || &body[0] == &redacted[0])
	if same || t.Decode == nil || !hasValue(status) {
		return name, nil
	}
	_, name, err := t.Decode(redacted, false)
	return name, err
}

// redact prepares what is saved of an answer, and its head where there is one. It is false
// if nothing can be saved.
func (f *Flight) redact(h *head.Head) bool {
	t, e := f.ask.Table, &f.entry
	err := guarded(func() (err error) { // a function of the declaration may fail over what is left
		if h == nil {
			f.saved, e.Name, err = t.RedactBody(e.Status, f.resp.Header, e.Payload, e.Name)
			return err
		}
		if *h, f.saved, err = t.Redact(e.Status, *h, e.Payload); err == nil {
			e.Name, err = t.renamed(e.Status, e.Payload, f.saved, e.Name)
		}
		return err
	})
	if err != nil {
		f.x.log.Warn("endpointcache: a response is not saved, since it cannot be redacted", "repository", t.Name)
	}
	return err == nil
}

// toSave is the entry that is saved, which may lack what the callers get.
func (f *Flight) toSave() driver.Entry {
	e := f.entry
	e.Payload = f.saved
	return e
}

// redacted is a head as it is stored.
func (t *Table) redacted(h head.Head) head.Head {
	h.Header, h.Trailer = t.redactor.Header(h.Header), t.redactor.Header(h.Trailer)
	return h
}

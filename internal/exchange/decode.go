package exchange

import (
	"errors"
	"fmt"
)

// decode tells whether the body holds a value, and which.
func (f *Flight) decode(payload []byte) {
	t := f.ask.Table
	if t.Decode == nil {
		return
	}
	returned := false
	defer func() {
		if !returned { // it has ended the goroutine
			f.err, f.save = errEnded, saveNothing
			f.x.counts.panics.Add(1)
			f.x.log.Error("endpointcache: "+errEnded.Error(), "repository", t.Name)
		}
	}()
	var panicked *panicError
	err := guarded(func() (err error) {
		f.value, f.entry.Name, err = t.Decode(payload, f.ask.Values && !f.ask.Bare || t.Tags != nil)
		if err == nil && t.Tags != nil {
			f.tags = listOf(t.Tags(f.ask.Key, f.value))
		}
		return err
	})
	returned = true
	switch {
	case errors.As(err, &panicked):
		f.panicked = panicked.value
		f.x.counts.panics.Add(1)
		f.x.log.Error("endpointcache: panic in a function of the declaration", "repository", t.Name, "panic", fmt.Sprint(panicked.value))
	case err != nil:
		f.decodeErr = err
		if f.x.counts.undecodable.Add(1); f.ask.MostUnsaved == 0 { // else there is a report
			f.x.undecodable("save", t, err)
		}
	}
}

// tag tells the tags of a response without a value. It is false where that fails.
func (f *Flight) tag() bool {
	t := f.ask.Table
	return t.Tags == nil || hasValue(f.resp.StatusCode) || f.x.call(func() {
		f.tags = listOf(t.Tags(f.ask.Key, nil))
	})
}

// Undecodable tells of an entry that was saved when the type of values was another.
func (t *Table) Undecodable(err error) {
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	t.x.counts.undecodable.Add(1)
	t.x.undecodable("get", t, err)
}

// undecodable tells of a body that is not what the declaration takes. The error's text
// has often a piece of the body.
func (x *Exchange) undecodable(op string, t *Table, err error) {
	x.log.Warn("endpointcache: "+op+" failed: the body cannot be decoded", "repository", t.Name, "error", fmt.Sprintf("%T", err))
}

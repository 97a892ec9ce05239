package inspector

import (
	"context"
	"net/http"

	"github.com/endpointcache/endpointcache/cache"
)

// notices tell what a change has done, on the page after it.
var notices = map[string]string{
	"expired": "The response has expired now: the next call asks the origin.",
	"deleted": "The response was deleted.",
	"gone":    "The response was not there any more.",
}

func (i *Inspector) expire(_ http.ResponseWriter, r *http.Request) (any, error) {
	e, n, err := i.change(r, (*cache.Contents).Expire)
	if err != nil && e.Sealed() { // the seal is about its times, too
		err = errSealed
	}
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return i.listAfter(e, "gone"), nil
	}
	return redirect{"entry?" + addressOf(e) + "&notice=expired"}, nil
}

func (i *Inspector) delete(_ http.ResponseWriter, r *http.Request) (any, error) {
	e, n, err := i.change(r, (*cache.Contents).Delete)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return i.listAfter(e, "gone"), nil
	}
	return i.listAfter(e, "deleted"), nil
}

func (i *Inspector) listAfter(e cache.Stored, notice string) redirect {
	return redirect{search{Repository: e.Repository, Order: "key", Limit: defaultLimit}.address("notice", notice)}
}

// change does something to the response that the request's address names.
func (i *Inspector) change(r *http.Request, do func(*cache.Contents, context.Context, cache.Query) (int, error)) (cache.Stored, int, error) {
	if !i.opts.AllowChanges {
		return cache.Stored{}, 0, problem{http.StatusForbidden, "Nothing is changed from here: see Options.AllowChanges of package inspector, or --allow-changes of endpointcache serve."}
	}
	at, err := i.place(r)
	if err != nil {
		return cache.Stored{}, 0, err
	}
	e, err := i.withoutBody(r.Context(), at)
	if err != nil {
		return e, 0, err
	}
	n, err := do(i.cache.Contents(e.Repository), r.Context(), at.query())
	i.figures.changed()
	return e, n, err
}

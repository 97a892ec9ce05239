package exchange

import (
	"context"
	"net/http"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/rfc9111"
	"github.com/endpointcache/endpointcache/policy"
)

// Explanation tells what an ask for a stored response would bring about, and why: see that of
// package cache.
type Explanation struct {
	Verdict  uint8
	Reasons  []string
	Declared bool

	Age                                                time.Duration
	CachedAt, ExpiresAt, RenewableUntil, StandsInUntil time.Time
	Validator, Outdated                                bool
}

// The verdicts of an explanation.
const (
	Serve uint8 = iota + 1
	ServeAndRenew
	Revalidate
	Fetch
	Unanswered
)

// verdicts are those of judge as an explanation has them. What lacks some bytes is fetched, too.
var verdicts = map[verdict]uint8{
	serveIt: Serve, serveAndRenew: ServeAndRenew, revalidateIt: Revalidate, fetchIt: Fetch, completeIt: Fetch, unanswered: Unanswered,
}

// HeadOf returns the encoded header of a repository.Entry. Package repository sets it, for
// package cache.
var HeadOf func(entry any) string

// Asked is a request that an explanation is about. The zero value is a plain one: a GET without
// any conditions.
type Asked struct {
	Request *http.Request // nil where it is not known
	Exactly bool          // it is that request; otherwise one like it, with the headers of the one that was answered
	Typed   bool          // it is a typed call
}

// Explain tells what a request for an entry would bring about now. It asks as the doors do, of
// the same judges, and changes nothing. The payload is read where it is needed and not there.
func (t *Table) Explain(ctx context.Context, e driver.Entry, asked Asked) (Explanation, error) {
	s, unreadable := newStored(e)
	a, err := t.explained(ctx, e.Key, s, asked)
	if err != nil {
		return Explanation{}, err
	}
	x, now := t.x, t.x.Now()
	g := &telling{a: a, now: now, declared: !t.raw}
	if unreadable != nil {
		g.stored = &Stored{Entry: e}
		v, _ := judge(nil, &a.Terms, now, 0)
		return g.explanation(v, isUnreadable), nil //nolint:nilerr // it is what is told
	}
	if s.old {
		g.mark, err = t.latestMark(ctx, e)
		if err != nil {
			return Explanation{}, err
		}
	}
	g.stored = s
	if (s.isPart() || a.Rules.serve != nil) && e.Payload == nil {
		if s.Entry.Payload, err = t.payload(ctx, e); err != nil {
			return Explanation{}, err
		}
	}
	if s.isPart() {
		s.readParts()
	}
	useful, err := x.explainedUse(ctx, a, s, asked.Exactly)
	if err != nil {
		return Explanation{}, err
	}
	if useful != nil {
		g.stored = useful // perhaps another variant
	}
	v, on := judge(useful, &a.Terms, now, 0)
	switch {
	case a.Alone && !a.neverForward():
		v, on = fetchIt, originAlone
	case a.Rules.Use() == policy.Disabled:
		on = policyDisables
	case useful == nil && a.Rules.Use() == policy.Reload:
		on = policyReloads
	case useful == nil:
		on = a.why
	}
	return g.explanation(v, on), nil
}

// explainedUse is what the doors would find of use of a stored response, nil for nothing.
func (x *Exchange) explainedUse(ctx context.Context, a *Ask, s *Stored, exactly bool) (*Stored, error) {
	switch {
	case a.Rules.Use() == policy.Disabled:
		return nil, nil
	case exactly:
		return x.asExactly(ctx, a, s)
	case !a.useful(s.Entry.Status):
		return a.unfit(hasNoValue), nil
	}
	return x.fit(a, s), nil
}

// explained is the ask that an explanation is about. What is stored may be nil.
func (t *Table) explained(ctx context.Context, key driver.Key, s *Stored, asked Asked) (*Ask, error) {
	rules, err := t.Rules(ctx)
	if err != nil {
		return nil, err
	}
	if t.raw && rules.cacheControl == 0 && !(s != nil && s.ignoresVary()) {
		// Nobody knows what its policy is: what the response itself allows is told.
		own := *rules
		own.cacheControl = policy.On
		rules = &own
	}
	a := &Ask{
		Terms: Terms{Rules: rules, Repeatable: true, Completes: true, Values: asked.Typed},
		Table: t, Key: key, Request: asked.Request, built: true, Bare: true,
	}
	if req := asked.Request; req != nil && asked.Exactly {
		if rules.Controls() && !rules.CallUses(policy.Disabled) {
			a.Directives = rfc9111.ParseRequestDirectives(req.Header)
		}
		a.Alone = rfc9111.HasPrecondition(req.Header)
		hasBody := req.Body != nil && req.Body != http.NoBody
		ranged := len(req.Header["Range"]) > 0
		isGet := req.Method == "" || req.Method == http.MethodGet
		a.Repeatable = !hasBody || req.GetBody != nil
		a.Completes = isGet && !hasBody && !ranged && !rfc9111.IsConditional(req.Header)
		if isGet && ranged {
			a.Range = req.Header
		}
	}
	return a, nil
}

// payload is that of an entry which was read without.
func (t *Table) payload(ctx context.Context, e driver.Entry) (payload []byte, err error) {
	sel := driver.Selection{Filter: driver.Filter{Now: instant(t.x.Now())}, Parts: driver.Payload | driver.Meta}
	err = t.Get(ctx, []driver.Key{e.Key}, sel, func(_ int, read driver.Entry) { payload = read.Payload })
	return payload, err
}

// Unstored tells what a request would bring about for which nothing is stored.
func (t *Table) Unstored(ctx context.Context, key driver.Key, asked Asked) (Explanation, error) {
	a, err := t.explained(ctx, key, nil, asked)
	if err != nil {
		return Explanation{}, err
	}
	v, _ := judge(nil, &a.Terms, t.x.Now(), 0)
	return Explanation{Verdict: verdicts[v], Declared: !t.raw}, nil
}

// markTold is a mark that has made an entry old.
type markTold struct {
	about string
	since time.Time
}

// latestMark is the one that has made an entry old.
func (t *Table) latestMark(ctx context.Context, e driver.Entry) (latest markTold, err error) {
	m := t.marked
	if m == nil {
		return latest, nil
	}
	abouts, names := []string{"all of the repository"}, []string{m.tableName()}
	if m.url != nil {
		abouts, names = append(abouts, "its URL"), append(names, m.urlName(e.Key))
	}
	tags, err := tagsOf(e.Header)
	if err != nil {
		return latest, nil //nolint:nilerr // they cannot be told
	}
	for _, tag := range tags {
		abouts, names = append(abouts, "the tag "+quoted(tag)), append(names, m.marks.nameOf(tagMark, tag))
	}
	instants, err := m.marks.since(ctx, names)
	for i, since := range instants {
		if since.After(latest.since) {
			latest = markTold{abouts[i], since}
		}
	}
	return latest, err
}

// explanation puts together what is told.
func (g *telling) explanation(v verdict, on ground) Explanation {
	s := g.stored
	e := Explanation{
		Verdict: verdicts[v], Declared: g.declared, Age: s.Age(g.now), CachedAt: s.Entry.CachedAt, ExpiresAt: s.Entry.ExpiresAt,
		Validator: rfc9111.HasValidator(s.Head.Header), Outdated: s.old,
	}
	if s.old && isCutShort(s.Entry) {
		e.ExpiresAt = s.Entry.ExpiresAt.Add(time.Nanosecond)
	}
	if !s.old && !e.ExpiresAt.IsZero() && !on.ofNoUse() {
		if d := g.a.renewable(s); d > 0 && !s.isPart() && g.a.Repeatable && !g.a.neverForward() {
			e.RenewableUntil = later(e.ExpiresAt, d)
		}
		if d := g.a.standIn(s, true); d > 0 && g.a.Rules.Use() != policy.Reload && !g.a.neverForward() {
			e.StandsInUntil = later(e.ExpiresAt, d)
		}
	}
	e.Reasons = g.reasons(v, on, &e)
	return e
}

// later is an instant as stores know it, which no duration leads out of their years.
func later(t time.Time, d time.Duration) time.Time { return instant(t.Add(d)) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/cmd/endpointcache/internal/term"
	"github.com/endpointcache/endpointcache/internal/credential"
	"github.com/endpointcache/endpointcache/internal/diff"
	"github.com/endpointcache/endpointcache/internal/human"
	"github.com/endpointcache/endpointcache/internal/redirect"
	"github.com/endpointcache/endpointcache/internal/secret"
	"github.com/endpointcache/endpointcache/internal/whose"
	"github.com/endpointcache/endpointcache/settings"
)

type diffCommand struct {
	pick
	Base     string `help:"The origin to ask, for entries of any origin: https://host, or another one than theirs." placeholder:"URL" group:"request"`
	Volatile bool   `help:"Tell also of headers that differ from answer to answer, such as Date."`
	Follow   bool   `help:"Follow redirects, of which a stored response may be the end." short:"L"`
	Yes      bool   `short:"y" help:"Send a request that may change something, such as a POST, without asking."`
}

// Bounds of what is asked of the origin.
const (
	originTimeout = 30 * time.Second
	mostReceived  = 256 << 20
)

// Run compares an entry with what the origin answers at this moment. The stored one stays as it is.
func (c *diffCommand) Run(ctx context.Context, s *session) error {
	table, stored, req, err := c.both(ctx, s)
	if err != nil {
		return err
	}
	head, err := headOf(stored)
	if err != nil {
		return err
	}
	header := head.Header
	if coding := header.Get("Content-Encoding"); coding != "" && req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", coding) // or the headers would differ
	}
	s.announce(req)
	if err := c.agree(ctx, s, req); err != nil {
		return err
	}
	now, err := c.ask(ctx, s, req)
	if err != nil {
		return err
	}
	changes := diff.Compare(diff.Response{Status: stored.Status, Header: header, Body: stored.Payload}, now)
	same := !slices.ContainsFunc(changes, func(ch diff.Change) bool { return !ch.Volatile })
	if !c.Volatile {
		changes = slices.DeleteFunc(changes, func(ch diff.Change) bool { return ch.Volatile })
	}
	if s.JSON {
		err = s.out.Document(differencesOf(table, stored, req, now, same, changes))
	} else {
		s.tellChanges(table, stored, same, changes)
	}
	if now.Status/100 == 3 && stored.Status/100 != 3 && now.Header.Get("Location") != "" {
		fmt.Fprintln(s.stderr, "The origin redirects this request: --follow follows it.")
	}
	if err == nil && !same {
		err = errDifferent
	}
	return err
}

// both are the entry with its body, and the request that it answers, and what commands call the entry's table. The store
// is closed then: an origin may take its time.
func (c *diffCommand) both(ctx context.Context, s *session) (table string, e cache.Stored, req *http.Request, err error) {
	said := ""
	if c.Table != "" { // which tells the entry, so that --url tells the request alone
		said, c.URL = c.URL, ""
	}
	err = c.with(ctx, s, false, func(rc *cache.ResponseCache) error {
		if e, req, err = c.entry(ctx, rc); err != nil {
			return err
		}
		if e, err = whole(ctx, rc, e); err != nil {
			return err
		}
		switch {
		case said != "":
			req, err = c.request(ctx, said)
		case req == nil:
			req, err = c.requestOf(ctx, rc, e)
		}
		if err == nil {
			err = checkWhose(ctx, s, rc, e, req)
		}
		if err != nil {
			return err
		}
		names, err := readNames(ctx, rc)
		table = names.of(e.Table)
		return err
	})
	if err != nil {
		return "", e, nil, err
	}
	return table, e, req, c.rebase(req)
}

// requestOf is the request that is made of an entry's key, with the headers of the command line.
func (c *diffCommand) requestOf(ctx context.Context, rc *cache.ResponseCache, e cache.Stored) (*http.Request, error) {
	req, err := rc.Contents().Request(ctx, e)
	if errors.Is(err, cache.ErrNoRequest) && e.Origin == "" && c.Base != "" { // the store does not know the origin
		e.Origin = c.Base
		req, err = rc.Contents().Request(ctx, e)
	}
	if errors.Is(err, cache.ErrNoRequest) {
		return nil, usagef("%w: --base tells an origin, or --url the whole request", err)
	} else if err != nil {
		return nil, err
	}
	return req, c.add(req)
}

// checkWhose refuses to compare the response of one identity with the answer to nobody in particular.
func checkWhose(ctx context.Context, s *session, rc *cache.ResponseCache, e cache.Stored, req *http.Request) error {
	tables, err := rc.Tables(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(tables, func(t cache.Table) bool { return t.Name == e.Table })
	if at < 0 || tables[at].Declaration == nil || tables[at].Declaration.Scope != settings.PerIdentity {
		return nil
	}
	whom := "an identity for whose credentials a digest stands"
	value, _ := e.Key[0].Value.(string)
	if name, named := whose.Name(value); named {
		whom = "the identity " + term.Quote(name)
	}
	if len(credential.Text(req)) == 0 {
		return usagef("the response is that of %s alone: give its credentials by --header", whom)
	}
	s.say("The response is that of %s alone: it is compared with the answer to the credentials given, whoever has them.", whom)
	return nil
}

// rebase sends the request to another origin, if there is one to be asked.
func (c *diffCommand) rebase(req *http.Request) error {
	if c.Base != "" {
		base, err := url.Parse(c.Base)
		if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || strings.Trim(base.Path, "/") != "" || base.RawQuery != "" {
			return usagef("--base is of the form https://host, without a path")
		}
		req.URL.Scheme, req.URL.Host, req.URL.User, req.Host = base.Scheme, base.Host, base.User, ""
	}
	if req.URL.Host == "" {
		return usagef("it is not known which origin to ask: --base https://host tells")
	}
	return nil
}

// add adds what the flags tell to a request that was made of the key.
func (a asked) add(req *http.Request) error {
	if a.Method != "" || a.Data != "" {
		return usagef("the method and the body are those of the entry: give neither --method nor --data without a URL")
	}
	given, err := a.request(req.Context(), req.URL.String())
	if err != nil {
		return err
	}
	maps.Copy(req.Header, given.Header)
	if host := given.Header.Get("Host"); host != "" {
		req.Host = host
	}
	return nil
}

// announce tells which request is sent, without the credentials that the command line has told.
func (s *session) announce(req *http.Request) {
	fmt.Fprintf(s.stderr, "%s %s\n", req.Method, term.Text(secret.Mask(req.URL.String())))
	for _, name := range slices.Sorted(maps.Keys(req.Header)) {
		for _, value := range req.Header[name] {
			if secret.Header(name) {
				value = secret.Mark
			}
			fmt.Fprintf(s.stderr, "%s: %s\n", term.Text(name), term.Text(value))
		}
	}
}

// agree asks before a request is sent that may change something at the origin.
func (c *diffCommand) agree(ctx context.Context, s *session, req *http.Request) error {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	return consent{Yes: c.Yes}.agree(ctx, s, "Send this request?")
}

// ask returns what the origin answers.
func (c *diffCommand) ask(ctx context.Context, s *session, req *http.Request) (diff.Response, error) {
	if s.Timeout == 0 {
		limited, cancel := context.WithTimeoutCause(ctx, originTimeout, fmt.Errorf("the origin has not answered within %v: --timeout gives it more", originTimeout))
		defer cancel()
		ctx = limited
	}
	client := redirect.Client{Client: &http.Client{Transport: s.origin}}
	if !c.Follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return diff.Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostReceived+1))
	switch {
	case err != nil && context.Cause(ctx) != nil:
		return diff.Response{}, context.Cause(ctx)
	case err != nil:
		return diff.Response{}, fmt.Errorf("read the origin's answer: %w", err)
	case len(body) > mostReceived:
		return diff.Response{}, fmt.Errorf("the origin's answer is of more than %s", human.Size(mostReceived))
	}
	return diff.Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// differences are the result in JSON.
type differences struct {
	identity
	Request request      `json:"request"`
	Status  int          `json:"status"`
	Same    bool         `json:"same"`
	Changes []difference `json:"changes"`
}

type request struct {
	Method string `json:"method"`
	URL    text   `json:"url"`
}

type difference struct {
	Path     text    `json:"path"`
	Op       diff.Op `json:"op"`
	From     *text   `json:"from,omitempty"`
	To       *text   `json:"to,omitempty"`
	Volatile bool    `json:"volatile,omitempty"`
}

func differencesOf(table string, e cache.Stored, req *http.Request, now diff.Response, same bool, changes []diff.Change) differences {
	result := differences{
		identity: identityOf(table, e), Request: request{req.Method, text(secret.Mask(req.URL.String()))},
		Status: now.Status, Same: same, Changes: []difference{},
	}
	for _, ch := range changes {
		d := difference{Path: text(ch.Path), Op: ch.Op, Volatile: ch.Volatile}
		if ch.Op != diff.Added {
			d.From = (*text)(&ch.From)
		}
		if ch.Op != diff.Removed {
			d.To = (*text)(&ch.To)
		}
		result.Changes = append(result.Changes, d)
	}
	return result
}

// tellChanges writes what differs: - is stored, + is what the origin has now.
func (s *session) tellChanges(table string, e cache.Stored, same bool, changes []diff.Change) {
	s.out.Printf("%s\n", s.out.Styled(term.Bold, term.Text(table)+" "+keyWords(e.Key)))
	switch {
	case same && len(changes) > 0:
		s.out.Printf("%s\n", s.out.Styled(term.Good, "The origin's answer is what is stored, but for what differs from answer to answer:"))
	case same:
		s.out.Printf("%s\n", s.out.Styled(term.Good, "The origin's answer is what is stored."))
	}
	for _, ch := range changes {
		s.out.Printf("%s %s\n", term.Text(ch.Path), ch.Op)
		if ch.Op != diff.Added {
			s.out.Printf("%s\n", s.out.Styled(term.Bad, "  - "+term.Text(ch.From)))
		}
		if ch.Op != diff.Removed {
			s.out.Printf("%s\n", s.out.Styled(term.Good, "  + "+term.Text(ch.To)))
		}
	}
}

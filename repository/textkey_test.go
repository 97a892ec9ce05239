package repository_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/memory"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// uuid is an array with a text, as those of identifiers are.
type uuid [4]byte

func (u uuid) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, u[:]), nil }

func (u *uuid) UnmarshalText(text []byte) error {
	if len(text) != 8 {
		return errors.New("not 8 digits")
	}
	_, err := hex.Decode(u[:], text)
	return err
}

type textKey struct {
	ID   uuid       `path:"id"`
	At   time.Time  `query:"at"`
	From netip.Addr `header:"X-From"`
	Tags string     `query:"tags,set"`
}

func TestKeysThatHaveATextAreKeptAndAskedForAsIt(t *testing.T) {
	inSQLite, err := sqlite.OpenMemory(t.Context(), nil)
	check(t, err)
	defer inSQLite.Close()
	inMemory, err := memory.New(nil)
	check(t, err)
	declared := settings.RepositorySettings[textKey, string]{Name: "items", Pattern: "POST api.example.com/items/{id}"}
	byID := settings.RepositorySettings[uuid, string]{Name: "by id", Pattern: "api.example.com/items/{id}"}
	key := textKey{
		ID: uuid{0xab, 1}, At: time.Date(2024, 2, 1, 12, 0, 0, 5, time.FixedZone("", 3600)),
		From: netip.MustParseAddr("fe80::1"), Tags: "b,a,b",
	}
	sorted := key
	sorted.Tags = "a,b"
	for _, open := range []func() (*repository.ResponseRepository[textKey, string], error){
		func() (*repository.ResponseRepository[textKey, string], error) {
			return repository.New(t.Context(), inSQLite, declared, nil)
		},
		func() (*repository.ResponseRepository[textKey, string], error) {
			return repository.New(t.Context(), inMemory, declared, nil)
		},
	} {
		r, err := open()
		check(t, err)
		check(t, r.Save(t.Context(), key, "A"))
		check(t, r.Save(t.Context(), textKey{}, "zero"))
		req, err := http.NewRequest("POST", "https://api.example.com/items/ab010000?tags=b&at=2024-02-01T12:00:00.000000005%2B01:00&tags=a", nil)
		check(t, err)
		req.Header.Set("X-From", "fe80::1")
		if resp, ok, err := r.GetResponse(t.Context(), req); err != nil || !ok || resp.StatusCode != 200 {
			t.Errorf("by request: %t, %v", ok, err)
		}
		if built, err := r.Settings().Endpoint.Request(t.Context(), nil, key); err != nil {
			t.Error(err)
		} else if _, ok, err := r.GetResponse(t.Context(), built); err != nil || !ok {
			t.Errorf("by the request for the key, %s: %t, %v", built.URL, ok, err)
		}
		for _, k := range []textKey{key, sorted} {
			if v, ok, err := r.Get(t.Context(), k); err != nil || !ok || v != "A" {
				t.Errorf("by %+v: %q, %t, %v", k, v, ok, err)
			}
		}
		if many, err := r.GetMany(t.Context(), []textKey{key, {}}); err != nil || many[key] != "A" || many[textKey{}] != "zero" {
			t.Errorf("GetMany: %v, %v", many, err)
		}
		// The same instant elsewhere is asked for in another way.
		utc := key
		utc.At = key.At.UTC()
		if _, ok, err := r.Get(t.Context(), utc); err != nil || ok {
			t.Errorf("by another zone: %t, %v", ok, err)
		}
		upper, err := http.NewRequest("POST", strings.Replace(req.URL.String(), "ab01", "AB01", 1), nil)
		check(t, err)
		upper.Header = req.Header
		if _, ok, err := r.GetResponse(t.Context(), upper); err != nil || ok {
			t.Errorf("an id that is written otherwise is found: %t, %v", ok, err)
		}
		found := 0
		for k, err := range r.Keys(t.Context()) {
			check(t, err)
			if k.ID == key.ID && k.At.Equal(key.At) && k.At.Format(time.RFC3339) == key.At.Format(time.RFC3339) && k.From == key.From && k.Tags == "a,b" || k == (textKey{}) {
				found++
			}
		}
		if found != 2 {
			t.Errorf("%d keys came back as they were", found)
		}
		if gone, err := r.Delete(t.Context(), key); err != nil || !gone {
			t.Errorf("Delete: %t, %v", gone, err)
		}
	}
	one, err := repository.New(t.Context(), inSQLite, byID, nil)
	check(t, err)
	check(t, one.Save(t.Context(), uuid{1}, "one"))
	for k, err := range one.Keys(t.Context()) {
		if err != nil || k != (uuid{1}) {
			t.Errorf("the key came back as %v, %v", k, err)
		}
	}
}

// flawed has no text in one of its states.
type flawed struct{ Bad bool }

var errNoText = errors.New("it is bad")

func (f flawed) MarshalText() ([]byte, error) {
	if f.Bad {
		return nil, errNoText
	}
	return []byte("good"), nil
}

func (f *flawed) UnmarshalText([]byte) error { f.Bad = false; return nil }

func TestAKeyWithoutATextIsTheErrorOfEachCall(t *testing.T) {
	store, err := memory.New(nil)
	check(t, err)
	r, err := repository.New(t.Context(), store, settings.RepositorySettings[flawed, string]{
		Name: "flawed", Pattern: "h.example/{id}", ExpireAbsent: time.Hour,
	}, nil)
	check(t, err)
	good, bad := flawed{}, flawed{Bad: true}
	check(t, r.Save(t.Context(), good, "x"))
	ctx, both := t.Context(), []flawed{good, bad}
	for name, call := range map[string]func() error{
		"Get":          func() error { _, _, err := r.Get(ctx, bad); return err },
		"GetEntry":     func() error { _, _, err := r.GetEntry(ctx, bad); return err },
		"GetEntries":   func() error { _, err := r.GetEntries(ctx, both); return err },
		"GetMany":      func() error { _, err := r.GetMany(ctx, both); return err },
		"Missing":      func() error { _, err := r.Missing(ctx, both); return err },
		"Contains":     func() error { _, err := r.Contains(ctx, bad); return err },
		"Save":         func() error { return r.Save(ctx, bad, "x") },
		"SaveEntries":  func() error { return r.SaveEntry(ctx, bad, repository.Entry{Payload: []byte(`"x"`)}) },
		"Delete":       func() error { _, err := r.Delete(ctx, bad); return err },
		"Pop":          func() error { _, _, err := r.Pop(ctx, bad); return err },
		"the endpoint": func() error { _, err := r.Settings().Endpoint.Request(ctx, nil, bad); return err },
	} {
		if err := call(); !errors.Is(err, errNoText) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := r.Count(ctx, repository.All); err != nil || n != 1 {
		t.Errorf("there are %d entries, %v", n, err)
	}
}

// A key whose text is no list would never be found by a request.
func TestAListThatIsNoListIsAnError(t *testing.T) {
	store, err := memory.New(nil)
	check(t, err)
	type key struct {
		Tags string `query:"tags,list"`
	}
	r, err := repository.New(t.Context(), store, settings.RepositorySettings[key, string]{Name: "lists", Pattern: "h.example/x"}, nil)
	check(t, err)
	if err := r.Save(t.Context(), key{"a,,b"}, "x"); err == nil || !strings.Contains(err.Error(), "field Tags") {
		t.Errorf("Save: %v", err)
	}
}

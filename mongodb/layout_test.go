package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/mongodb"
)

// Documents that a version has saved which knew neither uses nor sizes nor checksums.
func TestDocumentsOfTheEarlierLayout(t *testing.T) {
	const old = 120 // more than are read at a time
	name := newDatabase(t)
	s := open(t, serverURL(t), &mongodb.Options{Database: name})
	table := openTracks(t, s)
	entries, keys := trackEntries(old + 1)
	if err := table.Put(t.Context(), entries[old:]); err != nil {
		t.Fatal(err)
	}
	docs := newClient(t, serverURL(t)).Database(name).Collection("tracks")
	for i, e := range entries[:old] {
		_, err := docs.InsertOne(t.Context(), bson.D{
			{Key: "_id", Value: fmt.Sprintf("%s|DE|%d|%v", e.Key[0], e.Key[2], e.Key[3])},
			{Key: "id", Value: e.Key[0]}, {Key: "market", Value: e.Key[1]}, {Key: "page", Value: e.Key[2]}, {Key: "explicit", Value: e.Key[3]},
			{Key: "status", Value: int32(e.Status)}, {Key: "cached_at", Value: e.CachedAt}, {Key: "expires_at", Value: e.ExpiresAt},
			{Key: "cached_us", Value: e.CachedAt.UnixMicro()}, {Key: "expires_us", Value: e.ExpiresAt.UnixMicro()},
			{Key: "name", Value: e.Name}, {Key: "headers", Value: e.Header}, {Key: "payload", Value: string(e.Payload)},
		})
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	every := driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}
	found := 0
	err := table.Get(t.Context(), keys[:old], every, func(i int, e driver.Entry) {
		found++
		if string(e.Payload) != string(entries[i].Payload) || e.Encoding != "" || e.PayloadSum != 0 || e.MetaSum != 0 || !e.UsedAt.Equal(e.CachedAt) {
			t.Errorf("%d is %+v", i, e)
		}
	})
	if err != nil || found != old {
		t.Errorf("%d are found: %v", found, err)
	}
	usedBefore := func(at time.Time, want int) {
		t.Helper()
		if n, err := table.Count(t.Context(), driver.Filter{Where: driver.Where{UsedBefore: at}}); err != nil || n != want {
			t.Errorf("%d were used before %v, want %d: %v", n, at, want, err)
		}
	}
	later := now.Add(time.Minute)
	usedBefore(now, 0)
	usedBefore(later, old+1)
	for _, at := range []time.Time{later, now.Add(time.Second), now.Add(-time.Minute)} {
		if err := table.Use(t.Context(), keys[:10], at); err != nil {
			t.Fatal(err)
		}
		usedBefore(later, old+1-10)
	}

	// Its size is known as soon as it is asked for, in several processes at once.
	other := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	failed := make(chan error)
	go func() {
		_, err := other.Size(t.Context())
		failed <- err
	}()
	size, err := table.Size(t.Context())
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	if size.Entries != old+1 || size.Bytes < (old+1)*200 || size.Bytes > (old+1)*1_000 {
		t.Errorf("the size is %+v", size)
	}
	usedBefore(later, old+1-10)
	page, err := table.List(t.Context(), driver.Listing{Selection: every, Order: driver.ByUsed, Descending: true, Limit: old + 2})
	if err != nil || len(page) != old+1 || !page[9].UsedAt.Equal(later) || !page[10].UsedAt.Equal(now) || page[old].Size < 200 {
		t.Errorf("%d are listed: %v", len(page), err)
	}
}

// A program that has a table open goes on saving to it after another one has dropped it.
func TestWhatIsSavedToADroppedTable(t *testing.T) {
	name := newDatabase(t)
	s, other := open(t, serverURL(t), &mongodb.Options{Database: name}), open(t, serverURL(t), &mongodb.Options{Database: name})
	table := openTracks(t, s)
	if err := other.DropTable(t.Context(), tracks.Name); err != nil {
		t.Fatal(err)
	}
	if err := table.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	if specs, err := other.Tables(t.Context()); err != nil || len(specs) != 0 {
		t.Errorf("the tables are %v: %v", specs, err)
	}
	again, err := other.OpenTable(t.Context(), driver.TableSpec{Name: tracks.Name, Key: tracks.Key[:1]})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := again.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
		t.Errorf("%d entries: %v", n, err)
	}
	if _, err := s.OpenTable(t.Context(), tracks); !errors.Is(err, driver.ErrSchema) {
		t.Errorf("a table of the old key: %v", err)
	}
}

// What is no table of the store stays.
func TestOnlyTablesOfTheStoreAreDropped(t *testing.T) {
	name := newDatabase(t)
	openNamed := func(prefix string) *mongodb.Store {
		return open(t, serverURL(t), &mongodb.Options{Database: name, Prefix: prefix})
	}
	table := openTracks(t, openNamed("a"))
	if err := table.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	theirs := newClient(t, serverURL(t)).Database(name).Collection("theirs")
	if _, err := theirs.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	s := openNamed("")
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 0 {
		t.Errorf("the tables are %v: %v", specs, err)
	}
	for _, foreign := range []string{"theirs", "atracks"} {
		if err := s.DropTable(t.Context(), foreign); !errors.Is(err, driver.ErrSchema) {
			t.Errorf("drop of %s: %v", foreign, err)
		}
	}
	if n, err := theirs.CountDocuments(t.Context(), bson.D{}); err != nil || n != 1 {
		t.Errorf("their collection has %d documents: %v", n, err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("the other store has %d entries: %v", n, err)
	}
}

// An entry stays that is replaced, after it was looked at, by one whose name is another.
func TestAClearLooksAtNamesAgain(t *testing.T) {
	name := newDatabase(t)
	other := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	entries, _ := trackEntries(5)
	entries[1].Name, entries[2].Name, entries[3].Name = "album", "track\xff", "\xff"
	if err := other.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	var replace sync.Once
	client := newClient(t, serverURL(t), func(o *options.ClientOptions) {
		o.SetMonitor(&event.CommandMonitor{Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			if e.CommandName == "delete" {
				replace.Do(func() {
					for i, name := range map[int]string{2: "\xff", 4: "album"} {
						entries[i].Name = name
					}
					if err := other.Put(ctx, entries); err != nil {
						t.Error(err)
					}
				})
			}
		}})
	})
	s, err := mongodb.New(t.Context(), client.Database(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f := driver.Filter{Where: driver.Where{NamePrefix: "track"}}
	if n, err := openTracks(t, s).Clear(t.Context(), f); err != nil || n != 1 {
		t.Errorf("clear removed %d, want 1: %v", n, err)
	}
	if n, err := other.Count(t.Context(), driver.Filter{}); err != nil || n != 4 {
		t.Errorf("%d entries are left, want 4: %v", n, err)
	}
}

package mongodb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/mongodb"
)

// What others have in the database is not touched.
func TestACollectionOfOthersIsRefused(t *testing.T) {
	name := newDatabase(t)
	db := newClient(t, serverURL(t)).Database(name)
	if _, err := db.Collection("tracks").InsertOne(t.Context(), bson.D{{Key: "_id", Value: "theirs"}}); err != nil {
		t.Fatal(err)
	}
	s := open(t, serverURL(t), &mongodb.Options{Database: name})
	_, err := s.OpenTable(t.Context(), tracks)
	if !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), "no repository's") {
		t.Errorf("the error is %v", err)
	}
	if n, err := db.Collection("tracks").CountDocuments(t.Context(), bson.D{}); err != nil || n != 1 {
		t.Errorf("their collection has %d documents, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	beside := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name, Prefix: "cache_"}))
	if err := beside.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
}

// The prefix of one store and the name of a table of another may together be the name
// of a collection that both would use.
func TestStoresWithPrefixesDoNotSeeEachOther(t *testing.T) {
	name := newDatabase(t)
	openNamed := func(prefix, table string) (driver.Table, error) {
		s := open(t, serverURL(t), &mongodb.Options{Database: name, Prefix: prefix})
		return s.OpenTable(t.Context(), driver.TableSpec{Name: table, Key: tracks.Key})
	}
	var tables []driver.Table
	for i, prefix := range []string{"", "a", "b_"} {
		table, err := openNamed(prefix, "tracks")
		if err != nil {
			t.Fatal(err)
		}
		entries, _ := trackEntries(i + 1)
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	if n, err := tables[1].Clear(t.Context(), driver.Filter{}); err != nil || n != 2 {
		t.Errorf("clear removed %d, %v", n, err)
	}
	for i, want := range []int{1, 0, 3} {
		if n, err := tables[i].Count(t.Context(), driver.Filter{}); err != nil || n != want {
			t.Errorf("store %d has %d entries, want %d, %v", i, n, want, err)
		}
	}
	if _, err := openNamed("", "atracks"); !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), `prefix "a"`) {
		t.Errorf("a table of the collection of another store's: %v", err)
	}
}

// Names that others have, or that MongoDB has for itself.
func TestNoNameIsTakenForAnother(t *testing.T) {
	s := open(t, serverURL(t), &mongodb.Options{Database: newDatabase(t)})
	var tables []driver.Table
	names := []string{
		"endpointcache.tables", "endpointcache%2etables", "system.users", "system%2eusers", "system", "tracks", "tracks.", ".tracks", "a.b",
		"%", "%25", "$cmd", "%24cmd", `a"b`, `a\b`, strings.Repeat("é", 127), strings.Repeat("é", 126) + "e", strings.Repeat("x", 189), strings.Repeat("x", 190),
	}
	for i, name := range names {
		table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: name, Key: tracks.Key})
		if err != nil {
			t.Fatalf("%.50q: %v", name, err)
		}
		entries, _ := trackEntries(i)
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, table)
	}
	for i, table := range tables {
		if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != i {
			t.Errorf("%.50q has %d entries, want %d, %v", names[i], n, i, err)
		}
	}
}

func TestManyProcessesOpenATableAtOnce(t *testing.T) {
	name := newDatabase(t)
	var wait sync.WaitGroup
	for i := range 8 {
		s := open(t, serverURL(t), &mongodb.Options{Database: name})
		wait.Add(1)
		go func() {
			defer wait.Done()
			spec := tracks
			if i%2 == 1 {
				spec.Name = fmt.Sprintf("tracks %d", i%4)
			}
			table, err := s.OpenTable(t.Context(), spec)
			if err == nil {
				err = table.Put(t.Context(), []driver.Entry{track(i)})
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 4 {
		t.Errorf("%d entries, want 4, %v", n, err)
	}
}

// However many documents of other programs there are, a clear removes all entries, and these only.
func TestDocumentsThatAreNoEntriesEndNoClear(t *testing.T) {
	name := newDatabase(t)
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	tracks := newClient(t, serverURL(t)).Database(name).Collection("tracks")
	if _, err := tracks.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 7}, {Key: "expires_us", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	const n = 6_000 // more than go at once
	var entries []driver.Entry
	for i := range n {
		e := track(i)
		e.Payload = nil
		entries = append(entries, e)
	}
	for _, f := range []driver.Filter{{}, {State: driver.Expired, Now: entries[0].ExpiresAt.Add(time.Hour)}} {
		if err := table.Put(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
		if cleared, err := table.Clear(t.Context(), f); err != nil || cleared != n {
			t.Errorf("%d of %d are cleared, %v", cleared, n, err)
		}
	}
	if left, err := tracks.CountDocuments(t.Context(), bson.D{}); err != nil || left != 1 {
		t.Errorf("%d documents are left, %v", left, err)
	}
}

// A document that somebody has put into the collection is nobody's entry, and ends no operation.
func TestADocumentThatIsNoEntryIsPassedBy(t *testing.T) {
	name := newDatabase(t)
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	if err := table.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	tracks := newClient(t, serverURL(t)).Database(name).Collection("tracks")
	for _, foreign := range []bson.D{
		{{Key: "_id", Value: "theirs"}},
		{{Key: "_id", Value: 7}},
		{{Key: "_id", Value: "theirs"}, {Key: "status", Value: "OK"}, {Key: "expires_us", Value: 1}},
	} {
		if _, err := tracks.InsertOne(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range table.Entries(t.Context(), driver.Selection{}) {
			if n++; err != nil {
				t.Errorf("beside %v: %v", foreign, err)
			}
		}
		if n != 1 {
			t.Errorf("beside %v, %d entries are iterated over", foreign, n)
		}
		for order := driver.ByKey; order <= driver.BySize; order++ {
			for _, descending := range []bool{false, true} {
				page, err := table.List(t.Context(), driver.Listing{Order: order, Descending: descending, Limit: 10})
				if err != nil || len(page) != 1 {
					t.Errorf("beside %v, %d entries are listed in order %d, %v", foreign, len(page), order, err)
				}
			}
		}
		if _, err := table.Size(t.Context()); err != nil {
			t.Errorf("beside %v: %v", foreign, err)
		}
		if _, err := tracks.DeleteOne(t.Context(), foreign[:1]); err != nil {
			t.Fatal(err)
		}
	}
	// Fields beside the store's, and numbers as a shell writes them, are none.
	_, err := tracks.UpdateOne(t.Context(), bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "note", Value: "mine"}, {Key: "page", Value: 1.0}}}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range table.Entries(t.Context(), driver.Selection{Parts: driver.Payload | driver.Meta}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
}

// The layout that the documentation shows.
func TestADocumentCanBeReadByOthers(t *testing.T) {
	name := newDatabase(t)
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: name}))
	text, binary := track(1), track(2)
	text.Key = driver.Key{"a|b\\c", "D\x00", int64(-1), true}
	text.MetaSum, text.PayloadSum, text.Encoding = 1<<32-1, 7, "zstd"
	binary.Name, binary.Payload, binary.ExpiresAt = "\xff", []byte{0xff, 0}, time.Time{}
	if err := table.Put(t.Context(), []driver.Entry{text, binary}); err != nil {
		t.Fatal(err)
	}
	docs := newClient(t, serverURL(t)).Database(name).Collection("tracks")
	get := func(id string) (m bson.M) {
		t.Helper()
		if err := docs.FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for field, want := range map[string]any{
		"id": `a|b\c`, "page": int64(-1), "explicit": true, "status": int32(200),
		"cached_us": now.UnixMicro(), "expires_us": now.Add(time.Hour).UnixMicro(), "cached_at": bson.NewDateTimeFromTime(now),
		"expires_at": bson.NewDateTimeFromTime(now.Add(time.Hour)), "name": text.Name, "headers": text.Header, "payload": string(text.Payload),
		"_used_us": now.UnixMicro(), "_meta_sum": int64(1<<32 - 1), "_payload_sum": int64(7), "_encoding": "zstd",
	} {
		if got := get(`a\|b\\c|D\x00|-1|true`)[field]; got != want {
			t.Errorf("%s is %#v, want %#v", field, got, want)
		}
	}
	if got := get(`a\|b\\c|D\x00|-1|true`)["market"]; fmt.Sprint(got) != fmt.Sprint(bson.Binary{Data: []byte("D\x00")}) {
		t.Errorf("market is %v", got)
	}
	m := get("id-000002|DE|2|true")
	if _, there := m["expires_at"]; there || fmt.Sprint(m["payload"]) != fmt.Sprint(bson.Binary{Data: binary.Payload}) {
		t.Errorf("the other document is %v", m)
	}
}

// The server removes what has been expired for longer than KeepExpired. What it does
// then is MongoDB's; that it is told to is ours.
func TestExpiryIsLeftToTheServerWhereItCan(t *testing.T) {
	name := newDatabase(t)
	keep := func(d time.Duration) driver.Traits {
		s := open(t, serverURL(t), &mongodb.Options{Database: name, KeepExpired: d})
		openTracks(t, s)
		return s.Traits()
	}
	indexes := newClient(t, serverURL(t)).Database(name).Collection("tracks").Indexes()
	ttl := func() (seconds int32, found bool) {
		t.Helper()
		specs, err := indexes.ListSpecifications(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range specs {
			if spec.ExpireAfterSeconds != nil {
				return *spec.ExpireAfterSeconds, true
			}
		}
		return 0, false
	}
	if isFerretDB(t) {
		traits := keep(time.Hour)
		if _, found := ttl(); found || traits.Vanishes {
			t.Errorf("a server without TTL indexes: %v, %+v", found, traits)
		}
		return
	}
	if traits := keep(-1); traits.Vanishes {
		t.Errorf("what is kept for ever: %+v", traits)
	}
	if _, found := ttl(); found {
		t.Error("what is kept for ever has a TTL index")
	}
	for _, d := range []time.Duration{time.Hour, time.Hour, 2 * time.Hour} {
		traits := keep(d)
		if seconds, found := ttl(); !found || time.Duration(seconds)*time.Second != d || !traits.Vanishes {
			t.Errorf("the server removes after %d seconds, want %v, %+v", seconds, d, traits)
		}
	}
}

package mongodb_test

import (
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/mongodb"
)

// What the store sends to MongoDB works on FerretDB too, up to the first document that is
// refused.
func TestCommandsForMongoDB(t *testing.T) {
	table := mongodb.AsMongoDB(openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: newDatabase(t)})))
	entries, keys := trackEntries(20)
	putIf := func(precondition driver.Precondition, want bool, some ...driver.Entry) {
		t.Helper()
		stored, err := table.PutIf(t.Context(), some, driver.Condition{If: precondition, Now: now})
		if err != nil || !slices.Equal(stored, slices.Repeat([]bool{want}, len(some))) {
			t.Errorf("precondition %d: put reports %v, %v", precondition, stored, err)
		}
	}
	putIf(driver.IfAbsent, true, entries...)
	putIf(driver.IfAbsent, false, entries[0])
	putIf(driver.IfNewer, true, entries...)
	older, expired := entries[1], entries[2]
	older.CachedAt = older.CachedAt.Add(-time.Microsecond)
	putIf(driver.IfNewer, false, older)
	putIf(driver.IfNotLive, false, older)
	expired.ExpiresAt = now
	putIf(driver.IfNewer, true, expired)
	putIf(driver.IfNotLive, true, entries[2])

	putIf(driver.IfUnchanged, false, older)
	putIf(driver.IfUnchanged, true, entries[0])
	missing, _ := trackEntries(21)
	some, outcomes := []driver.Entry{missing[20], older}, []bool{false, false}
	for i := range entries[2:] {
		entries[2+i].Name, entries[2+i].Payload = "put again", []byte("again")
		some, outcomes = append(some, entries[2+i]), append(outcomes, true)
	}
	stored, err := table.PutIf(t.Context(), some, driver.Condition{If: driver.IfUnchanged})
	if err != nil || !slices.Equal(stored, outcomes) {
		t.Errorf("put if unchanged reports %v, %v, want %v", stored, err, outcomes)
	}

	renewals, want := make([]driver.Renewal, len(entries)), make([]bool, len(entries))
	for round := range 3 {
		for i, e := range entries {
			renewals[i] = driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: `{"Round":["1"]}`, CachedAt: e.CachedAt.Add(time.Second), ExpiresAt: e.ExpiresAt}
			if want[i] = round == 0 || i%3 != round; want[i] {
				entries[i].CachedAt, entries[i].Header = renewals[i].CachedAt, renewals[i].Header
			} else {
				renewals[i].Seen = e.CachedAt.Add(-time.Hour)
			}
		}
		renewed, err := table.Renew(t.Context(), renewals)
		if err != nil || !slices.Equal(renewed, want) {
			t.Errorf("round %d: renew reports %v, %v, want %v", round, renewed, err, want)
		}
	}
	found := 0
	err = table.Get(t.Context(), keys, driver.Selection{Parts: driver.Payload | driver.Meta}, func(i int, e driver.Entry) {
		found++
		if !e.CachedAt.Equal(entries[i].CachedAt) || e.Header != entries[i].Header || e.Name != entries[i].Name || string(e.Payload) != string(entries[i].Payload) {
			t.Errorf("entry %d is %+v, want %+v", i, e, entries[i])
		}
	})
	if err != nil || found != len(keys) {
		t.Errorf("%d entries, %v", found, err)
	}
}

// The server removes what has expired by the field of the date.
func TestTheDateOfExpiryFollowsARenewal(t *testing.T) {
	database := newDatabase(t)
	table := openTracks(t, open(t, serverURL(t), &mongodb.Options{Database: database}))
	docs := newClient(t, serverURL(t)).Database(database).Collection("tracks")
	e := track(1)
	if err := table.Put(t.Context(), []driver.Entry{e}); err != nil {
		t.Fatal(err)
	}
	for _, expires := range []time.Time{{}, now.Add(3 * time.Hour), now.Add(-time.Hour), {}} {
		r := driver.Renewal{Key: e.Key, Seen: e.CachedAt, Header: e.Header, CachedAt: e.CachedAt, ExpiresAt: expires}
		if renewed, err := table.Renew(t.Context(), []driver.Renewal{r}); err != nil || !renewed[0] {
			t.Fatalf("renew reports %v, %v", renewed, err)
		}
		doc, err := docs.FindOne(t.Context(), bson.D{}).Raw()
		if err != nil {
			t.Fatal(err)
		}
		date, there := doc.Lookup("expires_at").TimeOK()
		if there == expires.IsZero() || there && !date.Equal(expires.Truncate(time.Millisecond)) {
			t.Errorf("expires_at is %v, %v, want %v", there, date, expires)
		}
	}
}

package mongodb_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/tracktest"
	"github.com/endpointcache/endpointcache/mongodb"
)

func TestFindings(t *testing.T) {
	database := newDatabase(t)
	s := open(t, serverURL(t), &mongodb.Options{Database: database})
	entries, _ := trackEntries(20)
	tracktest.Put(t, openTracks(t, s), entries...)
	level := driver.Good
	if isFerretDB(t) {
		level = driver.Warning
	}
	tracktest.WantFinding(t, s, false, "server", "MongoDB", level)
	tracktest.WantFinding(t, s, false, "tables", "1", driver.Good)
	tracktest.WantFinding(t, s, false, "clock", "agrees", driver.Good)
	tracktest.WantFinding(t, s, false, "write concern", "default", driver.Good)
	tracktest.WantFinding(t, s, true, "documents", "20 can be read", driver.Good)
	tracktest.WantFinding(t, s, false, "indexes", "as they should be", driver.Good)

	collection := newClient(t, serverURL(t)).Database(database).Collection("tracks")
	if err := collection.Indexes().DropAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, false, "indexes", "1 table", driver.Warning)
	if _, err := collection.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "other"}}); err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, s, true, "documents", "1 table", driver.Fault)
}

func TestFindingsOfAClient(t *testing.T) {
	url := serverURL(t)
	if strings.Contains(url, "?") {
		url += "&"
	} else {
		url += "?"
	}
	s := open(t, url+"w=1&readPreference=secondaryPreferred", &mongodb.Options{Database: newDatabase(t)})
	tracktest.WantFinding(t, s, false, "write concern", "w=1", driver.Good) // of a single server
	tracktest.WantFinding(t, s, false, "read concern", "secondary", driver.Warning)
}

// A user who may not compact is told so.
func TestCompactFreesWhatItCan(t *testing.T) {
	s := open(t, serverURL(t), &mongodb.Options{Database: newDatabase(t)})
	table := openTracks(t, s)
	entries, _ := trackEntries(200)
	tracktest.Put(t, table, entries...)
	if _, err := table.Clear(context.Background(), driver.Filter{}); err != nil {
		t.Fatal(err)
	}
	if freed, err := s.Compact(t.Context()); freed < 0 || err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%d bytes were freed, %v", freed, err)
	}
}

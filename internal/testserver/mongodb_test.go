package testserver

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

func startMongoDB(t *testing.T, o *Options) *MongoDB {
	t.Helper()
	m, err := StartMongoDB(t.Context(), o)
	if errors.Is(err, errNotInstalled) {
		testenv.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Stop() })
	return m
}

// collectionOf is one of a server's, on a client that is gone after the test.
func collectionOf(t *testing.T, m *MongoDB) *mongo.Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(m.URL()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(context.Background()) })
	return client.Database("test").Collection("things")
}

func TestMongoDB(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	m := startMongoDB(t, &Options{Dir: dir})
	t.Logf("started in %v", time.Since(begin))
	things := collectionOf(t, m)
	if _, err := things.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "kept"}}); err != nil {
		t.Fatal(err)
	}
	url := m.URL()
	if err := m.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.URL() != url {
		t.Error("after a restart the URL is another")
	}
	if n, err := things.CountDocuments(t.Context(), bson.D{}); err != nil || n != 1 {
		t.Errorf("after a restart %d documents: %v", n, err)
	}
	other := startMongoDB(t, &Options{Dir: dir, Durable: true})
	if n, err := collectionOf(t, other).CountDocuments(t.Context(), bson.D{}); err != nil || n != 0 {
		t.Errorf("another server has %d documents: %v", n, err)
	}
	if err := errors.Join(m.Stop(), other.Stop()); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
	if conn, err := net.Dial("tcp", address(m.port)); err == nil {
		conn.Close()
		t.Error("the server is still there")
	}
	if err := m.Stop(); err != nil {
		t.Errorf("the second stop: %v", err)
	}
}

// Of those who remove one document at once, one gets it: FerretDB by itself would give
// it to several.
func TestMongoDBRemovesInOneStep(t *testing.T) {
	things := collectionOf(t, startMongoDB(t, nil))
	const rounds, callers = 20, 8
	for range rounds {
		if _, err := things.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "one"}}); err != nil {
			t.Fatal(err)
		}
		got := make(chan bool, callers)
		for range callers {
			go func() {
				err := things.FindOneAndDelete(t.Context(), bson.D{{Key: "_id", Value: "one"}}).Err()
				if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
					t.Error(err)
				}
				got <- err == nil
			}()
		}
		n := 0
		for range callers {
			if <-got {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d callers got the document", n)
		}
	}
}

func TestMongoDBPortTaken(t *testing.T) {
	m := startMongoDB(t, nil)
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", address(m.port))
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	if err := m.Restart(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("a restart on a port that is taken: %v", err)
	}
}

func TestMongoDBGivesUp(t *testing.T) {
	dir := openDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartMongoDB(ctx, &Options{Dir: dir}); err == nil {
		t.Error("it started without time")
	}
	expectEmpty(t, dir)
	if _, err := StartMongoDB(t.Context(), &Options{Dir: dir + "/absent"}); err == nil {
		t.Error("it started without a folder")
	}
}

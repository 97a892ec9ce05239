package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	mongooptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/mongodb"
)

// mongodbBackend is the server of MONGODB_TEST_URL. Its hand-written side has a client
// of the driver, and documents of the same fields. Where the server is FerretDB, it
// replaces fifty documents in a command, as the library does: more than a hundred would
// wait for ever.
var mongodbBackend = &backend{
	name: "mongodb",
	open: func(ctx context.Context, _ *dataset, part string) (driver.Store, error) {
		url, err := mongodbURL()
		if err != nil {
			return nil, err
		}
		return mongodb.Open(ctx, url, &mongodb.Options{Database: part})
	},
	byHand: func(ctx context.Context, _ *dataset, part string) (rival, error) {
		url, err := mongodbURL()
		if err != nil {
			return nil, err
		}
		client, err := mongo.Connect(mongooptions.Client().ApplyURI(url))
		if err != nil {
			return nil, err
		}
		h := &byMongo{client.Database(part).Collection("tracks"), 1_000}
		info, err := client.Database(part).RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Raw()
		if err != nil {
			return nil, errors.Join(err, h.close())
		}
		if _, absent := info.LookupErr("ferretdbFeatures"); absent == nil {
			h.perSave = 50
		}
		return h, nil
	},
}

func mongodbURL() (string, error) {
	url := os.Getenv("MONGODB_TEST_URL")
	if url == "" {
		return "", errSkipped{errors.New("MONGODB_TEST_URL is not set, as make bench does")}
	}
	return url, nil
}

// byMongo is the hand-written side.
type byMongo struct {
	tracks  *mongo.Collection
	perSave int // documents of a command
}

func mongoID(k *Key) string {
	return fmt.Sprintf("%s|%s|%d|%d", k.ID, k.Market, k.Disc, k.Number)
}

var payloadAndExpiry = bson.D{{Key: "payload", Value: 1}, {Key: "expires_us", Value: 1}}

// payloadIn takes the payload of a live entry out of its document.
func payloadIn(doc bson.Raw, now int64) ([]byte, error) {
	if doc.Lookup("expires_us").Int64() <= now {
		return nil, errNotThere
	}
	return []byte(doc.Lookup("payload").StringValue()), nil
}

func (h *byMongo) get(ctx context.Context, k Key) ([]byte, error) {
	doc, err := h.tracks.FindOne(ctx, bson.D{{Key: "_id", Value: mongoID(&k)}}, mongooptions.FindOne().SetProjection(payloadAndExpiry)).Raw()
	if err != nil {
		return nil, err
	}
	return payloadIn(doc, time.Now().UnixMicro())
}

func (h *byMongo) getMany(ctx context.Context, keys []Key) ([][]byte, error) {
	ids, places := make([]string, len(keys)), make(map[string]int, len(keys))
	for i := range keys {
		ids[i] = mongoID(&keys[i])
		places[ids[i]] = i
	}
	cursor, err := h.tracks.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}},
		mongooptions.Find().SetProjection(payloadAndExpiry).SetBatchSize(int32(len(ids)+1)))
	if err != nil {
		return nil, err
	}
	defer cursor.Close(ctx)
	payloads, now := make([][]byte, len(keys)), time.Now().UnixMicro()
	for cursor.Next(ctx) {
		if payloads[places[cursor.Current.Lookup("_id").StringValue()]], err = payloadIn(cursor.Current, now); err != nil {
			return nil, err
		}
	}
	return payloads, cursor.Err()
}

func (h *byMongo) saveMany(ctx context.Context, rows []row) error {
	now := time.Now().UTC()
	expires := expiry(now)
	for chunk := range slices.Chunk(rows, h.perSave) {
		models := make([]mongo.WriteModel, len(chunk))
		for i := range chunk {
			r := &chunk[i]
			id := mongoID(&r.key)
			models[i] = mongo.NewReplaceOneModel().SetUpsert(true).SetFilter(bson.D{{Key: "_id", Value: id}}).SetReplacement(bson.D{
				{Key: "_id", Value: id},
				{Key: "id", Value: r.key.ID}, {Key: "market", Value: r.key.Market}, {Key: "disc", Value: int64(r.key.Disc)}, {Key: "number", Value: int64(r.key.Number)},
				{Key: "status", Value: int32(http.StatusOK)}, {Key: "cached_at", Value: now}, {Key: "expires_at", Value: expires},
				{Key: "cached_us", Value: now.UnixMicro()}, {Key: "expires_us", Value: expires.UnixMicro()},
				{Key: "name", Value: ""}, {Key: "headers", Value: r.headers}, {Key: "payload", Value: string(r.payload)},
			})
		}
		if _, err := h.tracks.BulkWrite(ctx, models, mongooptions.BulkWrite().SetOrdered(false)); err != nil {
			return err
		}
	}
	return nil
}

func (h *byMongo) deleteMany(ctx context.Context, keys []Key) (int, error) {
	ids := make([]string, len(keys))
	for i := range keys {
		ids[i] = mongoID(&keys[i])
	}
	result, err := h.tracks.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return 0, err
	}
	return int(result.DeletedCount), nil
}

func (h *byMongo) close() error { return h.tracks.Database().Client().Disconnect(context.Background()) }

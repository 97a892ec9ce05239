package places

import (
	"bytes"
	"context"
	"database/sql"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/jackc/pgx/v5"
	_ "github.com/mattn/go-sqlite3" // reads the files of package sqlite
	"github.com/redis/rueidis"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// Part is a part of a stored entry.
type Part string

// The parts of an entry of the table "tracks" that can be damaged. Its key is a string, id,
// its name is "name-a", its payload "payload-a" and more, and it has a header X-Part that is
// "header-a".
const (
	Payload   Part = "payload"
	Name      Part = "name"
	Header    Part = "headers"
	Status    Part = "status"
	CachedAt  Part = "cached_at"
	ExpiresAt Part = "expires_at"
)

// Parts are all of them.
var Parts = []Part{Payload, Name, Header, Status, CachedAt, ExpiresAt}

// Damage changes a part of what the store at a place has of the entry with that id, past the
// store: as a disk does, or a bug. Times are a hundred years later then.
func Damage(tb testing.TB, kind, url, name, id string, part Part) {
	tb.Helper()
	map[string]func(testing.TB, string, string, string, Part){
		"sqlite": damageRow, "filesystem": damageFile, "postgres": damageTuple,
		"redis": damageString, "mongodb": damageDocument, "dynamodb": damageItem,
	}[kind](tb, url, name, id, part)
}

// Mistype gives a part of what the store at a place has of the entry with that id a value of another type, as
// another program may that writes to the store: a text in place of a number or of bytes, or bytes in place of a
// text. It returns false where the store does not let it, or is not of types.
func Mistype(tb testing.TB, kind, url, name, id string, part Part) bool {
	tb.Helper()
	mistype := map[string]func(testing.TB, string, string, string, Part){
		"sqlite": mistypeRow, "redis": mistypeString, "mongodb": mistypeDocument, "dynamodb": mistypeItem,
	}[kind]
	if mistype != nil {
		mistype(tb, url, name, id, part)
	}
	return mistype != nil
}

// spoil is text with the part changed in it.
func spoil(tb testing.TB, text string, part Part) string {
	tb.Helper()
	right := map[Part]string{Payload: "payload-a", Name: "name-a", Header: "header-a"}[part]
	if right == "" || !strings.Contains(text, right) {
		tb.Fatalf("%q has no %s", text, part)
	}
	return strings.Replace(text, right, strings.TrimSuffix(right, "a")+"b", 1)
}

// changed ends the test where not one entry was changed.
func changed(tb testing.TB, n int64) {
	tb.Helper()
	if n != 1 {
		tb.Fatalf("%d entries were changed", n)
	}
}

func damageRow(tb testing.TB, url, _, id string, part Part) {
	updateRow(tb, url, id, map[Part]string{
		Payload:   "payload = CAST(replace(CAST(payload AS TEXT), 'payload-a', 'payload-b') AS BLOB)",
		Name:      "name = 'name-b'",
		Header:    "headers = replace(headers, 'header-a', 'header-b')",
		Status:    "status = 203",
		CachedAt:  "cached_us = cached_us + 3155760000000000",
		ExpiresAt: "expires_us = expires_us + 3155760000000000",
	}[part])
}

func mistypeRow(tb testing.TB, url, _, id string, part Part) {
	updateRow(tb, url, id, map[Part]string{
		Payload:   "payload = 'text'",
		Name:      "name = x'41'",
		Header:    "headers = x'41'",
		Status:    "status = 'text'",
		CachedAt:  "cached_us = 'text'",
		ExpiresAt: "expires_us = 1.5e20",
	}[part])
}

func updateRow(tb testing.TB, url, id, assignment string) {
	tb.Helper()
	db, err := sql.Open("sqlite3", strings.TrimPrefix(url, "sqlite:"))
	check(tb, err)
	defer func() { check(tb, db.Close()) }()
	result, err := db.ExecContext(tb.Context(), "UPDATE tracks SET "+assignment+" WHERE id = ?", id) // #nosec G202 -- the tests say what
	check(tb, err)
	n, err := result.RowsAffected()
	check(tb, err)
	changed(tb, n)
}

func damageTuple(tb testing.TB, _, name, id string, part Part) {
	ctx := tb.Context()
	conn, err := pgx.Connect(ctx, testenv.URL(tb, "POSTGRES_TEST_URL"))
	check(tb, err)
	defer func() { check(tb, conn.Close(context.WithoutCancel(ctx))) }()
	tag, err := conn.Exec(ctx, "UPDATE "+pgx.Identifier{name, "tracks"}.Sanitize()+" SET "+map[Part]string{
		Payload:   "payload = set_byte(payload, 8, 98)",
		Name:      "name = 'name-b'",
		Header:    `headers = headers || '{"X-Part": ["header-b"]}'`,
		Status:    "status = 203",
		CachedAt:  "cached_at = cached_at + interval '100 years'",
		ExpiresAt: "expires_at = expires_at + interval '100 years'",
	}[part]+" WHERE id = $1", id)
	check(tb, err)
	changed(tb, tag.RowsAffected())
}

func damageDocument(tb testing.TB, url, name, id string, part Part) {
	ctx := tb.Context()
	client, err := mongo.Connect(options.Client().ApplyURI(url))
	check(tb, err)
	defer func() { check(tb, client.Disconnect(context.WithoutCancel(ctx))) }()
	collection := client.Database(name).Collection(name + ".tracks")
	var document struct{ Payload, Headers string }
	check(tb, collection.FindOne(ctx, bson.D{{Key: "id", Value: id}}).Decode(&document))
	const century = int64(3_155_760_000_000_000)
	var update bson.D
	switch part {
	case Payload:
		update = bson.D{{Key: "$set", Value: bson.D{{Key: "payload", Value: spoil(tb, document.Payload, part)}}}}
	case Header:
		update = bson.D{{Key: "$set", Value: bson.D{{Key: "headers", Value: spoil(tb, document.Headers, part)}}}}
	case Name:
		update = bson.D{{Key: "$set", Value: bson.D{{Key: "name", Value: "name-b"}}}}
	case Status:
		update = bson.D{{Key: "$set", Value: bson.D{{Key: "status", Value: int32(203)}}}}
	case CachedAt:
		update = bson.D{{Key: "$inc", Value: bson.D{{Key: "cached_us", Value: century}}}}
	case ExpiresAt:
		update = bson.D{{Key: "$inc", Value: bson.D{{Key: "expires_us", Value: century}}}}
	}
	result, err := collection.UpdateOne(ctx, bson.D{{Key: "id", Value: id}}, update)
	check(tb, err)
	changed(tb, result.ModifiedCount)
}

func mistypeDocument(tb testing.TB, url, name, id string, part Part) {
	ctx := tb.Context()
	client, err := mongo.Connect(options.Client().ApplyURI(url))
	check(tb, err)
	defer func() { check(tb, client.Disconnect(context.WithoutCancel(ctx))) }()
	field, value := string(part), any("text")
	switch part {
	case CachedAt, ExpiresAt:
		field = strings.TrimSuffix(field, "_at") + "_us"
	case Payload, Name, Header:
		value = 1.5
	case Status:
	}
	update := bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}}
	result, err := client.Database(name).Collection(name+".tracks").UpdateOne(ctx, bson.D{{Key: "id", Value: id}}, update)
	check(tb, err)
	changed(tb, result.ModifiedCount)
}

// damageString knows the places of times and status in the line that the string begins with.
func damageString(tb testing.TB, _, name, id string, part Part) {
	changeString(tb, name, id, func(text string) string {
		at := map[Part]int{ExpiresAt: 0, CachedAt: 28, Status: 84}
		switch place, ok := at[part]; {
		case !ok:
			text = spoil(tb, text, part)
		case part == Status:
			text = text[:place] + "203" + text[place+3:]
		default:
			text = text[:place] + "21" + text[place+2:]
		}
		return text
	})
}

// mistypeString puts something in the place of the part which that cannot be, or of all.
func mistypeString(tb testing.TB, _, name, id string, part Part) {
	changeString(tb, name, id, func(text string) string {
		switch at := map[Part]int{ExpiresAt: 0, CachedAt: 28, Status: 84}; part {
		case ExpiresAt, CachedAt, Status:
			return text[:at[part]] + "x" + text[at[part]+1:]
		case Payload:
			return "text"
		default:
			return strings.Repeat("text ", 100)
		}
	})
}

func changeString(tb testing.TB, name, id string, change func(string) string) {
	tb.Helper()
	ctx := tb.Context()
	option, err := rueidis.ParseURL(testenv.URL(tb, "REDIS_TEST_URL"))
	check(tb, err)
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	check(tb, err)
	defer client.Close()
	keys, err := client.Do(ctx, client.B().Keys().Pattern(name+":{tracks:*}:"+id).Build()).AsStrSlice()
	check(tb, err)
	changed(tb, int64(len(keys)))
	text, err := client.Do(ctx, client.B().Get().Key(keys[0]).Build()).ToString()
	check(tb, err)
	text = change(text)
	check(tb, client.Do(ctx, client.B().Set().Key(keys[0]).Value(text).Keepttl().Build()).Error())
}

func damageItem(tb testing.TB, address, _, id string, part Part) {
	changeItem(tb, address, id, func(item map[string]types.AttributeValue) { spoilItem(tb, item, part) })
}

func mistypeItem(tb testing.TB, address, _, id string, part Part) {
	changeItem(tb, address, id, func(item map[string]types.AttributeValue) {
		switch part {
		case Payload:
			item["v"] = &types.AttributeValueMemberN{Value: "1.5"}
		case Status, ExpiresAt: // which has to be a text, as it is in an index
			item[string(part)] = &types.AttributeValueMemberS{Value: "text"}
		default:
			item[string(part)] = &types.AttributeValueMemberN{Value: "1.5"}
		}
	})
}

func changeItem(tb testing.TB, address, id string, change func(map[string]types.AttributeValue)) {
	tb.Helper()
	ctx := tb.Context()
	u, err := url.Parse(address)
	check(tb, err)
	client, closeIdle := dynamoDBAt(u)
	defer closeIdle()
	var names []string
	for pages := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		check(tb, err)
		names = append(names, page.TableNames...)
	}
	n := int64(0)
	for _, table := range names {
		if strings.HasPrefix(table, u.Query().Get("prefix")) {
			n += changeItemIn(tb, client, table, id, change)
		}
	}
	changed(tb, n)
}

// changeItemIn returns how many items of a table it has changed.
func changeItemIn(tb testing.TB, client *dynamodb.Client, table, id string, change func(map[string]types.AttributeValue)) (n int64) {
	tb.Helper()
	ctx := tb.Context()
	for pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &table}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		check(tb, err)
		for _, item := range page.Items {
			sort, _ := item["k"].(*types.AttributeValueMemberS)
			if sort == nil || sort.Value != "|"+id {
				continue
			}
			change(item)
			_, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item})
			check(tb, err)
			n++
		}
	}
	return n
}

func spoilItem(tb testing.TB, item map[string]types.AttributeValue, part Part) {
	tb.Helper()
	switch part {
	case Payload:
		switch v := item["v"].(type) {
		case *types.AttributeValueMemberS:
			v.Value = spoil(tb, v.Value, part)
		case *types.AttributeValueMemberB:
			v.Value = []byte(spoil(tb, string(v.Value), part))
		default:
			tb.Fatalf("the payload is a %T", v)
		}
	case Status:
		item["status"] = &types.AttributeValueMemberN{Value: "203"}
	default:
		v, ok := item[string(part)].(*types.AttributeValueMemberS)
		if !ok {
			tb.Fatalf("%s is a %T", part, item[string(part)])
		}
		if part == CachedAt || part == ExpiresAt {
			v.Value = "21" + v.Value[2:]
		} else {
			v.Value = spoil(tb, v.Value, part)
		}
	}
}

// damageFile changes a byte of the file: in which line of it the times and the status are, it
// need not know.
func damageFile(tb testing.TB, address, _, id string, part Part) {
	var paths []string
	check(tb, filepath.WalkDir(strings.TrimPrefix(address, "file:"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), id) {
			paths = append(paths, path)
		}
		return err
	}))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		check(tb, err)
		switch part {
		case Payload, Name, Header:
			text = []byte(spoil(tb, string(text), part))
		default:
			head := bytes.Index(text, []byte("\n\n"))
			for i, c := range text[:head] {
				if at := bytes.Index(text, []byte("20")); c == '2' && i >= at {
					text[i+1] = '1'
					break
				}
			}
		}
		check(tb, os.WriteFile(path, text, 0o600))
	}
	changed(tb, int64(len(paths)))
}

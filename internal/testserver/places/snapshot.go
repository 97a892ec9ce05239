package places

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/jackc/pgx/v5"
	"github.com/redis/rueidis"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// Snapshot is all that there is at a place for a store of that kind, line by line: entries,
// and what they stand in, with the times of files.
func Snapshot(tb testing.TB, kind, url, name string) string {
	tb.Helper()
	lines := map[string]func(testing.TB, string, string) []string{
		"sqlite": filesBeside, "filesystem": filesIn, "postgres": schemaDump,
		"redis": keysDump, "mongodb": databaseDump, "dynamodb": tablesDump,
	}[kind](tb, url, name)
	return strings.Join(lines, "\n")
}

func filesBeside(tb testing.TB, address, _ string) []string {
	tb.Helper()
	return files(tb, filepath.Dir(strings.TrimPrefix(address, "sqlite:")))
}

func filesIn(tb testing.TB, address, _ string) []string {
	tb.Helper()
	return files(tb, strings.TrimPrefix(address, "file:"))
}

func files(tb testing.TB, folder string) (lines []string) {
	tb.Helper()
	root, err := os.OpenRoot(folder)
	check(tb, err)
	defer func() { check(tb, root.Close()) }()
	check(tb, fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := fmt.Sprintln(path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		if !entry.IsDir() {
			content, err := root.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf("%x", sha256.Sum256(content))
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

// schemaDump has the rows with their transactions and places, which every write changes.
func schemaDump(tb testing.TB, _, name string) (lines []string) {
	tb.Helper()
	ctx := tb.Context()
	conn, err := pgx.Connect(ctx, testenv.URL(tb, "POSTGRES_TEST_URL"))
	check(tb, err)
	defer func() { check(tb, conn.Close(context.WithoutCancel(ctx))) }()
	texts := func(query string, args ...any) []string {
		rows, err := conn.Query(ctx, query, args...)
		check(tb, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		check(tb, err)
		return all
	}
	lines = texts("SELECT oid || nspname FROM pg_namespace WHERE nspname = $1", name)
	lines = append(lines, texts(`SELECT concat_ws(' ', relname, relkind, relfilenode, c.xmin, obj_description(c.oid, 'pg_class'))
		FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname = $1 ORDER BY relname`, name)...)
	for _, table := range texts("SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY 1", name) {
		lines = append(lines, texts("SELECT concat_ws(' ', t.xmin, t.xmax, t.ctid, t::text) FROM "+pgx.Identifier{name, table}.Sanitize()+" AS t ORDER BY t.ctid")...)
	}
	return lines
}

func keysDump(tb testing.TB, _, name string) (lines []string) {
	tb.Helper()
	ctx := tb.Context()
	option, err := rueidis.ParseURL(testenv.URL(tb, "REDIS_TEST_URL"))
	check(tb, err)
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	check(tb, err)
	defer client.Close()
	keys, err := client.Do(ctx, client.B().Keys().Pattern(name+":*").Build()).AsStrSlice()
	check(tb, err)
	slices.Sort(keys)
	for _, key := range keys {
		text, err := client.Do(ctx, client.B().Dump().Key(key).Build()).ToString()
		check(tb, err)
		lasts, err := client.Do(ctx, client.B().Ttl().Key(key).Build()).AsInt64()
		check(tb, err)
		lines = append(lines, fmt.Sprintf("%s %v %q", key, lasts < 0, text))
	}
	return lines
}

func databaseDump(tb testing.TB, address, name string) (lines []string) {
	tb.Helper()
	ctx := tb.Context()
	client, err := mongo.Connect(options.Client().ApplyURI(address))
	check(tb, err)
	defer func() { check(tb, client.Disconnect(context.WithoutCancel(ctx))) }()
	db := client.Database(name)
	collections, err := db.ListCollectionNames(ctx, bson.D{})
	check(tb, err)
	slices.Sort(collections)
	for _, collection := range collections {
		lines = append(lines, collection)
		indexes, err := db.Collection(collection).Indexes().ListSpecifications(ctx)
		check(tb, err)
		for _, index := range indexes {
			lines = append(lines, index.Name+index.KeysDocument.String())
		}
		documents, err := db.Collection(collection).Find(ctx, bson.D{}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
		check(tb, err)
		for documents.Next(ctx) {
			lines = append(lines, documents.Current.String())
		}
		check(tb, documents.Err())
	}
	return lines
}

func tablesDump(tb testing.TB, address, name string) (lines []string) {
	tb.Helper()
	ctx := tb.Context()
	u, err := url.Parse(address)
	check(tb, err)
	client, closeIdle := dynamoDBAt(u)
	defer closeIdle()
	for tables := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{}); tables.HasMorePages(); {
		page, err := tables.NextPage(ctx)
		check(tb, err)
		for _, table := range page.TableNames {
			if !strings.HasPrefix(table, name) {
				continue
			}
			lines = append(lines, table)
			for items := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &table}); items.HasMorePages(); {
				page, err := items.NextPage(ctx)
				check(tb, err)
				for _, item := range page.Items {
					text, err := json.Marshal(item)
					check(tb, err)
					lines = append(lines, string(text))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

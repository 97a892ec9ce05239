// Package places makes empty places for stores of every kind: a file, a folder, or a
// part of a server that the tests have. It is for tests that open all of them by URL.
package places

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/jackc/pgx/v5"
	"github.com/redis/rueidis"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// New makes an empty place for a store, and returns the URL to open it at, with the
// name given where the store takes one. What is there is removed when the test ends.
type New func(tb testing.TB, name string) (url string)

// Lasting are the places of the stores whose entries outlive them, by the kinds that
// [driver.Traits] tells.
//
// [driver.Traits]: https://pkg.go.dev/github.com/endpointcache/endpointcache/driver#Traits
var Lasting = map[string]New{
	"sqlite":     newFile,
	"filesystem": newFolder,
	"postgres":   newSchema,
	"redis":      newPrefix,
	"mongodb":    newDatabase,
	"dynamodb":   newTables,
}

func newFile(tb testing.TB, _ string) string {
	return "sqlite:" + filepath.Join(tb.TempDir(), "cache.db")
}

// newFolder is in memory where the system has such a file system: the suite makes
// many small files.
func newFolder(tb testing.TB, _ string) string {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	folder, err := os.MkdirTemp(parent, "endpointcache-test-")
	check(tb, err)
	tb.Cleanup(func() { check(tb, os.RemoveAll(folder)) })
	return "file:" + folder
}

func newSchema(tb testing.TB, name string) string {
	address := testenv.URL(tb, "POSTGRES_TEST_URL")
	tb.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, address)
		check(tb, err)
		defer func() { check(tb, conn.Close(ctx)) }()
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{name}.Sanitize()+" CASCADE")
		check(tb, err)
	})
	return address
}

func newPrefix(tb testing.TB, name string) string {
	address := testenv.URL(tb, "REDIS_TEST_URL")
	tb.Cleanup(func() {
		ctx := context.Background()
		option, err := rueidis.ParseURL(address)
		check(tb, err)
		option.DisableCache = true
		client, err := rueidis.NewClient(option)
		check(tb, err)
		defer client.Close()
		for cursor := uint64(0); ; {
			page, err := client.Do(ctx, client.B().Scan().Cursor(cursor).Match(name+":*").Count(10_000).Build()).AsScanEntry()
			check(tb, err)
			if len(page.Elements) > 0 {
				check(tb, client.Do(ctx, client.B().Unlink().Key(page.Elements...).Build()).Error())
			}
			if cursor = page.Cursor; cursor == 0 {
				return
			}
		}
	})
	return address
}

func newDatabase(tb testing.TB, name string) string {
	u, err := url.Parse(testenv.URL(tb, "MONGODB_TEST_URL"))
	check(tb, err)
	u.Path = "/" + name
	tb.Cleanup(func() {
		ctx := context.Background()
		client, err := mongo.Connect(options.Client().ApplyURI(u.String()))
		check(tb, err)
		check(tb, client.Database(name).Drop(ctx))
		check(tb, client.Disconnect(ctx))
	})
	return u.String()
}

// newTables gives each repository a table of its own, whose name begins with that of the
// store.
func newTables(tb testing.TB, name string) string {
	u, err := url.Parse(testenv.URL(tb, "DYNAMODB_TEST_URL"))
	check(tb, err)
	query := u.Query()
	query.Set("prefix", name)
	u.RawQuery, u.Path = query.Encode(), ""
	tb.Cleanup(func() {
		ctx := context.Background()
		client, closeIdle := dynamoDBAt(u)
		defer closeIdle()
		tables := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{ExclusiveStartTableName: &name})
		for tables.HasMorePages() {
			page, err := tables.NextPage(ctx)
			check(tb, err)
			for _, table := range page.TableNames {
				if !strings.HasPrefix(table, name) {
					return // they are in order
				}
				_, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &table})
				check(tb, err)
			}
		}
	})
	return u.String()
}

// dynamoDBAt is a client of the server at a URL, and what closes its connections.
func dynamoDBAt(u *url.URL) (client *dynamodb.Client, closeIdle func()) {
	secret, _ := u.User.Password()
	connections := &http.Transport{}
	return dynamodb.New(dynamodb.Options{
		HTTPClient: &http.Client{Transport: connections},
		Region:     "us-east-1", BaseEndpoint: aws.String("http://" + u.Host),
		Credentials: credentials.NewStaticCredentialsProvider(u.User.Username(), secret, ""),
	}), connections.CloseIdleConnections
}

// check ends the test where there is an error.
func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

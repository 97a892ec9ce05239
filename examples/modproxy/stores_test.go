//go:build allstores

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/rueidis"
	"go.mongodb.org/mongo-driver/v2/mongo"
	mongooptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/store"
)

// lasting are the stores that outlive the program, each with what makes the URL of an
// empty one that is removed when the test ends.
var lasting = map[string]func(*testing.T) string{
	"sqlite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "modules.db") },
	"filesystem": func(t *testing.T) string { return "file:" + filepath.Join(t.TempDir(), "modules") },
	"postgres":   newDatabase,
	"redis":      newKeyspace,
	"mongodb":    newCollections,
	"dynamodb":   newTables,
}

func TestEveryStoreKeepsWhatWasFetched(t *testing.T) {
	kinds := []string{"memory"}
	kinds = slices.AppendSeq(kinds, maps.Keys(lasting))
	var known []string
	for _, form := range store.Forms() {
		known = append(known, store.Kind(form))
	}
	if d := cmp.Diff(slices.Sorted(slices.Values(known)), slices.Sorted(slices.Values(kinds))); d != "" {
		t.Errorf("package store has others:\n%s", d)
	}
	for kind, newURL := range lasting {
		t.Run(kind, func(t *testing.T) {
			address := newURL(t)
			w := newWorld(t)
			stdout, _ := w.expect(0, "total: 13 keys, 0 cached, 13 fetched, 0 absent, 0 failed", "-store", address, "-zip")
			w.expectRow(stdout, "list 4 4 0 4 0 0 29")
			stdout, _ = w.expect(0, "total: 13 keys, 13 cached, 0 fetched, 0 absent, 0 failed", "-store", address, "-zip")
			w.expectRow(stdout, "list 4 4 4 0 0 0 0")
			if u, err := url.Parse(address); err == nil && u.User != nil {
				if password, _ := u.User.Password(); password != "" && strings.Contains(stdout, password) {
					t.Errorf("the password is told:\n%s", stdout)
				}
			}
		})
	}
}

// newKeyspace has the keys of the program for itself, as no other test does.
func newKeyspace(t *testing.T) string {
	address := testenv.URL(t, "REDIS_TEST_URL")
	option, err := rueidis.ParseURL(address)
	if err != nil {
		t.Fatal(err)
	}
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	remove := func() {
		ctx := context.Background()
		for cursor := uint64(0); ; {
			page, err := client.Do(ctx, client.B().Scan().Cursor(cursor).Match(name+":*").Count(10_000).Build()).AsScanEntry()
			check(t, err)
			for _, key := range page.Elements {
				check(t, client.Do(ctx, client.B().Unlink().Key(key).Build()).Error())
			}
			if cursor = page.Cursor; cursor == 0 {
				return
			}
		}
	}
	remove()
	t.Cleanup(func() {
		remove()
		client.Close()
	})
	return address
}

func newCollections(t *testing.T) string {
	u, err := url.Parse(testenv.URL(t, "MONGODB_TEST_URL"))
	if err != nil {
		t.Fatal(err)
	}
	database := ownName()
	u.Path = "/" + database
	t.Cleanup(func() {
		ctx := context.Background()
		client, err := mongo.Connect(mongooptions.Client().ApplyURI(u.String()))
		check(t, err)
		check(t, client.Database(database).Drop(ctx))
		check(t, client.Disconnect(ctx))
	})
	return u.String()
}

func newTables(t *testing.T) string {
	u, err := url.Parse(testenv.URL(t, "DYNAMODB_TEST_URL"))
	if err != nil {
		t.Fatal(err)
	}
	prefix := ownName()
	query := u.Query()
	query.Set("prefix", prefix)
	u.RawQuery, u.Path = query.Encode(), ""
	t.Cleanup(func() {
		ctx := context.Background()
		secret, _ := u.User.Password()
		connections := &http.Transport{}
		defer connections.CloseIdleConnections()
		client := dynamodb.New(dynamodb.Options{
			HTTPClient: &http.Client{Transport: connections},
			Region:     "us-east-1", BaseEndpoint: aws.String("http://" + u.Host),
			Credentials: credentials.NewStaticCredentialsProvider(u.User.Username(), secret, ""),
		})
		tables, err := client.ListTables(ctx, &dynamodb.ListTablesInput{ExclusiveStartTableName: &prefix})
		check(t, err)
		for _, table := range tables.TableNames {
			if strings.HasPrefix(table, prefix) {
				_, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &table})
				check(t, err)
			}
		}
	})
	return u.String()
}

func ownName() string { return fmt.Sprintf("modproxy_test_%d", os.Getpid()) }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// newDatabase makes an empty database for the test and returns its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(testenv.URL(t, "POSTGRES_TEST_URL"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	name := ownName()
	if _, err := server.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		if _, err := server.Exec(ctx, "DROP DATABASE "+name); err != nil {
			t.Error(err)
		}
		server.Close(ctx)
	})
	u.Path = "/" + name
	return u.String()
}

func TestPostgres(t *testing.T) {
	database := newDatabase(t)
	w := newWorld(t)
	stdout, _ := w.expect(0, "total: 13 keys, 0 cached, 13 fetched, 0 absent, 0 failed", "-store", database, "-zip")
	w.expectRow(stdout, "list 4 4 0 4 0 0 29")
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	if !strings.Contains(stdout, "psql 'postgres://"+u.User.Username()+"@") || password != "" && strings.Contains(stdout, password) {
		t.Errorf("the database is not named, or with its password:\n%s", stdout)
	}

	again := strings.Replace(database, "postgres:", "postgresql:", 1)
	stdout, _ = w.expect(0, "total: 13 keys, 13 cached, 0 fetched, 0 absent, 0 failed", "-store", again, "-zip")
	w.expectRow(stdout, "mod 4 4 4 0 0 0 0")

	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var got string
	if err := conn.QueryRow(t.Context(), "SELECT string_agg(module || '@' || version || ' ' || name, ', ' ORDER BY module) FROM modproxy.zip").Scan(&got); err != nil || got != "example.com/one@v1.2.0 example.com/one@v1.2.0" {
		t.Errorf("the table has %q: %v", got, err)
	}
	if _, err := os.Stat("modproxy.db"); err == nil {
		t.Error("there is a file, too")
	}
}

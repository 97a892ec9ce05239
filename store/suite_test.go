package store_test

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/rueidis"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/drivertest"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/testenv"
	"github.com/endpointcache/endpointcache/store"
)

// backend is a store that the suite opens by URL.
type backend struct {
	// newURL returns where a new store is to be, with the name given, and
	// removes what is there when the test ends.
	newURL func(tb testing.TB, name string) string

	volatile bool // nothing outlives the store

	maxKey, maxPayload, many int // see drivertest.Harness
	loose                    bool
}

// backends are those of the README, by their packages. The tests' servers of two are
// slow, so they get fewer entries.
var backends = map[string]backend{
	"sqlite":     {newURL: func(tb testing.TB, _ string) string { return "sqlite:" + filepath.Join(tb.TempDir(), "suite.db") }},
	"memory":     {newURL: func(testing.TB, string) string { return "memory:" }, volatile: true},
	"filesystem": {newURL: newFolder},
	"postgres":   {newURL: newSchema},
	"redis":      {newURL: newPrefix},
	"mongodb":    {newURL: newDatabase, maxPayload: 15 << 20, many: 1_100, loose: true},
	"dynamodb":   {newURL: newTables, maxKey: 128 << 10, maxPayload: dynamodb.MaxPayload, many: 250},
}

// whatAURLCanChange are the topics of the short form: the stores' own packages run the
// whole suite, and a store that a URL has opened can be another one, lose its place when
// it is opened again, or not be closed.
var whatAURLCanChange = []string{"Open", "Schema", "Put", "Expiry", "Close", "Errors"}

func TestEveryStoreOfTheREADMEKeepsThePromises(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "| store | package | URL for")
	table, _, _ = strings.Cut(table, "\n\n")
	forms := make(map[string]string) // by package
	for _, row := range regexp.MustCompile("\n\\|[^|]*\\| \\[`(\\w+)`\\]\\(\\w+\\) \\| `([^`]*)` \\|").FindAllStringSubmatch(table, -1) {
		forms[row[1]] = row[2]
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(backends)), slices.Sorted(maps.Keys(forms))); d != "" {
		t.Fatalf("the README's table has other stores:\n%s", d)
	}
	if d := cmp.Diff(slices.Sorted(slices.Values(store.Forms())), slices.Sorted(maps.Values(forms))); d != "" {
		t.Errorf("the README's table has other URLs:\n%s", d)
	}
	for name, b := range backends {
		if kind := store.Kind(forms[name]); kind != name {
			t.Errorf("%s is the URL of %q, the README says %s", forms[name], kind, name)
		}
		t.Run(name, func(t *testing.T) {
			if testing.Short() {
				drivertest.RunTopics(t, b.harness(name), whatAURLCanChange...)
			} else {
				drivertest.Run(t, b.harness(name))
			}
		})
	}
}

var names atomic.Int64

// place is where a store was opened.
type place struct {
	driver.Store
	url, name string
}

func (b backend) harness(kind string) drivertest.Harness {
	open := func(tb testing.TB, url, name string) driver.Store {
		s, err := store.Open(context.Background(), url, &store.Options{Name: name})
		if err != nil {
			tb.Fatal(err)
		}
		if got := s.Traits().Kind; got != kind {
			tb.Errorf("%q was opened, want %q", got, kind)
		}
		return place{s, url, name}
	}
	h := drivertest.Harness{MaxKey: b.maxKey, MaxPayload: b.maxPayload, Many: b.many, Loose: b.loose}
	h.Open = func(tb testing.TB) driver.Store {
		name := fmt.Sprintf("suite_%d_%d_%d", os.Getpid(), time.Now().UnixMilli(), names.Add(1))
		return open(tb, b.newURL(tb, name), name)
	}
	if !b.volatile {
		h.Reopen = func(tb testing.TB, s driver.Store) driver.Store {
			p := s.(place)
			return open(tb, p.url, p.name)
		}
	}
	return h
}

// newFolder is in memory where the system has such a file system: the suite makes
// many small files.
func newFolder(tb testing.TB, _ string) string {
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	folder, err := os.MkdirTemp(parent, "endpointcache-suite-")
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
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE")
		check(tb, err)
		check(tb, conn.Close(ctx))
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
			for _, key := range page.Elements {
				check(tb, client.Do(ctx, client.B().Unlink().Key(key).Build()).Error())
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
		secret, _ := u.User.Password()
		client := awsdynamodb.New(awsdynamodb.Options{
			Region: "us-east-1", BaseEndpoint: aws.String("http://" + u.Host),
			Credentials: credentials.NewStaticCredentialsProvider(u.User.Username(), secret, ""),
		})
		tables := awsdynamodb.NewListTablesPaginator(client, &awsdynamodb.ListTablesInput{ExclusiveStartTableName: &name})
		for tables.HasMorePages() {
			page, err := tables.NextPage(ctx)
			check(tb, err)
			for _, table := range page.TableNames {
				if !strings.HasPrefix(table, name) {
					return // they are in order
				}
				_, err := client.DeleteTable(ctx, &awsdynamodb.DeleteTableInput{TableName: &table})
				check(tb, err)
			}
		}
	})
	return u.String()
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}

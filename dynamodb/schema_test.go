package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

func TestATableIsCreatedWithItsTTL(t *testing.T) {
	for _, noTTL := range []bool{false, true} {
		name := newName(t)
		openTable(t, open(t, &dynamodb.Options{Table: name, NoTTL: noTTL}))
		client := newClient(t)
		table, err := client.DescribeTable(t.Context(), &awsdynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if table.Table.BillingModeSummary == nil || table.Table.BillingModeSummary.BillingMode != types.BillingModePayPerRequest {
			t.Errorf("it is billed by %+v", table.Table.BillingModeSummary)
		}
		ttl, err := client.DescribeTimeToLive(t.Context(), &awsdynamodb.DescribeTimeToLiveInput{TableName: &name})
		if err != nil {
			t.Fatal(err)
		}
		if enabled := ttl.TimeToLiveDescription.TimeToLiveStatus == types.TimeToLiveStatusEnabled; enabled == noTTL {
			t.Errorf("NoTTL is %t, but the table's TTL is %s", noTTL, ttl.TimeToLiveDescription.TimeToLiveStatus)
		}
	}
}

// DynamoDB may remove an entry when its grace has passed, and the parts of its payload
// not before.
func TestTTLIsAfterTheExpiry(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name, Grace: time.Hour}))
	e, forever := track(1), track(2)
	e.Payload, forever.ExpiresAt = noise(2*dynamodb.PartSize), time.Time{}
	put(t, table, e, forever)
	want := e.ExpiresAt.Add(time.Hour).Unix() + 1
	seen := 0
	for _, it := range items(t, name) {
		key := it["k"].(*types.AttributeValueMemberS).Value
		ttl, ok := it["ttl"].(*types.AttributeValueMemberN)
		switch {
		case key == "schema" || key == "tracks" || strings.Contains(key, "id-000002"):
			if ok {
				t.Errorf("%s has a ttl", key)
			}
			continue
		case !ok:
			t.Errorf("%s has no ttl", key)
			continue
		}
		seen++
		n, err := strconv.ParseInt(ttl.Value, 10, 64)
		if isEntry := strings.HasPrefix(key, "|"); err != nil || isEntry && n != want || !isEntry && n <= want {
			t.Errorf("%s: ttl is %d, want %d", key, n, want)
		}
	}
	if seen != 3 {
		t.Errorf("%d items have a ttl, want 3", seen)
	}
}

func TestManyProcessesCreateOneTable(t *testing.T) {
	name := newName(t)
	var wait sync.WaitGroup
	for i := range 6 {
		s := open(t, &dynamodb.Options{Table: name})
		wait.Add(1)
		go func() {
			defer wait.Done()
			table, err := s.OpenTable(t.Context(), tracks)
			if err == nil {
				err = table.Put(t.Context(), []driver.Entry{track(i)})
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wait.Wait()
	if n, err := openTable(t, open(t, &dynamodb.Options{Table: name})).Count(t.Context(), driver.Filter{}); err != nil || n != 6 {
		t.Errorf("count is %d: %v", n, err)
	}
}

func TestAnAbsentTableIsAnErrorWhereNoneIsToBeCreated(t *testing.T) {
	name := newName(t)
	s := open(t, &dynamodb.Options{Table: name, NoCreate: true})
	if _, err := s.OpenTable(t.Context(), tracks); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("the error is %v", err)
	}
	openTable(t, open(t, &dynamodb.Options{Table: name}))
	openTable(t, s)
	if _, err := s.OpenTable(t.Context(), driver.TableSpec{Name: "albums", Key: tracks.Key}); err != nil {
		t.Errorf("another repository in the table: %v", err)
	}
}

// A table of somebody else's is left as it is.
func TestAForeignTableIsRefused(t *testing.T) {
	client := newClient(t)
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	key := func(names ...string) (schema []types.KeySchemaElement) {
		for i, name := range names {
			schema = append(schema, types.KeySchemaElement{AttributeName: aws.String(name), KeyType: []types.KeyType{types.KeyTypeHash, types.KeyTypeRange}[i]})
		}
		return schema
	}
	for reason, in := range map[string]*awsdynamodb.CreateTableInput{
		"the key (k)":       {AttributeDefinitions: []types.AttributeDefinition{attribute("k", "S")}, KeySchema: key("k")},
		"the type N":        {AttributeDefinitions: []types.AttributeDefinition{attribute("p", "S"), attribute("k", "N")}, KeySchema: key("p", "k")},
		"the key (k, p)":    {AttributeDefinitions: []types.AttributeDefinition{attribute("p", "S"), attribute("k", "S")}, KeySchema: key("k", "p")},
		"without the local": {AttributeDefinitions: []types.AttributeDefinition{attribute("p", "S"), attribute("k", "S")}, KeySchema: key("p", "k")},
	} {
		name := newName(t)
		in.TableName, in.BillingMode = &name, types.BillingModePayPerRequest
		if _, err := client.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		s := open(t, &dynamodb.Options{Table: name})
		table, err := s.OpenTable(t.Context(), tracks)
		if table != nil || !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want a SchemaError that tells %q", err, reason)
		}
		if n := len(items(t, name)); n != 0 {
			t.Errorf("%d items were written", n)
		}
	}
}

// Items that others have put in the table are neither seen nor touched.
func TestForeignItemsAreLeftAlone(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	put(t, table, track(1))
	for _, p := range []string{"tracks", "other/0", "other/part-0", "tracks2/0"} {
		_, err := newClient(t).PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &name, Item: map[string]types.AttributeValue{
			"p": &types.AttributeValueMemberS{Value: p}, "k": &types.AttributeValueMemberS{Value: "|x"}, "expires_at": &types.AttributeValueMemberS{Value: "never"},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	n, err := table.Clear(t.Context(), driver.Filter{})
	if left := len(items(t, name)); err != nil || n != 1 || left != 6 {
		t.Errorf("clear removed %d and left %d: %v", n, left, err)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	name := newName(t)
	namespaces := []string{"", "tracks", "a", "a/0", "b"}
	var tables []driver.Table
	var repositories []string
	for _, namespace := range namespaces {
		for _, repository := range []string{"tracks", "a:tracks", ":tracks", "tracks/0"} {
			s := open(t, &dynamodb.Options{Table: name, Namespace: namespace})
			table, err := s.OpenTable(t.Context(), driver.TableSpec{Name: repository, Key: tracks.Key})
			if err != nil {
				t.Fatal(err)
			}
			put(t, table, track(1), track(2+len(tables)))
			tables, repositories = append(tables, table), append(repositories, namespace+" "+repository)
		}
	}
	for i, table := range tables {
		if n, err := table.Count(t.Context(), driver.Filter{}); err != nil || n != 2 {
			t.Errorf("%s has %d entries: %v", repositories[i], n, err)
		}
		if n, err := table.Clear(t.Context(), driver.Filter{}); err != nil || n != 2 {
			t.Errorf("clear of %s removed %d: %v", repositories[i], n, err)
		}
	}
}

// The end of a context is the end of the wait for a table.
func TestCreatingEndsWithItsContext(t *testing.T) {
	name := newName(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	creating := around(func(input any, send func(any) (any, error)) (any, error) {
		out, err := send(input)
		if described, ok := out.(*awsdynamodb.DescribeTableOutput); ok && err == nil {
			described.Table.TableStatus = types.TableStatusCreating
			cancel()
		}
		return out, err
	})
	s := with(t, newClient(t, creating), &dynamodb.Options{Table: name})
	if _, err := s.OpenTable(ctx, tracks); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestNamesOfTables(t *testing.T) {
	allowed := regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)
	seen := make(map[string]string)
	names := []string{"a", "A", ".", "..", ".2e", "a.b", "a b", "a/b", "é", "日本", "a_b", "a-b", strings.Repeat("x", 155), strings.Repeat("x", 156)}
	for i := range 20 {
		names = append(names, strings.Repeat("é", 100)+fmt.Sprint(i), strings.Repeat("x", 200)+fmt.Sprint(i))
	}
	for _, name := range names {
		got := dynamodb.EscapeName(name, 155)
		if len(got) > 155 || !allowed.MatchString(got) {
			t.Errorf("%q is %q", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %q", name, other, got)
		}
		seen[got] = name
	}
}

// FuzzPlace splits two strings anywhere: keys of other values stand elsewhere.
func FuzzPlace(f *testing.F) {
	f.Add("a", "b", "ab", "", int64(1))
	f.Add("a|", "b", "a", "|b", int64(-1))
	f.Add("\xff", `\xff`, "\xc3", "\\", int64(0))
	f.Add(strings.Repeat("x", 2000), "b", strings.Repeat("x", 2001), "", int64(0))
	client := awsdynamodb.New(awsdynamodb.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1")})
	table := dynamodb.NewTable(client, tracks)
	f.Fuzz(func(t *testing.T, a, b, c, d string, n int64) {
		p1, k1 := dynamodb.Place(table, driver.Key{a, b, n, true})
		p2, k2 := dynamodb.Place(table, driver.Key{c, d, n, true})
		if same := a == c && b == d; same != (k1 == k2) || same && p1 != p2 {
			t.Errorf("%q %q and %q %q are %q and %q", a, b, c, d, k1, k2)
		}
		if len(k1) > 1024 || k1[0] != '|' || strings.ToValidUTF8(k1, "") != k1 {
			t.Errorf("%q %q is %q", a, b, k1)
		}
	})
}

// A store that looks for payloads elsewhere would find entries without any.
func TestAnotherValueAttributeIsRefused(t *testing.T) {
	name := newName(t)
	table := openTable(t, open(t, &dynamodb.Options{Table: name}))
	put(t, table, track(1))
	other := open(t, &dynamodb.Options{Table: name, ValueAttribute: "payload"})
	if _, err := other.OpenTable(t.Context(), tracks); !errors.Is(err, driver.ErrSchema) || !strings.Contains(err.Error(), `"v"`) {
		t.Errorf("the error is %v, want a SchemaError that tells the attribute", err)
	}
}

package dynamodb_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// createOld creates a table as a version did that knew neither uses nor sizes nor checksums,
// with the schema of the repository of tracks.
func createOld(t *testing.T, name string) {
	t.Helper()
	client := newClient(t)
	var attributes []types.AttributeDefinition
	for _, attribute := range []string{"p", "k", "expires_at"} {
		attributes = append(attributes, types.AttributeDefinition{AttributeName: aws.String(attribute), AttributeType: types.ScalarAttributeTypeS})
	}
	key := func(sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: aws.String("p"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
		}
	}
	_, err := client.CreateTable(t.Context(), &awsdynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest, AttributeDefinitions: attributes, KeySchema: key("k"),
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String("by_expiry"), KeySchema: key("expires_at"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: []string{"status", "key_fields"}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	columns := &types.AttributeValueMemberL{}
	for _, c := range tracks.Key {
		columns.Value = append(columns.Value, &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{
			"name": &types.AttributeValueMemberS{Value: c.Name}, "kind": &types.AttributeValueMemberS{Value: c.Kind.String()},
		}})
	}
	_, err = client.PutItem(t.Context(), &awsdynamodb.PutItemInput{TableName: &name, Item: map[string]types.AttributeValue{
		"p": &types.AttributeValueMemberS{Value: "tracks/schema"}, "k": &types.AttributeValueMemberS{Value: "schema"},
		"key_columns": columns, "value_attribute": &types.AttributeValueMemberS{Value: "v"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// forget removes from all items what that version did not know.
func forget(t *testing.T, name string) {
	t.Helper()
	for _, it := range items(t, name) {
		for attribute := range it {
			if !strings.HasPrefix(attribute, "_") {
				continue
			}
			_, err := newClient(t).UpdateItem(t.Context(), &awsdynamodb.UpdateItemInput{
				TableName: &name, Key: map[string]types.AttributeValue{"p": it["p"], "k": it["k"]},
				UpdateExpression: aws.String("REMOVE #a"), ExpressionAttributeNames: map[string]string{"#a": attribute},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestATableOfTheEarlierLayout(t *testing.T) {
	const n = 40
	name := newName(t)
	createOld(t, name)
	s := open(t, &dynamodb.Options{Table: name})
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 0 {
		t.Errorf("a repository that nobody has opened is listed: %v, %v", specs, err)
	}
	table := openTable(t, s)
	if specs, err := s.Tables(t.Context()); err != nil || len(specs) != 1 || specs[0].KeyString() != tracks.KeyString() {
		t.Errorf("the tables are %v: %v", specs, err)
	}
	entries, keys := trackEntries(n)
	entries[1].Payload = noise(dynamodb.PartSize + 30<<10)
	entries[2].Payload = []byte(strings.Repeat("a", 500<<10)) // which is compressed
	put(t, table, entries...)
	forget(t, name)

	usedBefore := func(at time.Time, want int) {
		t.Helper()
		if n, err := table.Count(t.Context(), driver.Filter{Where: driver.Where{UsedBefore: at}}); err != nil || n != want {
			t.Errorf("%d were used before %v, want %d: %v", n, at, want, err)
		}
	}
	later := now.Add(time.Minute)
	usedBefore(now, 0)
	usedBefore(later, n)
	for _, at := range []time.Time{later, now.Add(time.Second), now.Add(-time.Minute)} {
		if err := table.Use(t.Context(), keys[:10], at); err != nil {
			t.Fatal(err)
		}
		usedBefore(later, n-10)
	}
	for i, e := range get(t, table, keys...) {
		if len(e.Payload) != len(entries[i].Payload) || e.Encoding != "" || e.PayloadSum != 0 || e.MetaSum != 0 {
			t.Errorf("%d is %.200v", i, e)
		}
	}

	// Its sizes are known as soon as they are asked for, by several programs at once.
	other := openTable(t, open(t, &dynamodb.Options{Table: name}))
	failed := make(chan error)
	go func() {
		_, err := other.Size(t.Context())
		failed <- err
	}()
	size, err := table.Size(t.Context())
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	again, err := table.Size(t.Context())
	if err != nil || again != size || size.Entries != n || size.Bytes < 900<<10 || size.Bytes > 2<<20 {
		t.Errorf("the size is %+v, and then %+v: %v", size, again, err)
	}
	page, err := table.List(t.Context(), driver.Listing{Order: driver.BySize, Descending: true, Limit: n})
	if err != nil || len(page) != n || page[1].Size < 400<<10 || page[n-1].Size == 0 {
		t.Errorf("%d are listed: %v", len(page), err)
	}
}

// The index has the sizes: no payload is read for them, nor for what the index can tell.
func TestSizesCostNoPayloads(t *testing.T) {
	var items, index atomic.Int64
	client := newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
		if in, ok := input.(*awsdynamodb.QueryInput); ok {
			counted := &items
			if in.IndexName != nil {
				counted = &index
			}
			counted.Add(1)
		}
		return send(input)
	}))
	name := newName(t)
	table := openTable(t, with(t, client, &dynamodb.Options{Table: name}))
	put(t, table, track(1))
	described, err := client.DescribeTable(t.Context(), &awsdynamodb.DescribeTableInput{TableName: &name})
	if err != nil || !strings.Contains(strings.Join(described.Table.LocalSecondaryIndexes[0].Projection.NonKeyAttributes, " "), "_size") {
		t.Errorf("the index is %+v: %v", described, err)
	}
	if _, err := table.Size(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := table.Count(t.Context(), driver.Filter{Where: driver.Where{MinStatus: 200}}); err != nil || n != 1 {
		t.Errorf("count is %d: %v", n, err)
	}
	if items.Load() != 0 || index.Load() != 32 {
		t.Errorf("%d queries of items, %d of the index", items.Load(), index.Load())
	}
}

// A program that has a repository open goes on saving to it after another one has dropped it.
func TestWhatIsSavedToADroppedTable(t *testing.T) {
	name := newName(t)
	s, other := open(t, &dynamodb.Options{Table: name}), open(t, &dynamodb.Options{Table: name})
	table := openTable(t, s)
	if err := other.DropTable(t.Context(), tracks.Name); err != nil {
		t.Fatal(err)
	}
	put(t, table, track(1))
	if specs, err := other.Tables(t.Context()); err != nil || len(specs) != 0 {
		t.Errorf("the tables are %v: %v", specs, err)
	}
	again, err := other.OpenTable(t.Context(), driver.TableSpec{Name: tracks.Name, Key: tracks.Key[:1]})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := again.Count(t.Context(), driver.Filter{}); err != nil || n != 0 {
		t.Errorf("%d entries: %v", n, err)
	}
	if _, err := s.OpenTable(t.Context(), tracks); !errors.Is(err, driver.ErrSchema) {
		t.Errorf("a table of the old key: %v", err)
	}
}

// Tables of DynamoDB that are not the store's, and other caches in its own, stay.
func TestOnlyTablesOfTheStoreAreListedAndDropped(t *testing.T) {
	name := newName(t)
	foreign := name + "theirs"
	_, err := newClient(t).CreateTable(t.Context(), &awsdynamodb.CreateTableInput{
		TableName: &foreign, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, &dynamodb.Options{TablePrefix: name})
	if err := s.DropTable(t.Context(), "theirs"); !errors.Is(err, driver.ErrSchema) {
		t.Errorf("drop of a table of others: %v", err)
	}
	one, two := open(t, &dynamodb.Options{TablePrefix: name, Namespace: "one"}), open(t, &dynamodb.Options{TablePrefix: name, Namespace: "two"})
	ones, twos := openTable(t, one), openTable(t, two)
	put(t, ones, track(1))
	put(t, twos, track(1))
	for s, want := range map[*dynamodb.Store]int{s: 0, one: 1, two: 1} {
		if specs, err := s.Tables(t.Context()); err != nil || len(specs) != want {
			t.Errorf("the tables are %v, want %d: %v", specs, want, err)
		}
	}
	if err := one.DropTable(t.Context(), tracks.Name); err != nil {
		t.Fatal(err)
	}
	if n, err := twos.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("the other cache has %d entries: %v", n, err)
	}
}

// An entry stays that is replaced, after it was found, by one that is not selected.
func TestAClearLooksAtWhatItRemoves(t *testing.T) {
	name := newName(t)
	other := openTable(t, open(t, &dynamodb.Options{Table: name}))
	for what, f := range map[string]struct {
		where  driver.Where
		change func(*driver.Entry)
	}{
		"name":   {driver.Where{Name: "track 1"}, func(e *driver.Entry) { e.Name = "" }},
		"prefix": {driver.Where{NamePrefix: "track"}, func(e *driver.Entry) { e.Name = "other" }},
		"status": {driver.Where{MaxStatus: 200}, func(e *driver.Entry) { e.Status = 404 }},
		"least":  {driver.Where{MinStatus: 200}, func(e *driver.Entry) { e.Status = 100 }},
		"cached": {driver.Where{CachedBefore: now.Add(time.Second)}, func(e *driver.Entry) { e.CachedAt = now.Add(time.Second) }},
		"from":   {driver.Where{CachedFrom: now}, func(e *driver.Entry) { e.CachedAt = now.Add(-time.Second) }},
		"used":   {driver.Where{UsedBefore: now.Add(time.Second)}, func(e *driver.Entry) { e.CachedAt = now.Add(time.Second) }},
	} {
		put(t, other, track(1))
		var replace sync.Once
		client := newClient(t, around(func(input any, send func(any) (any, error)) (any, error) {
			if _, ok := input.(*awsdynamodb.BatchExecuteStatementInput); ok {
				replace.Do(func() {
					e := track(1)
					f.change(&e)
					put(t, other, e)
				})
			}
			return send(input)
		}))
		table := openTable(t, with(t, client, &dynamodb.Options{Table: name}))
		if n, err := table.Clear(t.Context(), driver.Filter{Where: f.where}); err != nil || n != 0 {
			t.Errorf("%s: clear removed %d: %v", what, n, err)
		}
		put(t, other, track(1))
		if what == "used" {
			if err := other.Use(t.Context(), []driver.Key{track(1).Key}, now.Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := table.Clear(t.Context(), driver.Filter{Where: f.where}); err != nil || n != 1 {
			t.Errorf("%s: clear removed %d of one: %v", what, n, err)
		}
	}
}

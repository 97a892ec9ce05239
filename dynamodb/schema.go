package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/readonly"
)

// OpenTable implements [driver.Store].
func (s *Store) OpenTable(ctx context.Context, spec driver.TableSpec) (driver.Table, error) {
	t := newTable(s, spec)
	err := s.run(ctx, "open table", spec.Name, func() error {
		known, err := t.checkSchema(ctx)
		if known || err != nil {
			return err
		}
		if s.opts.ReadOnly {
			return readonly.ErrNoTable
		}
		if err := t.prepare(ctx); err != nil {
			return err
		}
		return t.recordSchema(ctx)
	})
	if err != nil {
		return nil, err
	}
	if s.opts.ReadOnly {
		return readonly.Table(kind, spec.Name, t), nil
	}
	return t, nil
}

// schemaPlace is where the item stands that tells the columns of the key.
func (t *table) schemaPlace() place { return place{t.partitions.schema, schemaSortKey} }

// schema returns that item, or nil if there is none, or no table of DynamoDB.
func (t *table) schema(ctx context.Context) (item, error) {
	out, err := t.store.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: t.store.codec.key(t.schemaPlace()), ConsistentRead: aws.Bool(true),
	})
	var absent *types.ResourceNotFoundException
	if errors.As(err, &absent) {
		return nil, nil
	}
	if err != nil || len(out.Item) == 0 {
		return nil, err
	}
	return out.Item, nil
}

// checkSchema reports whether the repository is known, with these columns. Where there is
// no table, or one of another key, it is not, nor where the repository was dropped.
func (t *table) checkSchema(ctx context.Context) (known bool, err error) {
	it, err := t.schema(ctx)
	switch {
	case errorCode(err) == codeValidation:
		return false, nil
	case err != nil || it == nil:
		return false, err
	case it[attrDropped] != nil && t.store.opts.ReadOnly:
		return false, nil
	case it[attrDropped] != nil:
		_, err := t.clear(ctx, driver.Filter{}) // what was saved since
		return false, err
	}
	if err := t.compareSchema(it); err != nil {
		return false, err
	}
	if it[attrListed] == nil && !t.store.opts.ReadOnly {
		return true, t.listOld(ctx)
	}
	return true, nil
}

// recordSchema keeps the columns of the key, unless another program has just done so. The
// repository is listed before.
func (t *table) recordSchema(ctx context.Context) error {
	if err := t.list(ctx); err != nil {
		return err
	}
	it := t.store.codec.key(t.schemaPlace())
	it[attrKeyColumns] = columnsValue(t.spec.Key)
	it[attrValueName] = &text{Value: t.store.codec.value}
	it[attrListed] = &boolean{Value: true}
	_, err := t.store.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                &t.name,
		Item:                     it,
		ConditionExpression:      aws.String("attribute_not_exists(#p) OR attribute_exists(#d)"),
		ExpressionAttributeNames: map[string]string{"#p": t.store.codec.partition, "#d": attrDropped},
	})
	var there *types.ConditionalCheckFailedException
	if errors.As(err, &there) {
		_, err = t.checkSchema(ctx)
	}
	return err
}

// list adds the repository to the list of those that there are.
func (t *table) list(ctx context.Context) error {
	_, err := t.store.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: t.store.codec.key(place{t.store.opts.listPartition(), t.spec.Name}),
	})
	return err
}

// listOld adds a repository of an earlier version, if the user may write.
func (t *table) listOld(ctx context.Context) error {
	err := t.list(ctx)
	if err == nil {
		_, err = t.store.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       t.store.codec.key(t.schemaPlace()),
			UpdateExpression:          aws.String("SET #l=:l"),
			ConditionExpression:       aws.String("attribute_exists(#p)"),
			ExpressionAttributeNames:  map[string]string{"#l": attrListed, "#p": t.store.codec.partition},
			ExpressionAttributeValues: item{":l": &boolean{Value: true}},
		})
	}
	if errorCode(err) == codeDenied {
		return nil
	}
	return err
}

func columnsValue(columns []driver.Column) types.AttributeValue {
	value := &list{}
	for _, c := range columns {
		value.Value = append(value.Value, &structure{Value: item{
			"name": &text{Value: c.Name}, "kind": &text{Value: c.Kind.String()},
		}})
	}
	return value
}

func (t *table) compareSchema(it item) error {
	columns, ok := it[attrKeyColumns].(*list)
	if !ok {
		return t.schemaError("an item that tells no columns")
	}
	var have []string
	same := len(columns.Value) == len(t.spec.Key)
	for i, c := range columns.Value {
		column, ok := c.(*structure)
		if !ok {
			return t.schemaError("an item that tells no columns")
		}
		name, kind := stringOf(column.Value["name"]), stringOf(column.Value["kind"])
		same = same && name == t.spec.Key[i].Name && kind == t.spec.Key[i].Kind.String()
		have = append(have, name+" "+kind)
	}
	if !same {
		return t.schemaError("key (" + strings.Join(have, ", ") + ")")
	}
	if value := stringOf(it[attrValueName]); value != t.store.codec.value {
		return t.schemaError(fmt.Sprintf("payloads in the attribute %q in place of %q", value, t.store.codec.value))
	}
	return nil
}

func (t *table) schemaError(have string) error {
	want := "a repository's table"
	if len(t.spec.Key) > 0 {
		want = "key (" + t.spec.KeyString() + ")"
	}
	return &driver.SchemaError{Table: t.spec.Name, Want: want, Have: have}
}

// prepare creates the table and sets up its TTL, or finds that this has been done.
func (t *table) prepare(ctx context.Context) error {
	found, err := t.describe(ctx)
	if err != nil {
		return err
	}
	if found == nil {
		if t.store.opts.NoCreate {
			return fmt.Errorf("there is no table %q, and none is to be created", t.name)
		}
		if err := t.create(ctx); err != nil {
			return err
		}
	}
	if found, err = t.awaitActive(ctx); err != nil {
		return err
	}
	if err := t.check(found); err != nil {
		return err
	}
	if t.store.opts.NoCreate || t.store.opts.NoTTL {
		return nil
	}
	return t.enableTTL(ctx)
}

func (t *table) describe(ctx context.Context) (*types.TableDescription, error) {
	out, err := t.store.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
	var absent *types.ResourceNotFoundException
	if errors.As(err, &absent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return out.Table, nil
}

func (t *table) create(ctx context.Context) error {
	c := &t.store.codec
	stringAttribute := func(name string) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: types.ScalarAttributeTypeS}
	}
	_, err := t.store.client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            &t.name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{stringAttribute(c.partition), stringAttribute(c.sortKey), stringAttribute(attrExpiresAt)},
		KeySchema:            keySchema(c.partition, c.sortKey),
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName:  aws.String(expiryIndex),
			KeySchema:  keySchema(c.partition, attrExpiresAt),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: append(slices.Clone(indexed), attrSize)},
		}},
	})
	var there *types.ResourceInUseException
	if errors.As(err, &there) {
		return nil // another program creates it
	}
	return err
}

// indexed is what the index has beside keys. In tables of earlier versions it has no sizes:
// DynamoDB takes these from the items.
var indexed = []string{attrStatus, attrKeyFields}

func keySchema(partition, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(sort), KeyType: types.KeyTypeRange},
	}
}

// pollTime is how often a table that is being created is looked at: it takes DynamoDB
// some seconds.
const pollTime = 500 * time.Millisecond

// awaitActive waits, as long as the context lets it, until the table can be used.
func (t *table) awaitActive(ctx context.Context) (*types.TableDescription, error) {
	for {
		found, err := t.describe(ctx)
		switch {
		case err != nil:
			return nil, err
		case found != nil && (found.TableStatus == types.TableStatusActive || found.TableStatus == types.TableStatusUpdating):
			return found, nil
		case found != nil && found.TableStatus != types.TableStatusCreating:
			return nil, fmt.Errorf("the table %q is %s", t.name, strings.ToLower(string(found.TableStatus)))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the table %q: %w", t.name, ctx.Err())
		case <-time.After(pollTime):
		}
	}
}

// check reports where a table is not like one that create makes.
func (t *table) check(found *types.TableDescription) error {
	c := &t.store.codec
	for _, a := range found.AttributeDefinitions {
		if a.AttributeType != types.ScalarAttributeTypeS {
			return t.schemaError(fmt.Sprintf("the table %q with the attribute %s of the type %s", t.name, *a.AttributeName, a.AttributeType))
		}
	}
	if have, want := keyNames(found.KeySchema), keyNames(keySchema(c.partition, c.sortKey)); have != want {
		return t.schemaError(fmt.Sprintf("the table %q with the key (%s) in place of (%s)", t.name, have, want))
	}
	for _, index := range found.LocalSecondaryIndexes {
		if aws.ToString(index.IndexName) != expiryIndex || keyNames(index.KeySchema) != keyNames(keySchema(c.partition, attrExpiresAt)) {
			continue
		}
		if p := index.Projection; p != nil && (p.ProjectionType == types.ProjectionTypeAll || containsAll(p.NonKeyAttributes, indexed)) {
			return nil
		}
	}
	return t.schemaError(fmt.Sprintf("the table %q without the local index %s of %s with %s",
		t.name, expiryIndex, keyNames(keySchema(c.partition, attrExpiresAt)), strings.Join(indexed, ", ")))
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

func keyNames(schema []types.KeySchemaElement) string {
	names := make([]string, len(schema))
	for i, e := range schema {
		names[i] = aws.ToString(e.AttributeName)
	}
	return strings.Join(names, ", ")
}

// enableTTL lets DynamoDB remove what is past its ttl, unless that was decided
// already.
func (t *table) enableTTL(ctx context.Context) error {
	enabled := func() (bool, error) {
		out, err := t.store.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.name})
		if err != nil || out.TimeToLiveDescription == nil {
			return false, err
		}
		status := out.TimeToLiveDescription.TimeToLiveStatus
		return status == types.TimeToLiveStatusEnabled || status == types.TimeToLiveStatusEnabling, nil
	}
	if done, err := enabled(); done || err != nil {
		return err
	}
	_, err := t.store.client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               &t.name,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(attrTTL), Enabled: aws.Bool(true)},
	})
	if err != nil {
		if done, _ := enabled(); done {
			return nil // another program has done it
		}
	}
	return err
}

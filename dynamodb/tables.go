package dynamodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
)

// Tables implements [driver.Store]: it lists those of the store's namespace. One that was
// made by an earlier version is listed after it was opened once.
func (s *Store) Tables(ctx context.Context) (specs []driver.TableSpec, err error) {
	err = s.run(ctx, "list tables", "", func() error {
		specs, err = s.specs(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	return specs, nil
}

func (s *Store) specs(ctx context.Context) (specs []driver.TableSpec, err error) {
	names, err := s.tableNames(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		some, err := s.listed(ctx, name)
		if err != nil {
			return nil, err
		}
		specs = append(specs, some...)
	}
	slices.SortFunc(specs, func(a, b driver.TableSpec) int { return cmp.Compare(a.Name, b.Name) })
	return specs, nil
}

// find reports an error where there is no repository.
func (s *Store) find(ctx context.Context) error {
	specs, err := s.specs(ctx)
	switch {
	case err != nil || len(specs) > 0:
		return err
	case s.opts.TablePrefix != "":
		return fmt.Errorf("%w in tables whose names begin with %q, in the namespace %q", driver.ErrAbsent, s.opts.TablePrefix, s.opts.Namespace)
	default:
		return fmt.Errorf("%w in the table %q, in the namespace %q", driver.ErrAbsent, s.opts.Table, s.opts.Namespace)
	}
}

// tableNames are the tables of DynamoDB that may have repositories of the store.
func (s *Store) tableNames(ctx context.Context) (names []string, err error) {
	prefix := s.opts.TablePrefix
	if prefix == "" {
		return []string{s.opts.Table}, nil
	}
	for pages := dynamodb.NewListTablesPaginator(s.client, &dynamodb.ListTablesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range page.TableNames {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// listed are the repositories that are listed in a table of DynamoDB, which may be absent or
// another program's.
func (s *Store) listed(ctx context.Context, name string) (specs []driver.TableSpec, err error) {
	c := &s.codec
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:                 &name,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("#p=:p"),
		ExpressionAttributeNames:  map[string]string{"#p": c.partition},
		ExpressionAttributeValues: item{":p": &text{Value: s.opts.listPartition()}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		switch {
		case isForeign(err):
			return nil, nil
		case err != nil:
			return nil, err
		}
		for _, it := range page.Items {
			t := newTable(s, driver.TableSpec{Name: stringOf(it[c.sortKey])})
			schema, err := t.schema(ctx)
			if err != nil {
				return nil, err
			}
			if schema == nil || schema[attrDropped] != nil {
				continue
			}
			if t.spec.Key, err = columnsOf(schema[attrKeyColumns]); err != nil {
				return nil, err
			}
			specs = append(specs, t.spec)
		}
	}
	return specs, nil
}

// isForeign reports whether a request has failed because there is no table of DynamoDB, or
// one with another key.
func isForeign(err error) bool {
	var absent *types.ResourceNotFoundException
	return errors.As(err, &absent) || errorCode(err) == codeValidation
}

// columnsOf is the reverse of columnsValue.
func columnsOf(v types.AttributeValue) (columns []driver.Column, err error) {
	all, ok := v.(*list)
	if !ok {
		return nil, fmt.Errorf("%w: %s", errItem, attrKeyColumns)
	}
	for _, c := range all.Value {
		column, _ := c.(*structure)
		if column == nil {
			return nil, fmt.Errorf("%w: %s", errItem, attrKeyColumns)
		}
		kind := driver.String
		for kind.String() != stringOf(column.Value["kind"]) {
			if kind++; kind > driver.Bool {
				return nil, fmt.Errorf("%w: %s", errItem, attrKeyColumns)
			}
		}
		columns = append(columns, driver.Column{Name: stringOf(column.Value["name"]), Kind: kind})
	}
	return columns, nil
}

// DropTable implements [driver.Store]. It removes the entries, and leaves the table of
// DynamoDB, which others may use, and the item of the schema, which tells that the
// repository was dropped: what other programs save that still have it open is removed when
// it is opened again.
func (s *Store) DropTable(ctx context.Context, name string) error {
	t := newTable(s, driver.TableSpec{Name: name})
	return s.run(ctx, "drop table", name, func() error {
		if s.opts.ReadOnly {
			return driver.ErrReadOnly
		}
		schema, err := t.schema(ctx)
		switch {
		case errorCode(err) == codeValidation:
			return t.checkForeign(ctx, err)
		case err != nil || schema == nil:
			return err
		}
		_, err = s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       s.codec.key(t.schemaPlace()),
			UpdateExpression:          aws.String("SET #d=:d"),
			ExpressionAttributeNames:  map[string]string{"#d": attrDropped},
			ExpressionAttributeValues: item{":d": &boolean{Value: true}},
		})
		if err != nil {
			return err
		}
		_, err = t.clear(ctx, driver.Filter{})
		return err
	})
}

// checkForeign returns a SchemaError where a table of DynamoDB is not the store's, which is
// why a request has failed, and otherwise its error.
func (t *table) checkForeign(ctx context.Context, failure error) error {
	found, err := t.describe(ctx)
	if err == nil && found != nil {
		err = t.check(found)
	}
	if err == nil {
		err = failure
	}
	return err
}

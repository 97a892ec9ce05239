package dynamodb

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/textprefix"
)

// isByKey reports whether a filter selects by what keys begin with.
func isByKey(f driver.Filter) bool { return len(f.Leading) > 0 || f.Where.Prefix != "" }

// leadingQueries ask for the entries of a partition whose keys begin as the filter says, in
// the order of their sort keys: for those whose sort keys do, and for those whose sort keys
// are digests, by the key's fields.
func (t *table) leadingQueries(partition string, f driver.Filter) []*dynamodb.QueryInput {
	if len(f.Leading) == len(t.spec.Key) {
		p := t.place(f.Leading)
		if p.partition != partition {
			return nil
		}
		return []*dynamodb.QueryInput{t.sortKeyQuery(partition, "#1=:k", p.key, f)}
	}
	var queries []*dynamodb.QueryInput
	text := string(appendEscaped([]byte(keyText(f.Leading)+keyMark), textprefix.Whole(f.Where.Prefix)))
	if len(text) <= maxSortKey {
		queries = append(queries, t.sortKeyQuery(partition, "begins_with(#1,:k)", text, f))
	}
	if text == keyMark {
		return queries // which have the digests, too
	}
	digests := t.sortKeyQuery(partition, "begins_with(#1,:k)", digestPrefix, f)
	for i, v := range f.Leading {
		filterBy(digests, t.keyField(digests, i)+"="+bindValue(digests, keyField(v)))
	}
	if f.Where.Prefix != "" {
		filterBy(digests, beginsWith(digests, t.keyField(digests, len(f.Leading)), f.Where.Prefix))
	}
	return append(queries, digests)
}

// keyField names the i-th value of the key in a query.
func (t *table) keyField(query *dynamodb.QueryInput, i int) string {
	name := "#c" + strconv.Itoa(i)
	query.ExpressionAttributeNames[name] = t.spec.Key[i].Name
	return attrKeyFields + "." + name
}

// sortKeyQuery asks for the entries of a partition whose sort keys, #1, fit a condition
// on :k, and that have the state and the properties beside the key which the filter wants.
func (t *table) sortKeyQuery(partition, condition, key string, f driver.Filter) *dynamodb.QueryInput {
	values := item{":p": &text{Value: partition}, ":k": &text{Value: key}}
	state := newCondition(f)
	if state.expression != nil {
		values[":now"] = state.values[0]
	}
	query := &dynamodb.QueryInput{
		TableName:                 &t.name,
		ConsistentRead:            aws.Bool(t.consistent()),
		KeyConditionExpression:    aws.String("#0=:p AND " + condition),
		FilterExpression:          state.expression,
		ExpressionAttributeNames:  map[string]string{"#0": t.store.codec.partition, "#1": t.store.codec.sortKey},
		ExpressionAttributeValues: values,
	}
	filterWhere(query, f.Where)
	return query
}

// filterQueries ask for the entries of a partition that the filter selects, in any order
// and with no need for payloads.
func (t *table) filterQueries(partition string, f driver.Filter) []*dynamodb.QueryInput {
	switch {
	case isByKey(f):
		return t.leadingQueries(partition, f)
	case f.Where.Parts() != 0: // which the index has not
		return []*dynamodb.QueryInput{t.entriesQuery(partition, f)}
	default:
		return []*dynamodb.QueryInput{t.indexQuery(partition, f)}
	}
}

// entriesQuery asks for the selected entries of a partition in the order of their keys.
func (t *table) entriesQuery(partition string, f driver.Filter) *dynamodb.QueryInput {
	return t.sortKeyQuery(partition, "begins_with(#1,:k)", keyMark, f)
}

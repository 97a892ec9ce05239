package dynamodb

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
)

// leadingQueries ask for the entries of a partition whose keys begin with the filter's
// leading values, in the order of their sort keys: for those whose sort keys begin with
// them, and for those whose sort keys are digests, by the key's fields.
func (t *table) leadingQueries(partition string, f driver.Filter) []*dynamodb.QueryInput {
	if len(f.Leading) == len(t.spec.Key) {
		p := t.place(f.Leading)
		if p.partition != partition {
			return nil
		}
		return []*dynamodb.QueryInput{t.sortKeyQuery(partition, "#1=:k", p.key, f)}
	}
	var queries []*dynamodb.QueryInput
	if text := keyText(f.Leading) + keyMark; len(text) <= maxSortKey {
		queries = append(queries, t.sortKeyQuery(partition, "begins_with(#1,:k)", text, f))
	}
	digests := t.sortKeyQuery(partition, "begins_with(#1,:k)", digestPrefix, f)
	filter := aws.ToString(digests.FilterExpression)
	for i, v := range f.Leading {
		name, value := "#c"+strconv.Itoa(i), ":c"+strconv.Itoa(i)
		if filter != "" {
			filter += " AND "
		}
		filter += fmt.Sprintf("%s.%s=%s", attrKeyFields, name, value)
		digests.ExpressionAttributeNames[name] = t.spec.Key[i].Name
		digests.ExpressionAttributeValues[value] = keyField(v)
	}
	digests.FilterExpression = &filter
	return append(queries, digests)
}

// sortKeyQuery asks for the entries of a partition whose sort keys, #1, fit a condition
// on :k, and whose state is the filter's.
func (t *table) sortKeyQuery(partition, condition, key string, f driver.Filter) *dynamodb.QueryInput {
	values := item{":p": &text{Value: partition}, ":k": &text{Value: key}}
	state := newCondition(f)
	if state.expression != nil {
		values[":now"] = state.values[0]
	}
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		ConsistentRead:            aws.Bool(t.consistent()),
		KeyConditionExpression:    aws.String("#0=:p AND " + condition),
		FilterExpression:          state.expression,
		ExpressionAttributeNames:  map[string]string{"#0": t.store.codec.partition, "#1": t.store.codec.sortKey},
		ExpressionAttributeValues: values,
	}
}

// filterQueries ask for the entries of a partition that the filter selects, in any order
// and with no need for payloads.
func (t *table) filterQueries(partition string, f driver.Filter) []*dynamodb.QueryInput {
	if len(f.Leading) > 0 {
		return t.leadingQueries(partition, f)
	}
	return []*dynamodb.QueryInput{t.indexQuery(partition, f)}
}

package dynamodb

import (
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/textprefix"
)

// decides reports whether the server can tell alone what a filter selects. Where a prefix
// ends within a character, which no text does, the server finds some more.
func decides(f driver.Filter) bool {
	return textprefix.Whole(f.Where.Prefix) == f.Where.Prefix && textprefix.Whole(f.Where.NamePrefix) == f.Where.NamePrefix
}

// selects reports whether the filter selects an entry, of which those parts were read that
// it is about.
func selects(f driver.Filter, r *record) bool {
	if f.State != driver.All && (f.State == driver.Live) != (r.expiresAt > timeText(f.Now)) {
		return false
	}
	return f.Where.IsZero() || driver.Filter{Leading: f.Leading, Where: f.Where}.Match(r.entry)
}

// filterWhere adds to a query's filter what is asked of an entry's properties beside its key.
func filterWhere(query *dynamodb.QueryInput, w driver.Where) {
	if w.IsZero() {
		return
	}
	is := func(attribute, comparison string, v types.AttributeValue) string {
		return bindName(query, attribute) + comparison + bindValue(query, v)
	}
	if !w.CachedFrom.IsZero() {
		filterBy(query, is(attrCachedAt, ">=", &text{Value: timeText(w.CachedFrom)}))
	}
	if !w.CachedBefore.IsZero() {
		filterBy(query, is(attrCachedAt, "<", &text{Value: timeText(w.CachedBefore)}))
	}
	if !w.UsedBefore.IsZero() {
		filterBy(query, "("+is(attrUsedUS, "<", microseconds(w.UsedBefore))+" OR attribute_not_exists("+bindName(query, attrUsedUS)+") AND "+
			is(attrCachedAt, "<", &text{Value: timeText(w.UsedBefore)})+")")
	}
	if w.MinStatus != 0 {
		filterBy(query, is(attrStatus, ">=", &number{Value: strconv.Itoa(w.MinStatus)}))
	}
	if w.MaxStatus != 0 {
		filterBy(query, is(attrStatus, "<=", &number{Value: strconv.Itoa(w.MaxStatus)}))
	}
	if w.Name != "" {
		filterBy(query, is(attrName, "=", stringValue(w.Name)))
	}
	if w.NamePrefix != "" {
		filterBy(query, beginsWith(query, bindName(query, attrName), w.NamePrefix))
	}
}

// beginsWith is the condition that a string begins with a prefix. It is stored as text if
// it is such, and otherwise as binary data.
func beginsWith(query *dynamodb.QueryInput, path, prefix string) string {
	condition := "begins_with(" + path + "," + bindValue(query, &binary{Value: []byte(prefix)}) + ")"
	switch known := textprefix.Whole(prefix); {
	case known == "":
		return "(" + condition + " OR attribute_type(" + path + "," + bindValue(query, &text{Value: "S"}) + "))"
	case utf8.ValidString(known):
		return "(" + condition + " OR begins_with(" + path + "," + bindValue(query, &text{Value: known}) + "))"
	default:
		return condition
	}
}

// filterBy adds a condition to a query's filter.
func filterBy(query *dynamodb.QueryInput, condition string) {
	if query.FilterExpression != nil {
		condition = *query.FilterExpression + " AND " + condition
	}
	query.FilterExpression = &condition
}

// bindName and bindValue return placeholders for a query's expressions.
func bindName(query *dynamodb.QueryInput, attribute string) string {
	placeholder := "#w" + attribute
	query.ExpressionAttributeNames[placeholder] = attribute
	return placeholder
}

func bindValue(query *dynamodb.QueryInput, v types.AttributeValue) string {
	placeholder := ":w" + strconv.Itoa(len(query.ExpressionAttributeValues))
	query.ExpressionAttributeValues[placeholder] = v
	return placeholder
}

// still is the condition that an item which was found to be selected is so still. It holds
// as well where the item was replaced by one that is selected, unless that has another name
// or was used for the first time.
func still(f driver.Filter, found item) condition {
	c, w := newCondition(f), f.Where
	if w.IsZero() {
		return c
	}
	is := func(attribute, comparison string, v types.AttributeValue) {
		c.partiQL += " AND " + quote(attribute)
		if v == nil {
			c.partiQL += " IS MISSING"
			return
		}
		c.partiQL += comparison + "?"
		c.values = append(c.values, v)
	}
	if !w.CachedFrom.IsZero() {
		is(attrCachedAt, ">=", &text{Value: timeText(w.CachedFrom)})
	}
	if !w.CachedBefore.IsZero() {
		is(attrCachedAt, "<", &text{Value: timeText(w.CachedBefore)})
	}
	switch {
	case w.UsedBefore.IsZero():
	case found[attrUsedUS] != nil:
		is(attrUsedUS, "<", microseconds(w.UsedBefore))
	default:
		is(attrUsedUS, "", nil)
		is(attrCachedAt, "<", &text{Value: timeText(w.UsedBefore)})
	}
	if w.MinStatus != 0 {
		is(attrStatus, ">=", &number{Value: strconv.Itoa(w.MinStatus)})
	}
	if w.MaxStatus != 0 {
		is(attrStatus, "<=", &number{Value: strconv.Itoa(w.MaxStatus)})
	}
	if w.Name != "" || w.NamePrefix != "" {
		is(attrName, "=", found[attrName])
	}
	return c
}

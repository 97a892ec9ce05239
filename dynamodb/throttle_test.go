package dynamodb_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/dynamodb"
)

// throttling refuses each batch twice, as a table does that has too little throughput.
type throttling struct{ awsdynamodb.HTTPClient }

func (c throttling) Do(r *http.Request) (*http.Response, error) {
	attempt := r.Header.Get("Amz-Sdk-Request")
	if !strings.Contains(r.Header.Get("X-Amz-Target"), ".Batch") || !strings.HasPrefix(attempt, "attempt=1;") && !strings.HasPrefix(attempt, "attempt=2;") {
		return c.HTTPClient.Do(r)
	}
	return &http.Response{
		StatusCode: http.StatusBadRequest,
		Header:     http.Header{"X-Amzn-Errortype": {"ProvisionedThroughputExceededException"}},
		Body:       io.NopCloser(strings.NewReader("{}")),
		Request:    r,
	}, nil
}

// However much of a bulk operation is refused at first, all of it is done.
func TestATableThatRefusesWholeBatches(t *testing.T) {
	client := newClient(t, func(o *awsdynamodb.Options) { o.HTTPClient = throttling{o.HTTPClient} })
	table := openTable(t, with(t, client, &dynamodb.Options{Table: newName(t), Parallel: 32}))
	n := 4_000
	if testing.Short() {
		n = 1_000
	}
	entries, keys := trackEntries(n)
	put(t, table, entries...)
	if n := len(get(t, table, keys...)); n != len(keys) {
		t.Errorf("%d entries, want %d", n, len(keys))
	}
	if n, err := table.Delete(t.Context(), keys); err != nil || n != len(keys) {
		t.Errorf("delete removed %d: %v", n, err)
	}
}

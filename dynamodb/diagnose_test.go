package dynamodb_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/tracktest"
)

func TestFindings(t *testing.T) {
	name := newName(t)
	s := open(t, &dynamodb.Options{Table: name})
	subject := `table "` + name + `"`
	tracktest.WantFinding(t, s, false, subject, "absent", driver.Good)
	tracktest.WantFinding(t, open(t, &dynamodb.Options{Table: name, NoCreate: true}), false, subject, "absent", driver.Fault)
	entries, _ := trackEntries(20)
	put(t, openTable(t, s), entries...)
	tracktest.WantFinding(t, s, false, subject, "active", driver.Good)
	tracktest.WantFinding(t, s, false, "billing of "+subject, "by request", driver.Good)
	tracktest.WantFinding(t, s, false, "expired entries of "+subject, "removed by DynamoDB", driver.Good)
	tracktest.WantFinding(t, s, false, "repositories", "1", driver.Good)
	tracktest.WantFinding(t, s, true, "items", "20 entries can be read", driver.Good)
}

func TestFindingsOfTablesThatOthersMade(t *testing.T) {
	client, name := newClient(t), newName(t)
	without := open(t, &dynamodb.Options{Table: name + "kept", NoTTL: true})
	openTable(t, without)
	tracktest.WantFinding(t, without, false, `expired entries of table "`+name+`kept"`, "stay", driver.Good)
	with := open(t, &dynamodb.Options{Table: name + "kept"})
	tracktest.WantFinding(t, with, false, `expired entries of table "`+name+`kept"`, "stay", driver.Warning)

	waiter := awsdynamodb.NewTableExistsWaiter(client)
	_, err := client.CreateTable(t.Context(), &awsdynamodb.CreateTableInput{
		TableName:            aws.String(name + "other"),
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		BillingMode:          types.BillingModePayPerRequest,
	})
	if err == nil {
		err = waiter.Wait(t.Context(), &awsdynamodb.DescribeTableInput{TableName: aws.String(name + "other")}, time.Minute)
	}
	if err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, open(t, &dynamodb.Options{Table: name + "other"}), false, `table "`+name+`other"`, "no table of a cache", driver.Fault)

	_, err = client.UpdateTable(t.Context(), &awsdynamodb.UpdateTableInput{
		TableName: aws.String(name + "kept"), BillingMode: types.BillingModeProvisioned,
		ProvisionedThroughput: &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(5), WriteCapacityUnits: aws.Int64(5)},
	})
	if err != nil {
		t.Fatal(err)
	}
	tracktest.WantFinding(t, with, false, `billing of table "`+name+`kept"`, "5 units", driver.Warning)
}

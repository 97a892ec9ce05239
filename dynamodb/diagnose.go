package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/findings"
	"github.com/endpointcache/endpointcache/internal/human"
)

var _ driver.Diagnoser = (*Store)(nil)

// Diagnose implements [driver.Diagnoser]. It needs the permissions dynamodb:DescribeTable,
// DescribeTimeToLive and DescribeContinuousBackups, and does without those that the user lacks. A
// thorough one reads all items, which is billed as any read.
func (s *Store) Diagnose(ctx context.Context, thorough bool) (found []driver.Finding, err error) {
	err = s.run(ctx, "diagnose", "", func() error {
		d := diagnosis{store: s}
		err := d.all(ctx, thorough)
		found = d.List
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

type diagnosis struct {
	findings.List
	store *Store
}

func (d *diagnosis) all(ctx context.Context, thorough bool) error {
	o := d.store.client.Options()
	endpoint := aws.ToString(o.BaseEndpoint) // which has neither user nor password
	if endpoint == "" {
		d.Good("server", "AWS, region %s", o.Region)
	} else {
		d.Good("server", "%s, region %s", endpoint, o.Region)
	}
	d.Encryption(!strings.HasPrefix(endpoint, "http:"), isHere(endpoint))
	if d.store.opts.EventualReads {
		d.Good("reads", "may be a second old (EventualReads)")
	} else {
		d.Good("reads", "are strongly consistent")
	}
	names, err := d.store.tableNames(ctx)
	if denied(err) {
		d.Unknown("tables")
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := d.ofTable(ctx, name); err != nil {
			return err
		}
	}
	specs, err := d.store.specs(ctx)
	if err != nil {
		return err
	}
	d.Good("repositories", "%d", len(specs))
	if !thorough {
		return nil
	}
	return d.check(ctx, specs)
}

func isHere(endpoint string) bool {
	_, rest, _ := strings.Cut(endpoint, "://")
	return strings.HasPrefix(rest, "localhost") || strings.HasPrefix(rest, "127.") || strings.HasPrefix(rest, "[::1]")
}

// denied reports whether the user may not ask, or the server does not know the question, as those
// that only speak DynamoDB's protocol.
func denied(err error) bool {
	switch errorCode(err) {
	case codeDenied, codeUnknown, "UnrecognizedClientException", "NotImplemented":
		return true
	}
	return false
}

const codeUnknown = "UnknownOperationException"

func (d *diagnosis) ofTable(ctx context.Context, name string) error {
	subject := fmt.Sprintf("table %q", name)
	t := &table{store: d.store, name: name}
	found, err := t.describe(ctx)
	switch {
	case denied(err):
		d.Unknown(subject)
		return nil
	case err != nil:
		return err
	case found == nil && d.store.opts.NoCreate:
		d.Fault(subject, "absent, and none is to be created (NoCreate)", "Create it as the store's page tells, or leave that option.")
		return nil
	case found == nil:
		d.Good(subject, "absent: it is created with the first repository")
		return nil
	}
	if err := t.check(found); err != nil {
		var schema *driver.SchemaError
		if errors.As(err, &schema) && d.store.opts.TablePrefix != "" {
			return nil // another program's, whose name begins so, too
		}
		if errors.As(err, &schema) {
			d.Fault(subject, "is no table of a cache", "Give the cache another one: "+schema.Have+".")
			return nil
		}
		return err
	}
	status := strings.ToLower(string(found.TableStatus))
	value := fmt.Sprintf("%s, about %s, %s", status, human.Things(aws.ToInt64(found.ItemCount), "item", "items"), human.Size(aws.ToInt64(found.TableSizeBytes)))
	switch found.TableStatus {
	case types.TableStatusActive, types.TableStatusUpdating:
		d.Good(subject, "%s", value)
	case types.TableStatusCreating:
		d.Warning(subject, value, "Wait until it is active.")
	default:
		d.Fault(subject, value, "Calls fail: see in AWS why it is so.")
	}
	d.ofBilling(subject, found)
	if err := d.ofTTL(ctx, subject, name); err != nil {
		return err
	}
	return d.ofBackups(ctx, subject, name)
}

// little is how many units of capacity a bulk call uses up at once.
const little = 25

func (d *diagnosis) ofBilling(subject string, found *types.TableDescription) {
	subject = "billing of " + subject
	if b := found.BillingModeSummary; b != nil && b.BillingMode == types.BillingModePayPerRequest {
		d.Good(subject, "by request")
		return
	}
	p := found.ProvisionedThroughput
	if p == nil {
		d.Unknown(subject)
		return
	}
	reads, writes := aws.ToInt64(p.ReadCapacityUnits), aws.ToInt64(p.WriteCapacityUnits)
	level := driver.Good
	if reads < little || writes < little {
		level = driver.Warning
	}
	d.Judge(level, subject, fmt.Sprintf("provisioned, %d units of reads and %d of writes a second", reads, writes),
		"Bulk calls wait, as DynamoDB refuses what is more: set the billing mode PAY_PER_REQUEST, or more units.")
}

func (d *diagnosis) ofTTL(ctx context.Context, subject, name string) error {
	subject = "expired entries of " + subject
	out, err := d.store.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if denied(err) {
		d.Unknown(subject)
		return nil
	}
	if err != nil {
		return err
	}
	var status types.TimeToLiveStatus
	attribute := ""
	if ttl := out.TimeToLiveDescription; ttl != nil {
		status, attribute = ttl.TimeToLiveStatus, aws.ToString(ttl.AttributeName)
	}
	enabled := status == types.TimeToLiveStatusEnabled || status == types.TimeToLiveStatusEnabling
	switch {
	case enabled && attribute != attrTTL:
		d.Warning(subject, fmt.Sprintf("are removed by the attribute %q", attribute), "It is not the cache's: set the TTL attribute to "+attrTTL+".")
	case enabled:
		d.Good(subject, "are removed by DynamoDB")
	case d.store.opts.NoTTL:
		d.Good(subject, "stay until they are cleared (NoTTL)")
	default:
		d.Warning(subject, "stay, as the table has no TTL", "They are billed until they are cleared: set the TTL attribute to "+attrTTL+".")
	}
	return nil
}

func (d *diagnosis) ofBackups(ctx context.Context, subject, name string) error {
	subject = "backups of " + subject
	out, err := d.store.client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &name})
	var answer smithy.APIError
	if errors.As(err, &answer) && ctx.Err() == nil {
		d.Unknown(subject)
		return nil
	}
	if err != nil {
		return err
	}
	if b := out.ContinuousBackupsDescription; b != nil && b.PointInTimeRecoveryDescription != nil &&
		b.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled {
		d.Good(subject, "point-in-time recovery is on, which is billed by size")
		return nil
	}
	d.Good(subject, "none")
	return nil
}

// check reads all entries with their payloads.
func (d *diagnosis) check(ctx context.Context, specs []driver.TableSpec) error {
	entries, bytes := 0, int64(0)
	var unread []string
	for _, spec := range specs {
		t, damaged := newTable(d.store, spec), false
		for s := t.scan(driver.Selection{Parts: driver.Payload | driver.Meta | driver.Usage}); s.more(); {
			some, err := s.next(ctx)
			if err != nil {
				return err
			}
			for _, e := range some {
				entries, bytes = entries+1, bytes+e.Size
				damaged = damaged || e.Unreadable()
			}
		}
		if damaged {
			unread = append(unread, spec.Name)
		}
	}
	if len(unread) > 0 {
		d.Fault("items", human.Things(len(unread), "table", "tables")+" with what is no entry", "Other programs have written to the table: clear these repositories, and give the cache a table of its own.")
		return nil
	}
	d.Good("items", "%s can be read, %s", human.Things(entries, "entry", "entries"), human.Size(bytes))
	return nil
}

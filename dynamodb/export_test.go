package dynamodb

import (
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
)

// ParseURL returns the settings of a url with the defaults of those that it leaves out.
func ParseURL(url string) (Options, error) {
	o, err := parseURL(url, nil)
	return o, errors.Join(err, o.validate())
}

// NewClient is the client of Open.
var NewClient = newClient

// EscapeName is a part of a table's name.
var EscapeName = escapeName

// Place is where the entry of a key stands.
func Place(t driver.Table, k driver.Key) (partition, key string) {
	p := t.(*table).place(k)
	return p.partition, p.key
}

// Orphan is where a part stands that was saved at an instant, and belongs to no entry.
func Orphan(t driver.Table, saved time.Time) (partition, key string) {
	p := t.(*table).part(newGeneration(saved), 0)
	return p.partition, p.key
}

// Limits of requests.
const (
	PartSize  = partSize
	MaxStalls = maxStalls
)

// NewTable is a table on a server that is not asked.
func NewTable(client *dynamodb.Client, spec driver.TableSpec) driver.Table {
	var o Options
	if err := o.validate(); err != nil {
		panic(err)
	}
	return newTable(&Store{client: client, opts: o, codec: newCodec(o)}, spec)
}

package dynamodb

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Options are the settings of a store. A nil *Options means the defaults. Open takes
// some from its url too, by the names in brackets; the options here take precedence.
type Options struct {
	// Table is the table of DynamoDB that all repositories share; the default is
	// "endpointcache". [the url's path]
	Table string

	// TablePrefix gives each repository a table of its own, whose name begins so. It
	// has two characters at least, of those that DynamoDB allows: letters, digits,
	// "_", "-" and ".". The default is none: repositories share Table. [prefix]
	TablePrefix string

	// Namespace keeps apart what several caches have in one table. It has neither
	// colon nor control character; the default is none. [namespace]
	Namespace string

	// NoCreate makes an absent table an error. The default is to create it, billed by
	// request, and to set up its TTL. [create_if_not_exists=false]
	NoCreate bool

	// ReadOnly opens what is there to be read. No table or item is created or changed. Writes
	// return [driver.ErrReadOnly]. Where there is no repository, the error is [driver.ErrAbsent].
	ReadOnly bool

	// NoTTL keeps expired entries until they are cleared. The default is that
	// DynamoDB removes them, at no cost, when Grace has passed. [ttl=false]
	NoTTL bool

	// Grace is how long an entry can still be read after its expiry, at least, to be
	// revalidated for instance. To the second; the default is a week. [grace]
	Grace time.Duration

	// PartitionAttribute, KeyAttribute and ValueAttribute are the names of the
	// attributes of the partition key, of the sort key and of the payload. The
	// defaults are "p", "k" and "v". [partition_attr_name, key_attr_name,
	// val_attr_name]
	PartitionAttribute, KeyAttribute, ValueAttribute string

	// EventualReads reads at half the price what may be a second old. The default is
	// to read what was committed. [eventual_reads=true]
	EventualReads bool

	// CompressFrom is the size in bytes from which payloads are compressed, if that
	// makes them smaller: DynamoDB bills by size. The default, 0, is to compress only
	// what does not fit in an item. [compress_from]
	CompressFrom int

	// Parallel is how many requests one call may have under way; the default is 8.
	// [parallel]
	Parallel int

	// Region is where the tables are; the default is AWS's own configuration, or
	// us-east-1 with an endpoint. Only for [Open]. [region]
	Region string

	// Endpoint is the URL of another server, such as http://localhost:8000; the
	// default is AWS's of the region. Only for [Open]. [endpoint, or the url's host]
	Endpoint string

	// Credentials are how requests are signed, such as
	// credentials.NewStaticCredentialsProvider(id, secret, sessionToken); the default
	// is AWS's usual chain. Only for [Open]. [the url's user and password,
	// session_token]
	Credentials aws.CredentialsProvider

	// TLS are settings such as certificate authorities; nil means the system's, and
	// those of AWS_CA_BUNDLE. Only for [Open]. [verify: "false", or a file of
	// certificate authorities]
	TLS *tls.Config
}

const (
	defaultTable    = "endpointcache"
	defaultGrace    = 7 * 24 * time.Hour
	defaultParallel = 8
	maxParallel     = 1_000
	maxPrefix       = 100
	maxNamespace    = 255
)

var (
	validTable  = regexp.MustCompile(`^[a-zA-Z0-9_.-]{3,255}$`)
	validPrefix = regexp.MustCompile(`^[a-zA-Z0-9_.-]{2,100}$`)
)

// validate sets the defaults and reports what cannot be.
func (o *Options) validate() error {
	if o.Table == "" && o.TablePrefix == "" {
		o.Table = defaultTable
	}
	for name, fallback := range map[*string]string{&o.PartitionAttribute: "p", &o.KeyAttribute: "k", &o.ValueAttribute: "v"} {
		if *name == "" {
			*name = fallback
		}
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.Parallel == 0 {
		o.Parallel = defaultParallel
	}
	switch {
	case o.Table != "" && o.TablePrefix != "":
		return errors.New("Table and TablePrefix are both set: repositories share a table or have their own")
	case o.Table != "" && !validTable.MatchString(o.Table):
		return fmt.Errorf("Table %q: DynamoDB allows 3 to 255 letters, digits, \"_\", \"-\" and \".\"", o.Table)
	case o.TablePrefix != "" && !validPrefix.MatchString(o.TablePrefix):
		return fmt.Errorf("TablePrefix %q: it has 2 to %d letters, digits, \"_\", \"-\" and \".\"", o.TablePrefix, maxPrefix)
	case len(o.Namespace) > maxNamespace || !utf8.ValidString(o.Namespace) ||
		strings.ContainsFunc(o.Namespace, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }):
		return fmt.Errorf("Namespace %q: it is a text of %d bytes at most without colons and control characters", o.Namespace, maxNamespace)
	case o.Grace < 0:
		return fmt.Errorf("Grace is %v: it cannot be negative", o.Grace)
	case o.CompressFrom < 0:
		return fmt.Errorf("CompressFrom is %d: it cannot be negative", o.CompressFrom)
	case o.Parallel < 0 || o.Parallel > maxParallel:
		return fmt.Errorf("Parallel is %d: it is 1 to %d", o.Parallel, maxParallel)
	}
	return errors.Join(o.validateAttributes(), o.validateEndpoint())
}

// validateEndpoint does not tell the endpoint, which may hold a secret that belongs
// elsewhere.
func (o *Options) validateEndpoint() error {
	if o.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("Endpoint cannot be used: it is not of the form https://host:port")
	}
	return nil
}

func (o *Options) validateAttributes() error {
	names := []string{o.PartitionAttribute, o.KeyAttribute, o.ValueAttribute}
	for i, name := range names {
		switch {
		case len(name) > 255 || !utf8.ValidString(name):
			return fmt.Errorf("attribute name %q: it is a text of 255 bytes at most", name)
		case slices.Contains(names[:i], name) || slices.Contains(attributes, name):
			return fmt.Errorf("attribute name %q: it is used twice", name)
		}
	}
	return nil
}

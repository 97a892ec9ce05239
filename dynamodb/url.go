package dynamodb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/endpointcache/endpointcache/internal/hostname"
)

const scheme = "dynamodb"

// parseURL returns opts with what text says in their place where they say nothing. Its
// errors tell nothing of the text but the names and values of settings, as other parts
// may be secret.
func parseURL(text string, opts *Options) (Options, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != scheme || u.Opaque != "" || u.Fragment != "" {
		return o, errors.New("the url cannot be used: it is not of the form dynamodb://[id:secret@host:port]/table?region=…")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, errors.New("the url cannot be used: its parameters are malformed")
	}
	p := parameters{values: query}
	o.table(u, &p)
	o.server(u, &p)
	if err := o.credentials(u, &p); err != nil {
		return o, err
	}
	p.string("namespace", &o.Namespace)
	p.string("partition_attr_name", &o.PartitionAttribute)
	p.string("key_attr_name", &o.KeyAttribute)
	p.string("val_attr_name", &o.ValueAttribute)
	o.NoCreate = !p.bool("create_if_not_exists", !o.NoCreate) || o.NoCreate
	o.NoTTL = !p.bool("ttl", !o.NoTTL) || o.NoTTL
	o.EventualReads = p.bool("eventual_reads", o.EventualReads) || o.EventualReads
	p.int("compress_from", &o.CompressFrom)
	p.int("parallel", &o.Parallel)
	p.duration("grace", &o.Grace)
	p.authorities("verify", &o.TLS)
	return o, p.end()
}

func (o *Options) table(u *url.URL, p *parameters) {
	name := strings.Trim(u.Path, "/")
	prefix := p.take("prefix")
	if o.Table != "" || o.TablePrefix != "" {
		return
	}
	o.Table, o.TablePrefix = name, prefix
}

// server takes the endpoint. Without other word a server of this machine is spoken to
// in the clear, and any other with TLS.
func (o *Options) server(u *url.URL, p *parameters) {
	p.string("region", &o.Region)
	p.string("endpoint", &o.Endpoint)
	secure := p.bool("use_ssl", !hostname.IsLoopback(u.Hostname()))
	if u.Host == "" || o.Endpoint != "" {
		return
	}
	o.Endpoint = "https://" + u.Host
	if !secure {
		o.Endpoint = "http://" + u.Host
	}
}

func (o *Options) credentials(u *url.URL, p *parameters) error {
	token := p.take("session_token")
	secret, ok := u.User.Password()
	switch {
	case u.User == nil && token == "":
		return nil
	case u.User.Username() == "" || !ok || secret == "":
		return errors.New("the url cannot be used: of access key id and secret it has one, or a session token alone")
	case o.Credentials == nil:
		o.Credentials = credentials.NewStaticCredentialsProvider(u.User.Username(), secret, token)
	}
	return nil
}

// parameters are settings of a url. Each is taken once; the first mistake is kept.
type parameters struct {
	values url.Values
	err    error
}

func (p *parameters) take(name string) string {
	values := p.values[name]
	delete(p.values, name)
	if len(values) > 1 {
		p.fail("%s is given twice", name)
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (p *parameters) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("the url cannot be used: "+format, args...)
	}
}

func (p *parameters) string(name string, to *string) {
	if value := p.take(name); *to == "" {
		*to = value
	}
}

func (p *parameters) bool(name string, fallback bool) bool {
	value := p.take(name)
	if value == "" {
		return fallback
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		p.fail("%s is %q: it is true or false", name, value)
	}
	return b
}

func (p *parameters) int(name string, to *int) {
	value := p.take(name)
	if value == "" {
		return
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		p.fail("%s is %q: it is a number", name, value)
	}
	if *to == 0 {
		*to = n
	}
}

func (p *parameters) duration(name string, to *time.Duration) {
	value := p.take(name)
	if value == "" {
		return
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		p.fail("%s is %q: it is a duration such as 24h", name, value)
	}
	if *to == 0 {
		*to = d
	}
}

// authorities takes "false", which trusts any server, or a file of certificates.
func (p *parameters) authorities(name string, to **tls.Config) {
	value := p.take(name)
	if value == "" || *to != nil {
		return
	}
	if verify, err := strconv.ParseBool(value); err == nil {
		if !verify {
			*to = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} // #nosec G402 -- the user asks for it
		}
		return
	}
	pem, err := os.ReadFile(value)
	if err != nil {
		p.fail("%s: %v", name, err)
		return
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		p.fail("%s: the file %q has no certificate", name, value)
	}
	*to = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}

// end reports the first mistake, or a parameter that is none of ours.
func (p *parameters) end() error {
	for _, name := range slices.Sorted(maps.Keys(p.values)) {
		p.fail("it has no parameter %q", name)
	}
	return p.err
}

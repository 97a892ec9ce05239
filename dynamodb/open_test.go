package dynamodb_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
	"github.com/endpointcache/endpointcache/internal/waitfor"
)

const secret = "s3cr3t"

// noConfiguration hides what this machine knows of AWS.
func noConfiguration(t *testing.T) {
	t.Helper()
	for variable, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": filepath.Join(t.TempDir(), "none"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(t.TempDir(), "none"),
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(variable, value)
	}
}

func TestURLs(t *testing.T) {
	for url, check := range map[string]func(o dynamodb.Options) bool{
		"dynamodb://?region=eu-central-1": func(o dynamodb.Options) bool {
			return o.Table == "endpointcache" && o.Region == "eu-central-1" && o.Endpoint == "" && o.Credentials == nil
		},
		"dynamodb:///music?region=eu-central-1": func(o dynamodb.Options) bool { return o.Table == "music" && o.TablePrefix == "" },
		"dynamodb://?prefix=music-":             func(o dynamodb.Options) bool { return o.Table == "" && o.TablePrefix == "music-" },
		"dynamodb://localhost:8000":             func(o dynamodb.Options) bool { return o.Endpoint == "http://localhost:8000" },
		"dynamodb://[::1]:8000/music": func(o dynamodb.Options) bool {
			return o.Endpoint == "http://[::1]:8000" && o.Table == "music"
		},
		"dynamodb://db.example.com":                     func(o dynamodb.Options) bool { return o.Endpoint == "https://db.example.com" },
		"dynamodb://db.example.com:8000/?use_ssl=false": func(o dynamodb.Options) bool { return o.Endpoint == "http://db.example.com:8000" },
		"dynamodb://localhost?use_ssl=true":             func(o dynamodb.Options) bool { return o.Endpoint == "https://localhost" },
		"dynamodb://?endpoint=http://localhost:8000":    func(o dynamodb.Options) bool { return o.Endpoint == "http://localhost:8000" },
		"dynamodb://id:sec%2Fret@localhost?session_token=t": func(o dynamodb.Options) bool {
			c, err := o.Credentials.Retrieve(context.Background())
			return err == nil && c.AccessKeyID == "id" && c.SecretAccessKey == "sec/ret" && c.SessionToken == "t"
		},
		"dynamodb://?namespace=a&create_if_not_exists=false&ttl=false&grace=1h&eventual_reads=1&compress_from=1024&parallel=3": func(o dynamodb.Options) bool {
			return o.Namespace == "a" && o.NoCreate && o.NoTTL && o.Grace == time.Hour && o.EventualReads && o.CompressFrom == 1024 && o.Parallel == 3
		},
		"dynamodb://?key_attr_name=key&val_attr_name=value&partition_attr_name=part": func(o dynamodb.Options) bool {
			return o.KeyAttribute == "key" && o.ValueAttribute == "value" && o.PartitionAttribute == "part"
		},
		"dynamodb://?verify=false": func(o dynamodb.Options) bool { return o.TLS != nil && o.TLS.InsecureSkipVerify },
		"dynamodb://?verify=true":  func(o dynamodb.Options) bool { return o.TLS == nil },
		"dynamodb://": func(o dynamodb.Options) bool {
			return o.PartitionAttribute == "p" && o.KeyAttribute == "k" && o.ValueAttribute == "v" && o.Grace == 7*24*time.Hour && o.Parallel == 8 && !o.NoCreate && !o.NoTTL
		},
	} {
		if o, err := dynamodb.ParseURL(url); err != nil || !check(o) {
			t.Errorf("%s: %+v, %v", url, o, err)
		}
	}
}

func TestURLsThatCannotBeUsed(t *testing.T) {
	noConfiguration(t)
	file := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, reason := range map[string]string{
		"":                                                         "form",
		secret:                                                     "form",
		"postgres://u:" + secret + "@host":                         "form",
		"dynamodb:" + secret:                                       "form",
		"dynamodb://u:" + secret + "%zz@host":                      "form",
		"dynamodb://u:" + secret + "@host:x":                       "form",
		"dynamodb://u:" + secret + "@h/#x":                         "form",
		"dynamodb://?region=a;secret=" + secret:                    "malformed",
		"dynamodb://id@host":                                       "has one",
		"dynamodb://:" + secret + "@host":                          "has one",
		"dynamodb://?session_token=" + secret:                      "has one",
		"dynamodb://?sesion_token=" + secret:                       `no parameter "sesion_token"`,
		"dynamodb://?region=a&region=b":                            "twice",
		"dynamodb://?ttl=maybe":                                    "ttl",
		"dynamodb://?parallel=many":                                "parallel",
		"dynamodb://?parallel=-1":                                  "Parallel",
		"dynamodb://?grace=long":                                   "grace",
		"dynamodb://?grace=-1h":                                    "Grace",
		"dynamodb://?compress_from=-1":                             "CompressFrom",
		"dynamodb://?verify=/nowhere/at/all":                       "verify",
		"dynamodb://?verify=" + file:                               "no certificate",
		"dynamodb:///ab?region=a":                                  "Table",
		"dynamodb:///a/b?region=a":                                 "Table",
		"dynamodb:///music?prefix=music-":                          "both",
		"dynamodb://?prefix=m":                                     "TablePrefix",
		"dynamodb://?prefix=a/b":                                   "TablePrefix",
		"dynamodb://?namespace=a:b":                                "Namespace",
		"dynamodb://?key_attr_name=p":                              "twice",
		"dynamodb://?val_attr_name=status":                         "twice",
		"dynamodb://?endpoint=host:8000":                           "Endpoint",
		"dynamodb://?endpoint=http://u:" + secret + "@127.0.0.1:1": "Endpoint",
		"dynamodb://?endpoint=http://127.0.0.1:1/?a=" + secret:     "Endpoint",
		"dynamodb://u:" + secret + "@/music":                       "no region",
		"dynamodb://u:" + secret + "@127.0.0.1:1":                  "127.0.0.1:1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		s, err := dynamodb.Open(ctx, url, nil)
		cancel()
		var op *driver.OpError
		switch {
		case s != nil || !errors.As(err, &op) || op.Op != "open" || op.Store != "dynamodb":
			t.Errorf("%q: %v", url, err)
		case !strings.Contains(err.Error(), reason):
			t.Errorf("%q: the error is %v, want one that tells %q", url, err, reason)
		case strings.Contains(err.Error(), secret):
			t.Errorf("%q: the error tells the secret: %v", url, err)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	client := awsdynamodb.New(awsdynamodb.Options{Region: "us-east-1"})
	for reason, o := range map[string]*dynamodb.Options{
		"Region": {Region: "a"}, "Endpoint": {Endpoint: "http://a"}, "TLS": {TLS: new(tls.Config)},
		"Credentials": {Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")},
		"both set":    {Table: "music", TablePrefix: "music-"},
		"attribute":   {KeyAttribute: strings.Repeat("k", 256)},
	} {
		if _, err := dynamodb.New(t.Context(), client, o); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
	if _, err := dynamodb.New(t.Context(), nil, nil); err == nil {
		t.Error("a nil client is no error")
	}
}

func TestNoCredentialsIsAnError(t *testing.T) {
	noConfiguration(t)
	_, err := dynamodb.Open(t.Context(), "dynamodb://127.0.0.1:1", nil)
	if err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("the error is %v", err)
	}
}

// What the options say takes precedence over the url.
func TestOptionsComeFirst(t *testing.T) {
	name := newName(t)
	s := open(t, &dynamodb.Options{Table: name, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("other", "other", "token")})
	put(t, openTable(t, s), track(1))
	if n := len(items(t, name)); n != 3 {
		t.Errorf("the table has %d items, want an entry, a schema and one that lists it", n)
	}
}

// A server that accepts connections and says nothing.
func TestOpenEndsWithItsContext(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	waitfor.End(t, "Open ends with its context", func() {
		_, err := dynamodb.Open(ctx, "dynamodb://id:secret@"+silent.Addr().String(), nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// DynamoDB Local takes any credentials and speaks no TLS: this is a server that refuses
// them. What it says is told, but not what was sent. It is believed only where its
// certificate is, which nobody has signed.
func TestAServerThatRefusesTheCredentials(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "UnrecognizedClientException")
		w.WriteHeader(http.StatusBadRequest)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	authority := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	url := "dynamodb://id:" + secret + "@" + strings.TrimPrefix(server.URL, "https://") + "?use_ssl=true&session_token=" + secret
	for _, test := range []struct {
		url  string
		opts *dynamodb.Options
		want string
	}{
		{url, nil, "certificate"},
		{url + "&verify=false", nil, "UnrecognizedClient"},
		{url + "&verify=" + authority, nil, "UnrecognizedClient"},
		{url, &dynamodb.Options{TLS: server.Client().Transport.(*http.Transport).TLSClientConfig}, "UnrecognizedClient"},
	} {
		_, err := dynamodb.Open(t.Context(), test.url, test.opts)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v, want %s", test.url, err, test.want)
		}
	}
}

func TestTheCallersClientStaysOpen(t *testing.T) {
	client := newClient(t)
	s := with(t, client, nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ListTables(t.Context(), &awsdynamodb.ListTablesInput{Limit: aws.Int32(1)}); err != nil {
		t.Error(err)
	}
}

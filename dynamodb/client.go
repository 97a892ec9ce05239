package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"
)

// Waits for a server that does not answer. They matter to calls whose context has no
// deadline.
const (
	connectTimeout = 5 * time.Second
	answerTimeout  = 30 * time.Second // DynamoDB itself gives up after some seconds
)

// attempts is how often a request is tried, where neither the environment nor the
// shared files say.
const attempts = 8

// fallbackRegion signs requests to a server that is not AWS's, which has no region.
const fallbackRegion = "us-east-1"

// newClient makes a client, and a function that closes its idle connections.
func newClient(ctx context.Context, o Options) (*dynamodb.Client, func(), error) {
	buildable := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			// As many as a few calls have under way.
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 4*o.Parallel
			t.ResponseHeaderTimeout = answerTimeout
			if o.TLS != nil {
				t.TLSClientConfig = o.TLS.Clone()
			}
		})
	// The client would write to the standard error what the caller gets as an error.
	load := []func(*config.LoadOptions) error{config.WithHTTPClient(buildable), config.WithLogger(logging.Nop{})}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(o.Credentials))
	}
	c, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, nil, err
	}
	if o.Endpoint != "" {
		c.BaseEndpoint = aws.String(o.Endpoint)
		if c.Region == "" {
			c.Region = fallbackRegion
		}
	}
	if c.Region == "" {
		return nil, nil, errors.New("no region: set Options.Region, the url's region or AWS_REGION")
	}
	if c.RetryMaxAttempts == 0 {
		c.RetryMaxAttempts = attempts
	}
	if c.Retryer == nil && c.RetryMode == "" {
		c.Retryer = func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { retrying(o, c.RetryMaxAttempts) })
		}
	}
	// A client whose connections can be closed; AWS_CA_BUNDLE has been added to it.
	if loaded, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		buildable = loaded
	}
	transport := buildable.GetTransport()
	c.HTTPClient = &http.Client{
		Transport:     inMemory{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return dynamodb.NewFromConfig(c), transport.CloseIdleConnections, nil
}

// onceOption is for requests that must not be done twice, as they tell what they have
// removed: tried again is only what DynamoDB has refused, or was never sent.
func onceOption(client dynamodb.Options) func(*dynamodb.Options) {
	standard := retry.NewStandard(func(o *retry.StandardOptions) {
		retrying(o, client.Retryer.MaxAttempts())
		o.Retryables = []retry.IsErrorRetryable{
			retry.NoRetryCanceledError{},
			retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes},
			retry.IsErrorRetryableFunc(neverSent),
		}
	})
	return func(o *dynamodb.Options) { o.Retryer = standard }
}

// retrying sets how often requests are tried, and the pauses. The SDK's quota of what is
// tried again, which all calls of a client share, would soon end a bulk save to a table
// that refuses much of it, as new ones do.
func retrying(o *retry.StandardOptions, attempts int) {
	o.MaxAttempts, o.Backoff, o.RateLimiter = attempts, retry.BackoffDelayerFunc(backoff), ratelimit.None
}

// backoff is the pause before a request is tried again: DynamoDB answers in some
// milliseconds, and the SDK's own pauses begin with a second.
func backoff(attempt int, _ error) (time.Duration, error) { return pause(attempt), nil }

func neverSent(err error) aws.Ternary {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// inMemory is a transport for the SDK's requests. The SDK closes a request's body as soon
// as there is an answer; if the server is quick, net/http still wants to see the body's
// end then, takes that for an error and drops the connection, with the answer. Besides,
// net/http sends a body that it knows to be in memory together with its headers.
type inMemory struct{ *http.Transport }

func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 {
		return t.Transport.RoundTrip(r)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context()) // the caller's stays as it is
	// With GetBody, net/http sends it on another connection where the server has closed
	// the one before anything was written.
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body = io.NopCloser(bytes.NewReader(body))
	return t.Transport.RoundTrip(r)
}

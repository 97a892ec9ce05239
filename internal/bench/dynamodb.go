package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/dynamodb"
)

// dynamodbBackend is the server of DYNAMODB_TEST_URL. Its hand-written side sends as many
// batches at once as the library does, and asks what a delete has removed, as that is to
// be told.
var dynamodbBackend = &backend{
	name: "dynamodb",
	open: func(ctx context.Context, _ *dataset, part string) (driver.Store, error) {
		server := os.Getenv("DYNAMODB_TEST_URL")
		if server == "" {
			return nil, errSkipped{errors.New("DYNAMODB_TEST_URL is not set, as make bench does")}
		}
		return dynamodb.Open(ctx, server, &dynamodb.Options{Table: part})
	},
	byHand: func(_ context.Context, _ *dataset, part string) (rival, error) { return newBySDK(part) },
}

// bySDK is the hand-written side.
type bySDK struct {
	client *awsdynamodb.Client
	idle   func()
	table  string
	remove string
}

// bodyInMemory reads a body before it is sent: the SDK closes it too early for a server
// that is quick, see the library's client.
type bodyInMemory struct{ *http.Transport }

func (t bodyInMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.WithContext(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return t.Transport.RoundTrip(r)
}

const dynamodbRequests = 8 // at once

func newBySDK(table string) (*bySDK, error) {
	u, err := url.Parse(os.Getenv("DYNAMODB_TEST_URL"))
	if err != nil {
		return nil, err
	}
	transport := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = dynamodbRequests }).GetTransport()
	secret, _ := u.User.Password()
	return &bySDK{
		client: awsdynamodb.New(awsdynamodb.Options{
			Region:       "us-east-1",
			BaseEndpoint: aws.String("http://" + u.Host),
			Credentials:  credentials.NewStaticCredentialsProvider(u.User.Username(), secret, ""),
			HTTPClient:   &http.Client{Transport: bodyInMemory{transport}},
		}),
		idle:   transport.CloseIdleConnections,
		table:  table,
		remove: `DELETE FROM "` + table + `" WHERE p=? AND k=? RETURNING ALL OLD *`,
	}, nil
}

type dynamodbItem = map[string]types.AttributeValue

func stringAttribute(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func numberAttribute(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// place is the primary key of a row: the partition and the sort key.
func (h *bySDK) place(k *Key) (p, s string) {
	b := make([]byte, 0, 64)
	b = append(append(append(append(b, '|'), k.ID...), '|'), k.Market...)
	b = strconv.AppendInt(append(b, '|'), int64(k.Disc), 10)
	b = strconv.AppendInt(append(b, '|'), int64(k.Number), 10)
	digest := sha256.Sum256(b)
	return "tracks/" + "0123456789abcdef"[digest[0]>>4:][:1], string(b)
}

func (h *bySDK) key(k *Key) dynamodbItem {
	p, s := h.place(k)
	return dynamodbItem{"p": stringAttribute(p), "k": stringAttribute(s)}
}

// each calls do for chunks of n things, several at once.
func (h *bySDK) each(n, size int, do func(from, to int) error) error {
	var (
		wait  sync.WaitGroup
		errs  = make([]error, (n+size-1)/size)
		slots = make(chan struct{}, dynamodbRequests)
	)
	for i := range errs {
		slots <- struct{}{}
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[i] = do(i*size, min(n, (i+1)*size))
			<-slots
		}()
	}
	wait.Wait()
	return errors.Join(errs...)
}

const dynamodbTime = "2006-01-02T15:04:05.000000Z"

var (
	payloadNames      = map[string]string{"#s": "status"}
	payloadProjection = aws.String("v,k,expires_at,#s,encoding,generation")
)

// livePayload is the payload of an item that has not expired.
func livePayload(it dynamodbItem, now string) ([]byte, error) {
	expires, _ := it["expires_at"].(*types.AttributeValueMemberS)
	value, ok := it["v"].(*types.AttributeValueMemberB)
	if !ok || expires == nil || expires.Value <= now {
		return nil, errNotThere
	}
	return value.Value, nil
}

func (h *bySDK) get(ctx context.Context, k Key) ([]byte, error) {
	out, err := h.client.GetItem(ctx, &awsdynamodb.GetItemInput{
		TableName: &h.table, Key: h.key(&k), ConsistentRead: aws.Bool(true),
		ProjectionExpression: payloadProjection, ExpressionAttributeNames: payloadNames,
	})
	if err != nil {
		return nil, err
	}
	return livePayload(out.Item, time.Now().UTC().Format(dynamodbTime))
}

func (h *bySDK) getMany(ctx context.Context, keys []Key) ([][]byte, error) {
	payloads := make([][]byte, len(keys))
	now := time.Now().UTC().Format(dynamodbTime)
	err := h.each(len(keys), 100, func(from, to int) error {
		request := types.KeysAndAttributes{ConsistentRead: aws.Bool(true), ProjectionExpression: payloadProjection, ExpressionAttributeNames: payloadNames}
		indices := make(map[string]int, to-from)
		for i := from; i < to; i++ {
			p, s := h.place(&keys[i])
			indices[s] = i
			request.Keys = append(request.Keys, dynamodbItem{"p": stringAttribute(p), "k": stringAttribute(s)})
		}
		out, err := h.client.BatchGetItem(ctx, &awsdynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{h.table: request}})
		if err != nil {
			return err
		}
		for _, it := range out.Responses[h.table] {
			s, ok := it["k"].(*types.AttributeValueMemberS)
			if !ok {
				return errNotThere
			}
			if payloads[indices[s.Value]], err = livePayload(it, now); err != nil {
				return err
			}
		}
		if n := len(out.UnprocessedKeys); n > 0 {
			return fmt.Errorf("%d tables have unprocessed keys", n)
		}
		return nil
	})
	return payloads, err
}

func (h *bySDK) saveMany(ctx context.Context, rows []row) error {
	now := time.Now().UTC()
	expires := expiry(now)
	cachedAt, expiresAt := stringAttribute(now.Format(dynamodbTime)), stringAttribute(expires.Format(dynamodbTime))
	ttl, status := numberAttribute(expires.Add(7*24*time.Hour).Unix()+1), numberAttribute(http.StatusOK)
	return h.each(len(rows), 25, func(from, to int) error {
		var requests []types.WriteRequest
		for _, r := range rows[from:to] {
			it := h.key(&r.key)
			it["key_fields"] = &types.AttributeValueMemberM{Value: dynamodbItem{
				"id": stringAttribute(r.key.ID), "market": stringAttribute(r.key.Market),
				"disc": numberAttribute(int64(r.key.Disc)), "number": numberAttribute(int64(r.key.Number)),
			}}
			it["status"], it["cached_at"], it["expires_at"], it["ttl"] = status, cachedAt, expiresAt, ttl
			it["headers"] = stringAttribute(r.headers)
			it["v"] = &types.AttributeValueMemberB{Value: r.payload}
			requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: it}})
		}
		out, err := h.client.BatchWriteItem(ctx, &awsdynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{h.table: requests}})
		if err == nil && len(out.UnprocessedItems) > 0 {
			err = errors.New("there are unprocessed items")
		}
		return err
	})
}

func (h *bySDK) deleteMany(ctx context.Context, keys []Key) (int, error) {
	removed := make([]int, (len(keys)+24)/25)
	err := h.each(len(keys), 25, func(from, to int) error {
		var statements []types.BatchStatementRequest
		for i := from; i < to; i++ {
			p, s := h.place(&keys[i])
			statements = append(statements, types.BatchStatementRequest{Statement: &h.remove, Parameters: []types.AttributeValue{stringAttribute(p), stringAttribute(s)}})
		}
		out, err := h.client.BatchExecuteStatement(ctx, &awsdynamodb.BatchExecuteStatementInput{Statements: statements})
		if err != nil {
			return err
		}
		for _, answer := range out.Responses {
			if answer.Error != nil {
				return errors.New(aws.ToString(answer.Error.Message))
			}
			if len(answer.Item) > 0 {
				removed[from/25]++
			}
		}
		return nil
	})
	n := 0
	for _, r := range removed {
		n += r
	}
	return n, err
}

func (h *bySDK) close() error {
	h.idle()
	return nil
}

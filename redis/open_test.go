package redis_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/testserver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/redis"
)

func TestOpenChecksItsOptions(t *testing.T) {
	for reason, opts := range map[string]redis.Options{
		"Prefix":      {Prefix: "a{b"},
		"brace":       {Prefix: "a}b"},
		"control":     {Prefix: "a\nb"},
		"no text":     {Prefix: "\xff"},
		"KeepExpired": {KeepExpired: -1},
		"1ms":         {KeepExpired: time.Microsecond},
		"Buckets":     {Buckets: -1},
		"1024":        {Buckets: math.MaxInt32},
	} {
		// Nothing is connected to.
		if _, err := redis.Open(t.Context(), "redis://nowhere.invalid", &opts); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
	if _, err := redis.New(t.Context(), nil, nil); err == nil {
		t.Error("a nil client is no error")
	}
}

func TestNoErrorTellsThePassword(t *testing.T) {
	const secret = "s3cr3t"
	for _, text := range []string{
		"",
		secret,
		secret + "://host",
		"redis:" + secret,
		"redis://",
		"http://user:" + secret + "@127.0.0.1/0",
		"redis://user:" + secret + "@127.0.0.1:1/0",
		"redis://user:" + secret + "@127.0.0.1:99999999/0",
		"redis://user:" + secret + "@host:port/0",
		"redis://user:" + secret + "%zz@127.0.0.1/0",
		"redis://127.0.0.1:1/" + secret,
		"redis://127.0.0.1:1/0/" + secret,
		"redis://127.0.0.1:1?db=" + secret,
		"redis://127.0.0.1:1?password=" + secret,
		"redis://127.0.0.1:1/?" + secret + "=1",
		"redis://127.0.0.1:1/?a;" + secret,
		"redis://127.0.0.1:1?dial_timeout=" + secret,
		"redis://127.0.0.1:1?write_timeout=" + secret,
		"rediss://127.0.0.1:1?skip_verify=" + secret,
		"rediss://user:" + secret + "@127.0.0.1:1",
		"redis://user:" + secret + "@127.0.0.1:1?addr=127.0.0.1:2&addr=127.0.0.1:3",
		"redis://user:" + secret + "@127.0.0.1:1?addr=127.0.0.1:2&master_set=mymaster",
		"unix://user:" + secret + "@/nowhere/at/all.sock",
		strings.Replace(serverURL(t), "//", "//user:"+secret+"@", 1) + "@",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := redis.Open(ctx, text, nil)
		cancel()
		if err == nil {
			t.Errorf("%s is no error", text)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells the password: %v", text, err)
		} else {
			t.Log(err)
		}
	}
}

func TestWrongCredentials(t *testing.T) {
	own := testserver.OwnRedis(t, nil)
	u, err := url.Parse(own.URL())
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[*url.Userinfo]string{
		nil:                                   "NOAUTH",
		url.UserPassword("", "wrong"):         "WRONGPASS",
		url.UserPassword("nobody", "a wrong"): "WRONGPASS",
	} {
		u.User = user
		_, err := redis.Open(t.Context(), u.String(), nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "a wrong") {
			t.Errorf("as %v: %v, want %s", user, err, want)
		}
	}
}

// A server that accepts connections and says nothing.
func TestOpenEndsWithItsContext(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, parameters := range []string{"", "?addr=127.0.0.1:1", "?master_set=mymaster"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		waitfor.End(t, "Open ends with its context", func() {
			_, err := redis.Open(ctx, "redis://"+silent.Addr().String()+parameters, nil)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%q: %v", parameters, err)
			}
		})
		cancel()
		if _, err := redis.Open(ctx, serverURL(t), nil); err == nil {
			t.Error("a context that is done is no error")
		}
	}
}

func TestTheCallersClientStaysOpen(t *testing.T) {
	client := newClient(t, serverURL(t))
	s, err := redis.New(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), client.B().Ping().Build()).Error(); err != nil {
		t.Errorf("the client was closed: %v", err)
	}
	client.Close()
	if _, err := redis.New(t.Context(), client, nil); err == nil {
		t.Error("a client that is closed is no error")
	}
}

func TestAURLMayEndWithASlash(t *testing.T) {
	own := testserver.OwnRedis(t, nil)
	put(t, openTable(t, open(t, strings.TrimSuffix(own.URL(), "0"), nil)), track(1))
}

// Tables of databases are apart, as the url's number tells.
func TestDatabasesAreApart(t *testing.T) {
	own := testserver.OwnRedis(t, nil)
	other := strings.TrimSuffix(own.URL(), "/0") + "/1"
	first, second := openTable(t, open(t, own.URL(), nil)), openTable(t, open(t, other, nil))
	put(t, first, track(1))
	if n := count(t, second, driver.Filter{}); n != 0 {
		t.Errorf("the other database has %d entries", n)
	}
}

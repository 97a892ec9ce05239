package mongodb_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/mongodb"
)

func TestOpenChecksItsOptions(t *testing.T) {
	for reason, opts := range map[string]mongodb.Options{
		"Database":    {Database: "a.b"},
		"longer":      {Prefix: strings.Repeat("x", 65)},
		"character":   {Prefix: "a$"},
		"reserved":    {Prefix: "system."},
		"at most":     {KeepExpired: 100 * 365 * 24 * time.Hour},
		"1s at least": {KeepExpired: time.Millisecond},
	} {
		// Nothing is connected to.
		if _, err := mongodb.Open(t.Context(), "mongodb://nowhere.invalid/x", &opts); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("the error is %v, want one that tells %q", err, reason)
		}
	}
	if _, err := mongodb.New(t.Context(), nil, nil); err == nil {
		t.Error("a nil database is no error")
	}
	db := newClient(t, "mongodb://nowhere.invalid").Database("x")
	if _, err := mongodb.New(t.Context(), db, &mongodb.Options{Database: "y"}); err == nil || !strings.Contains(err.Error(), "Database") {
		t.Errorf("a setting that New cannot make: %v", err)
	}
	if _, err := mongodb.Open(t.Context(), "mongodb://nowhere.invalid/x?w=0", nil); err == nil || !strings.Contains(err.Error(), "w=0") {
		t.Errorf("writes that nobody acknowledges: %v", err)
	}
}

func TestNoErrorTellsThePassword(t *testing.T) {
	const secret = "s3cr3t"
	for _, text := range []string{
		"mongodb://user:" + secret + "@127.0.0.1:1/db",
		"mongodb://user:" + secret + "@127.0.0.1:99999999/db",
		"mongodb://user:" + secret + "@host:port/db",
		"mongodb://user:" + secret + "/db",
		"mongodb://user:" + secret,
		"mongodb://user:" + secret + "%zz@127.0.0.1/db",
		"mongodb://user:%zz" + secret + "@127.0.0.1/db",
		"mongodb://user:" + secret + "@127.0.0.1:1/d b",
		"mongodb://user:a:" + secret + "@127.0.0.1/db",
		"mongodb://user:a/" + secret + "@127.0.0.1/db",
		"mongodb://user:a@" + secret + "@127.0.0.1/db",
		"mongodb://user:" + secret + "@127.0.0.1/db?maxPoolSize=" + secret,
		"mongodb://user:" + secret + "@127.0.0.1/db?authMechanism=" + secret,
		"mongodb://user:" + secret + "@127.0.0.1/db?authMechanismProperties=" + secret,
		"mongodb://127.0.0.1/db?readPreference=" + secret,
		"mongodb://127.0.0.1/db?tls=true&tlsCertificateKeyFile=/absent&tlsCertificateKeyFilePassword=" + secret,
		"mongodb://127.0.0.1:1/" + secret + ".x",
		"mongodb+srv://user:" + secret + "@host.invalid/db",
		"mongodb+srv://user:" + secret + "@/db",
		"mongodb+srv://user:" + secret + "/x@host.invalid/db",
		"mongodb+srv://user:" + secret + "?x@host.invalid/db",
		"mongodb://user:" + secret + "?x@127.0.0.1/db",
		"mongodb://user:" + secret + "#x@127.0.0.1/db",
		"mongodb://user:" + secret + ",x@127.0.0.1/db",
		"postgres://user:" + secret + "@127.0.0.1/db",
		secret,
		"",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := mongodb.Open(ctx, text, nil)
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

func TestAWrongPasswordIsToldAtOnce(t *testing.T) {
	_, host, _ := strings.Cut(serverURL(t), "://")
	if strings.Contains(host, "@") {
		t.Skip("the server's address has a user of its own")
	}
	_, err := mongodb.Open(t.Context(), "mongodb://nobody:s3cr3t@"+host, nil)
	if err == nil || !strings.Contains(strings.ToLower(err.Error()), "auth") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("the error is %v", err)
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
		_, err := mongodb.Open(ctx, "mongodb://"+silent.Addr().String()+"/db", nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	if _, err := mongodb.Open(ctx, serverURL(t), nil); err == nil {
		t.Error("a context that is done is no error")
	}
}

func TestTheCallersClientStaysConnected(t *testing.T) {
	client := newClient(t, serverURL(t))
	s, err := mongodb.New(t.Context(), client.Database(newDatabase(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context(), nil); err != nil {
		t.Errorf("the client was disconnected: %v", err)
	}
}

func TestTheDatabaseIsTheOptionsOrTheUrls(t *testing.T) {
	name := newDatabase(t)
	base, _, _ := strings.Cut(serverURL(t), "/endpointcache_test")
	if base == serverURL(t) {
		t.Skip("the server's address has another database")
	}
	first := openTracks(t, open(t, base+"/"+name, nil))
	second := openTracks(t, open(t, base+"/other?appName=tests", &mongodb.Options{Database: name}))
	if err := first.Put(t.Context(), []driver.Entry{track(1)}); err != nil {
		t.Fatal(err)
	}
	if n, err := second.Count(t.Context(), driver.Filter{}); err != nil || n != 1 {
		t.Errorf("the same database has %d entries, %v", n, err)
	}
}

// Nobody would know what was saved.
func TestWritesThatNobodyAcknowledgesAreRefused(t *testing.T) {
	client := newClient(t, serverURL(t), func(o *options.ClientOptions) { o.SetWriteConcern(writeconcern.Unacknowledged()) })
	s, err := mongodb.New(t.Context(), client.Database(newDatabase(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	table, err := s.OpenTable(t.Context(), tracks)
	if err == nil {
		err = table.Put(t.Context(), []driver.Entry{track(1)})
	}
	if err == nil || !strings.Contains(err.Error(), "w=0") {
		t.Errorf("put: %v", err)
	}
}

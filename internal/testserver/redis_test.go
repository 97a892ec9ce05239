package testserver

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// redisDo sends a command to one server.
func redisDo(t *testing.T, url string, args ...string) (string, error) {
	t.Helper()
	option, err := rueidis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	option.DisableCache, option.ForceSingleClient = true, true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	answer, err := client.Do(t.Context(), client.B().Arbitrary(args...).Build()).ToAny()
	text, _ := answer.(string)
	return text, err
}

func wantRedisAnswer(t *testing.T, want, url string, args ...string) {
	t.Helper()
	if got, err := redisDo(t, url, args...); err != nil || got != want {
		t.Errorf("%v: %q, %v, want %q", args, got, err, want)
	}
}

func startForTest[S server](t *testing.T, o *Options, start func(context.Context, *Options) (S, error)) S {
	t.Helper()
	s, err := start(t.Context(), o)
	if errors.Is(err, errNotInstalled) {
		testenv.Skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	return s
}

func TestRedis(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	r := startForTest(t, &Options{Dir: dir}, StartRedis)
	t.Logf("started in %v", time.Since(begin))
	url := r.URL()
	for name, again := range map[string]func(context.Context) error{
		"restart":     r.Restart,
		"after crash": func(ctx context.Context) error { return errors.Join(r.Kill(), r.Restart(ctx)) },
	} {
		wantRedisAnswer(t, "OK", url, "SET", "kept", name)
		if err := again(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.URL() != url {
			t.Errorf("%s: the URL is another", name)
		}
		wantRedisAnswer(t, name, url, "GET", "kept")
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", address(r.port))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); !errors.Is(err, errPortTaken) {
		t.Errorf("a restart on a port that is taken: %v", err)
	}
	thief.Close()
	if err := errors.Join(r.Stop(), r.Stop()); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
}

func TestRedisCluster(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	c := startForTest(t, &Options{Dir: dir}, StartRedisCluster)
	t.Logf("started in %v", time.Since(begin))
	for _, key := range []string{"a", "b", "c", "d", "e", "f"} {
		owners := 0
		for _, node := range c.Nodes {
			if _, err := redisDo(t, node.URL(), "SET", key, "1"); err == nil {
				owners++
			}
		}
		if owners != 1 {
			t.Errorf("%q can be saved on %d nodes, want 1", key, owners)
		}
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
}

func TestRedisSentinel(t *testing.T) {
	dir := openDir(t)
	begin := time.Now()
	s := startForTest(t, &Options{Dir: dir}, StartRedisSentinel)
	t.Logf("started in %v", time.Since(begin))
	wantRedisAnswer(t, "OK", s.Master.URL(), "SET", "a", "1")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
}

func TestRedisGivesUp(t *testing.T) {
	dir := openDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, start := range map[string]func() error{
		"server":   func() error { _, err := StartRedis(ctx, &Options{Dir: dir}); return err },
		"cluster":  func() error { _, err := StartRedisCluster(ctx, &Options{Dir: dir}); return err },
		"sentinel": func() error { _, err := StartRedisSentinel(ctx, &Options{Dir: dir}); return err },
	} {
		if start() == nil {
			t.Errorf("a %s started without time", name)
		}
	}
	expectEmpty(t, dir)
}

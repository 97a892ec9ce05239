package testserver

import (
	"context"
	"testing"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// OwnRedis starts a server for one test, as [OwnPostgres] does.
func OwnRedis(tb testing.TB, o *Options) *Redis {
	tb.Helper()
	return own(tb, o, StartRedis)
}

// OwnRedisCluster starts a cluster of three masters for one test.
func OwnRedisCluster(tb testing.TB, o *Options) *RedisCluster {
	tb.Helper()
	return own(tb, o, StartRedisCluster)
}

// OwnRedisClusterWithReplicas starts a cluster of three masters and their replicas for
// one test.
func OwnRedisClusterWithReplicas(tb testing.TB, o *Options) *RedisCluster {
	tb.Helper()
	return own(tb, o, StartRedisClusterWithReplicas)
}

// OwnRedisSentinel starts a server, its replica and a Sentinel for one test.
func OwnRedisSentinel(tb testing.TB, o *Options) *RedisSentinel {
	tb.Helper()
	return own(tb, o, StartRedisSentinel)
}

// own starts a server that is stopped after the test, which is skipped where there can
// be none; see [Skip].
func own[S server](tb testing.TB, o *Options, start func(context.Context, *Options) (S, error)) S {
	tb.Helper()
	s, err := start(tb.Context(), o)
	if err != nil {
		testenv.Skip(tb, "no Redis: "+err.Error())
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// RedisSentinel is a server and its replica, and a Sentinel that lets the replica take
// the server's place when that has been away for a second. Its methods are for one
// goroutine.
type RedisSentinel struct {
	Master, Replica *Redis

	folder   *folder
	port     int
	password string
	process  *process
}

const sentinelMaster = "mymaster"

// StartRedisSentinel starts them. The caller has to stop them; the context is about the
// start alone.
func StartRedisSentinel(ctx context.Context, o *Options) (_ *RedisSentinel, err error) {
	s := &RedisSentinel{password: rand.Text()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.Master, err = startRedis(ctx, o, s.password); err != nil {
		return nil, err
	}
	if s.Replica, err = startRedis(ctx, o, s.password, "--replicaof", "127.0.0.1 "+strconv.Itoa(s.Master.port)); err != nil {
		return nil, err
	}
	if s.folder, err = newFolder(o.dir(), "sentinel"); err != nil {
		return nil, err
	}
	err = onFreePort(ctx, func(port int) error {
		s.port = port
		return s.start(ctx)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *RedisSentinel) start(ctx context.Context) error {
	config, err := s.folder.write("sentinel.conf", fmt.Sprintf(`bind 127.0.0.1
port %[1]d
dir %[2]q
requirepass %[3]s
sentinel monitor %[4]s 127.0.0.1 %[5]d 1
sentinel auth-pass %[4]s %[3]s
sentinel down-after-milliseconds %[4]s 1000
sentinel failover-timeout %[4]s 5000
`, s.port, s.folder.path, s.password, sentinelMaster, s.Master.port))
	if err != nil {
		return err
	}
	started, err := startProcess(s.folder, s.Master.program, config, "--sentinel")
	if err != nil {
		return err
	}
	// It can promote the replica once it has found it.
	err = started.await(ctx, func() (bool, error) {
		out, err := started.output()
		return strings.Contains(out, "+slave slave 127.0.0.1:"+strconv.Itoa(s.Replica.port)), err
	})
	if err != nil {
		if strings.Contains(started.lastLines(), "already in use") {
			err = fmt.Errorf("%w: %w", errPortTaken, err)
		}
		return err
	}
	s.process = started
	return nil
}

// URL returns where a client finds the Sentinel, and what it watches.
func (s *RedisSentinel) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", s.password), Host: address(s.port), RawQuery: "master_set=" + sentinelMaster}
	return u.String()
}

// Stop ends all of them and removes their folders.
func (s *RedisSentinel) Stop() error {
	var errs []error
	if s.process != nil {
		errs = append(errs, s.process.stop())
	}
	if s.folder != nil {
		errs = append(errs, s.folder.remove())
	}
	for _, server := range []*Redis{s.Replica, s.Master} {
		if server != nil {
			errs = append(errs, server.Stop())
		}
	}
	return errors.Join(errs...)
}

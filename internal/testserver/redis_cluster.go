package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RedisCluster is a cluster of three masters, each of which has a third of the slots.
// Its methods, and those of its nodes, are for one goroutine.
type RedisCluster struct {
	// Nodes are the masters, and after them as many replicas, in the same order, where
	// there are some.
	Nodes []*Redis
}

const (
	redisMasters = 3
	redisSlots   = 16_384
)

// StartRedisCluster starts a cluster, which the caller has to stop. The context is
// about the start alone.
func StartRedisCluster(ctx context.Context, o *Options) (*RedisCluster, error) {
	return startRedisCluster(ctx, o, redisMasters)
}

// StartRedisClusterWithReplicas starts a cluster each of whose masters has a replica,
// which takes its place when it has been away for a second.
func StartRedisClusterWithReplicas(ctx context.Context, o *Options) (*RedisCluster, error) {
	return startRedisCluster(ctx, o, 2*redisMasters)
}

func startRedisCluster(ctx context.Context, o *Options, nodes int) (_ *RedisCluster, err error) {
	c := &RedisCluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	password := rand.Text()
	for range nodes {
		// A part of the cluster is to work while another is away.
		node, err := startRedis(ctx, o, password, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, node)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the cluster did not become ready"))
	defer cancel()
	if err := c.join(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// join makes a cluster of the nodes.
func (c *RedisCluster) join(ctx context.Context) error {
	do := func(i int, args ...string) (string, error) {
		return c.Nodes[i].do(ctx, append([]string{"CLUSTER"}, args...)...)
	}
	var ids []string
	for i := range c.Nodes {
		id, err := do(i, "MYID")
		if err == nil {
			_, err = do(i, "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		}
		if err == nil && i < redisMasters {
			_, err = do(i, slices.Concat([]string{"ADDSLOTS"}, slotsOf(i))...)
		}
		if err == nil && i > 0 {
			_, err = do(i, "MEET", "127.0.0.1", strconv.Itoa(c.Nodes[0].port))
		}
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	// until waits for an answer that has all of the texts.
	until := func(i int, command string, texts ...string) error {
		for {
			answer, err := do(i, command)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(answer, text) }) {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%w: CLUSTER %s: %s", context.Cause(ctx), command, answer)
			case <-time.After(pollTime):
			}
		}
	}
	for i := range c.Nodes {
		if err := until(i, "NODES", ids...); err != nil {
			return err
		}
	}
	for i := redisMasters; i < len(c.Nodes); i++ {
		if _, err := do(i, "REPLICATE", ids[i-redisMasters]); err != nil {
			return err
		}
	}
	for i := range c.Nodes {
		texts := []string{"cluster_state:ok", "cluster_slots_ok:" + strconv.Itoa(redisSlots)}
		if err := until(i, "INFO", texts...); err != nil {
			return err
		}
	}
	return c.awaitReplicas(ctx)
}

// awaitReplicas waits until replicas have what their masters have.
func (c *RedisCluster) awaitReplicas(ctx context.Context) error {
	for _, replica := range c.Nodes[redisMasters:] {
		for {
			answer, err := replica.do(ctx, "INFO", "replication")
			if err != nil {
				return err
			}
			if strings.Contains(answer, "master_link_status:up") {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(pollTime):
			}
		}
	}
	return nil
}

// slotsOf are the numbers of a master's slots.
func slotsOf(master int) (slots []string) {
	for slot := master * redisSlots / redisMasters; slot < (master+1)*redisSlots/redisMasters; slot++ {
		slots = append(slots, strconv.Itoa(slot))
	}
	return slots
}

// URL returns where a client finds the cluster: all its nodes, and their password.
func (c *RedisCluster) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", c.Nodes[0].password), Host: address(c.Nodes[0].port)}
	query := url.Values{}
	for _, node := range c.Nodes[1:] {
		query.Add("addr", address(node.port))
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Stop ends the nodes and removes their folders. It does not wait for clients.
func (c *RedisCluster) Stop() error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Stop())
	}
	c.Nodes = nil
	return errors.Join(errs...)
}

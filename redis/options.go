package redis

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/rueidis"
)

// Options are the settings of a store. A nil *Options means the defaults.
type Options struct {
	// Prefix begins all keys; a colon follows it. It has no braces and no control
	// characters. The default is "endpointcache".
	Prefix string

	// ReadOnly opens what is there to be read, and changes nothing. Writes return
	// [driver.ErrReadOnly]. Where no key has the prefix, the error is [driver.ErrAbsent]: to find
	// that out, all keys of the server are looked at.
	ReadOnly bool

	// KeepExpired is how long an entry stays after it has expired, so that it can
	// be served stale or be revalidated: a millisecond at least. The default is 24
	// hours. Stores that share a table should have the same. An entry that has more
	// than eight years to stay is given no time to live, and stays until it is cleared.
	KeepExpired time.Duration

	// Buckets is into how many parts a table is split when it is created, up to
	// 1,024; a table that is there keeps its number. Each is in one slot of a
	// Cluster. The default is 1, and 64 on a Cluster.
	Buckets int
}

const (
	defaultPrefix  = "endpointcache"
	defaultKeep    = 24 * time.Hour
	clusterBuckets = 64
	maxBuckets     = 1024
)

func (o *Options) validate() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Prefix == "" {
		opts.Prefix = defaultPrefix
	}
	if opts.KeepExpired == 0 {
		opts.KeepExpired = defaultKeep
	}
	switch {
	case !utf8.ValidString(opts.Prefix) || strings.ContainsFunc(opts.Prefix, func(r rune) bool { return r < ' ' || r == 0x7f || r == '{' || r == '}' }):
		return opts, fmt.Errorf("Prefix %q has a brace or a control character, or is no text", opts.Prefix)
	case opts.KeepExpired < time.Millisecond:
		return opts, fmt.Errorf("KeepExpired is %v: it is 1ms at least, or 0 for %v", opts.KeepExpired, defaultKeep)
	case opts.Buckets < 0 || opts.Buckets > maxBuckets:
		return opts, fmt.Errorf("Buckets is %d: it is from 1 to %d, or 0 for the default", opts.Buckets, maxBuckets)
	}
	return opts, nil
}

// parameters are those of a url that rueidis knows. It ignores others.
var parameters = []string{
	"addr", "client_cache", "client_name", "db", "dial_timeout", "master_set", "max_retries", "protocol", "skip_verify", "write_timeout",
}

// parseURL makes the settings of a client. Its errors tell nothing of the url itself:
// where it is malformed, nobody knows which part of it is the password.
func parseURL(text string) (option rueidis.ClientOption, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return option, errors.New("the url cannot be used: it is malformed")
	}
	if !slices.Contains([]string{"redis", "rediss", "valkey", "valkeys", "unix"}, u.Scheme) {
		return option, errors.New("the url cannot be used: it begins with none of redis:, rediss:, valkey:, valkeys: and unix:")
	}
	if u.Scheme != "unix" && u.Host == "" {
		return option, errors.New("the url cannot be used: it has no host")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return option, errors.New("the url cannot be used: its parameters are malformed")
	}
	for name := range query {
		if !slices.Contains(parameters, name) {
			return option, fmt.Errorf("the url cannot be used: it has a parameter that is none of %s", strings.Join(parameters, ", "))
		}
	}
	u.Path = strings.TrimSuffix(u.Path, "/") // which rueidis would take for a number
	option, err = rueidis.ParseURL(u.String())
	if err != nil {
		reason, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "redis: "), ":")
		return option, fmt.Errorf("the url cannot be used: %s", reason)
	}
	option.DisableCache = true // what the server would have to remember for it
	option.RetryDelay = retryDelay
	option.Sentinel.Username, option.Sentinel.Password = option.Username, option.Password
	option.Sentinel.TLSConfig, option.Sentinel.Dialer = option.TLSConfig, option.Dialer
	option.Sentinel.TopologyRefreshInterval = sentinelInterval
	return option, nil
}

const (
	sentinelInterval = 5 * time.Second
	maxAttempts      = 9
)

// retryDelay is how long to wait before a read or a save is sent again whose connection
// was lost, or which the server cannot do yet. In all that is about a second.
func retryDelay(attempts int, _ rueidis.Completed, _ error) time.Duration {
	if attempts > maxAttempts {
		return -1
	}
	return time.Millisecond << attempts
}

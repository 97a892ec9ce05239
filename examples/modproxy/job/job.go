// Package job prefetches what Go modules require, for the program in the folder above.
package job

import (
	"context"
	"errors"
	"io"
	"net/url"
	"slices"

	"golang.org/x/mod/zip"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/examples/internal/program"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/origin"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/request"
	"github.com/endpointcache/endpointcache/settings"
)

// Command is the program, with a store that its flag may replace.
func Command(store program.Store) *program.Command {
	o := &options{store: store}
	return &program.Command{
		Name: name, Usage: usage, Flags: o.flags(), Check: o.check,
		Do: func(ctx context.Context, stdout, stderr io.Writer) (int, error) {
			return prefetchAll(ctx, o, stdout, stderr)
		},
	}
}

// prefetchAll is the job. It returns how many keys are absent or failed.
func prefetchAll(ctx context.Context, o *options, stdout, stderr io.Writer) (missing int, err error) {
	if o.goMod == "" {
		if o.goMod, err = findGoMod(); err != nil {
			return 0, err
		}
	}
	versions, err := requiredVersions(o.goMod)
	if err != nil {
		return 0, err
	}
	j := &job{options: o, stderr: stderr, proxy: o.proxy}
	if o.proxy == nil {
		if j.local, err = startLocalProxy(ctx); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, j.local.Close()) }()
		j.proxy = j.local.url
	}
	store, err := o.store.Open(ctx, name)
	if err != nil {
		return 0, err
	}
	if j.cache, err = cache.New(store, &cache.Options{Name: name}); err != nil {
		return 0, errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, j.cache.Close()) }()
	j.client, err = fetch.NewClient(&fetch.Options{
		BaseURL: j.proxy.String(),
		Origin:  &origin.Options{Limits: origin.Limits{Rate: o.rate}},
		MaxBody: zip.MaxZipFile,
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.client.Close()) }()
	j.introduce(len(versions))

	modules := moduleKeys(versions)
	err = errors.Join(
		fill(ctx, j, List, modules),
		fill(ctx, j, Info, versions),
		fill(ctx, j, Mod, versions),
	)
	if o.zip {
		err = errors.Join(err, fill(ctx, j, Zip, versions))
	}
	return j.report(stdout), err
}

// job is what the repositories have in common, and what became of each.
type job struct {
	*options
	stderr  io.Writer
	proxy   *url.URL
	local   *localProxy // nil where proxy is a real one
	cache   *cache.ResponseCache
	client  *fetch.Client
	rows    []row
	leftOut int // keys that the local proxy cannot answer
}

// fill makes the repository that s describes, fetches those of the keys that it
// does not have, and notes what became of them.
func fill[K comparable, V any](ctx context.Context, j *job, s settings.RepositorySettings[K, V], keys []K) error {
	always := context.WithoutCancel(ctx) // an interrupted job has its table, too
	fetcher, err := fetch.Create(always, j.cache, j.client, s, nil)
	if err != nil {
		return err
	}
	keys = answerable(ctx, j, fetcher.Settings().Endpoint, keys)
	row := row{name: s.Name, keys: len(keys)}
	err = fetchMissing(ctx, j, fetcher, keys, &row)
	var errAll, errLive error
	repo := fetcher.Repository()
	row.rows, errAll = repo.Count(always, repository.All)
	row.live, errLive = repo.Count(always, repository.Live)
	j.rows = append(j.rows, row)
	return errors.Join(err, errAll, errLive)
}

// answerable leaves out the keys that the local proxy has no file for.
func answerable[K comparable](ctx context.Context, j *job, endpoint request.Endpoint[K], keys []K) []K {
	if j.local == nil {
		return keys
	}
	kept := slices.DeleteFunc(slices.Clone(keys), func(key K) bool {
		req, err := endpoint.Request(ctx, j.local.url, key)
		return err == nil && !j.local.has(req.URL.Path)
	})
	j.leftOut += len(keys) - len(kept)
	return kept
}

// fetchMissing fetches those of the keys that the fetcher's repository does not have.
func fetchMissing[K comparable, V any](ctx context.Context, j *job, fetcher *fetch.Fetcher[K, V], keys []K, row *row) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	name := fetcher.Settings().Name
	opts := &prefetch.Options{
		Concurrency: j.concurrency,
		Refresh:     j.refresh,
		Total:       len(keys),
		Progress:    newProgress(j.stderr, name),
	}
	if j.expire > 0 {
		opts.Fetch = append(opts.Fetch, fetch.With(policy.Policy{Expire: policy.After(j.expire)}))
	}
	result, err := prefetch.Run(ctx, fetcher, slices.Values(keys), opts)
	if result != nil { // also if the run ended early, but not if it did not begin
		row.cached, row.fetched, row.absent, row.failed = result.Cached, result.Fetched+result.Confirmed, result.Absent, result.Failed
		row.bytes, row.elapsed = result.Bytes, result.Elapsed
		showItems(j.stderr, name, result, j.verbose)
	}
	return err
}

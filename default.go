package endpointcache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/settings"
	"github.com/endpointcache/endpointcache/sqlite"
)

// DefaultBytes is the limit of a cache that [OpenDefault] opens, if its options have none.
const DefaultBytes = 512 << 20

// OpenDefault opens the cache of an application on the user's own disk: a SQLite file
// app/responses.db in the user's folder for caches, which is $XDG_CACHE_HOME or ~/.cache on
// Linux and BSD, ~/Library/Caches on macOS, and %LocalAppData% on Windows (see
// [os.UserCacheDir]). All processes of the user that give the same app share it.
//
// It is meant for SDKs and programs whose users should not have to think of it. Folder and
// file are the user's alone. What is stored stays within DefaultBytes, or the limit of opts.
// A file that is found damaged is set aside under a name with the time, and the cache begins
// anew; see [sqlite.DamagedSetAside].
//
// app is a name such as "music-sdk" or "com.example.music": letters, digits, and "-", "_" and
// "." within. Nil opts mean the defaults. The caller closes the cache. Where the user has no
// such folder, or no file can be made there, that is an error; a program may go on with
// package memory then. A file that is there and may not be written is opened to read, as
// [sqlite.Open] does: saves return driver.ErrReadOnly.
func OpenDefault(ctx context.Context, app string, opts *cache.Options) (*cache.ResponseCache, error) {
	path, err := defaultPath(app)
	if err != nil {
		return nil, fmt.Errorf("endpointcache: open default: %w", err)
	}
	var o cache.Options
	if opts != nil {
		o = *opts
	}
	if o.Limit.IsZero() {
		o.Limit = settings.Limit{Bytes: DefaultBytes, Evict: o.Limit.Evict}
	}
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	store, err := sqlite.Open(ctx, path, &sqlite.Options{Damaged: sqlite.DamagedSetAside, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("endpointcache: open default: %w", err)
	}
	c, err := cache.New(store, &o)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return c, nil
}

func defaultPath(app string) (string, error) {
	if err := checkApp(app); err != nil {
		return "", err
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(folder, app, "responses.db"), nil
}

// devices are names that Windows takes for devices, whatever follows a dot.
const devices = " con prn aux nul com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9 "

// checkApp reports a name that is no folder's on every system.
func checkApp(app string) error {
	allowed := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r)
	}
	first, _, _ := strings.Cut(strings.ToLower(app), ".")
	switch {
	case app == "":
		return errors.New("the app's name is empty")
	case len(app) > 100:
		return errors.New("the app's name is longer than 100 bytes")
	case strings.ContainsFunc(app, func(r rune) bool { return !allowed(r) }):
		return fmt.Errorf("the app's name is %q: it has letters, digits, and - _ . between them", app)
	case strings.ContainsAny(app[:1]+app[len(app)-1:], "-_."):
		return fmt.Errorf("the app's name is %q: it begins and ends with a letter or digit", app)
	case strings.Contains(devices, " "+first+" "):
		return fmt.Errorf("the app's name is %q, which is that of a device on Windows", app)
	}
	return nil
}

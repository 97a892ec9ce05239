// Package preambles declares what blocks of all pages take from outside. Its imports, and
// those of a page's own file, are packages that blocks name without importing them.
package preambles

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-resty/resty/v2"
	"github.com/redis/rueidis"
	"golang.org/x/oauth2"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/fetch"
	"github.com/endpointcache/endpointcache/repository"
	"github.com/endpointcache/endpointcache/settings"
)

type TrackKey struct {
	ID     string `path:"id"`
	Market string `query:"market"`
}

type Track struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

var Tracks settings.RepositorySettings[TrackKey, Track]

var (
	ctx    context.Context
	err    error
	store  driver.Store
	c      *cache.ResponseCache
	client *fetch.Client
	tracks *fetch.Fetcher[TrackKey, Track]
	repo   *repository.ResponseRepository[TrackKey, Track]
	key    TrackKey
	keys   []TrackKey
	req    *http.Request
	reqs   []*http.Request
	resp   *http.Response
	base   http.RoundTripper
)

func check(err error) {}

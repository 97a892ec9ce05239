package gen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/endpointcache/endpointcache/settings"
)

// Config says what a document does not. The zero value is a package "apicache" whose
// payloads are plain JSON. [ReadConfig] reads it from a file; the names there are those of
// the tags.
type Config struct {
	// Package is the generated package's name. The default is "apicache".
	Package string `yaml:"package"`

	// Prefix begins the names of all repositories, and so of the tables in the store.
	Prefix string `yaml:"prefix"`

	// Server is the API's URL where the document's first server is not the one: of its
	// path, patterns begin with the path. "/" is none.
	Server string `yaml:"server"`

	// Client is the package of a generated client, whose types are those of payloads.
	Client Client `yaml:"client"`

	// Types are the types of payloads by the names of schemas: "github.com/me/lib.Author",
	// with "*" or "[]" before it or not. They take precedence over the client's.
	Types map[string]string `yaml:"types"`

	// Names are members of the responses, of which the first that is a string is the
	// readable name of a stored response.
	Names []string `yaml:"names"`

	// Scope is that of all operations: "shared", "per identity" or "undeclared". The
	// default is that of the security requirements: per identity where there are any.
	Scope string `yaml:"scope"`

	// Expire is how long responses live, by the kind of the operation.
	Expire Expire `yaml:"expire"`

	// Headers are headers that make a difference to all answers and that the document does not
	// name, such as one of the tenant: they are part of all keys.
	Headers []string `yaml:"headers"`

	// IgnoreQuery are parameters that make no difference to any answer. A name that ends in
	// "*" stands for all that begin so.
	IgnoreQuery []string `yaml:"ignore_query"`

	// IgnoreHeaders are headers that make no difference to any answer, besides those that
	// never do, such as X-Request-Id.
	IgnoreHeaders []string `yaml:"ignore_headers"`

	// BatchSize is how many keys a request is for, at most, where the document does not
	// tell. The default is 20.
	BatchSize int `yaml:"batch_size"`

	// Policy is the policy of all operations.
	Policy Policy `yaml:"policy"`

	// Rules are for several operations: a later one takes precedence, and Operations over
	// all.
	Rules []Rule `yaml:"rules"`

	// Operations are for one operation each, by its operationId, or "GET /path" with the
	// path as it is in the document.
	Operations map[string]Operation `yaml:"operations"`
}

// Client is a package that was generated from the same document.
type Client struct {
	// Import is its import path.
	Import string `yaml:"import"`

	// Package is its name, if that is not the last element of the path.
	Package string `yaml:"package"`

	// Types are its types by the names of schemas, where they are not the names themselves
	// in camel case. "-" is none.
	Types map[string]string `yaml:"types"`
}

// Expire are expiries. Those that are zero have the defaults.
type Expire struct {
	// Item is for what a path with an id at its end leads to: an hour.
	Item Duration `yaml:"item"`

	// List is for listings: ten minutes.
	List Duration `yaml:"list"`

	// Other is for the rest: an hour.
	Other Duration `yaml:"other"`

	// Absent is how long it is remembered that there is nothing, where the document names
	// 404 or 410: a minute. Negative, or "never" in a file, is not at all.
	Absent Duration `yaml:"absent"`
}

// Rule is for the operations that it matches.
type Rule struct {
	// Match is an operationId, "GET /path" or "tag:NAME", in which "*" stands for any text.
	Match string `yaml:"match"`

	Operation `yaml:",inline"`
}

// Operation is what is said of an operation. What is zero is said elsewhere.
type Operation struct {
	// Skip leaves it out, and Cache has a POST cached, which only reads.
	Skip  bool `yaml:"skip"`
	Cache bool `yaml:"cache"`

	// Name is its name in Go, and Repository that of its repository.
	Name       string `yaml:"name"`
	Repository string `yaml:"repository"`

	// Payload is the type of its values, as in [Config] Types, or "raw" for JSON as it is.
	Payload string `yaml:"payload"`

	// NameOf is the member that is the readable name, "-" for none.
	NameOf string `yaml:"name_of"`

	// Scope is as in [Config].
	Scope string `yaml:"scope"`

	Expire       Duration `yaml:"expire"`
	ExpireAbsent Duration `yaml:"expire_absent"`

	// Ignore are parameters of the query that make no difference, and Omit those that are
	// not part of the key: requests that have one are not cached. A "*" at the end is as in
	// [Config] IgnoreQuery.
	Ignore []string `yaml:"ignore"`
	Omit   []string `yaml:"omit"`

	// Span is the parameter of the path whose value may have slashes.
	Span string `yaml:"span"`

	// Pages says how its pages lead to the next, where the document does not.
	Pages Pages `yaml:"pages"`

	// NoBatch leaves out the batch.
	NoBatch bool `yaml:"no_batch"`

	Policy Policy `yaml:"policy"`
}

// Pages is how the pages of a listing lead to the next.
type Pages struct {
	// Style is "link", "url", "cursor", "offset", "number", or "none".
	Style string `yaml:"style"`

	// Parameter is the one of the next page, for cursor, offset and number.
	Parameter string `yaml:"parameter"`

	// Next is the member with the cursor or the URL, Items that with the items, Total the one
	// with their number, Last with the number of the last page, as paths such as
	// "meta.total". Items is "." where the response is the array.
	Next  string `yaml:"next"`
	Items string `yaml:"items"`
	Total string `yaml:"total"`
	Last  string `yaml:"last"`

	// First is the number of the first page: 0 or 1. The default is what the document says.
	First *int `yaml:"first"`
}

// Policy is what of a [policy.Policy] can be said in a file. Its times have an end: "never" is
// none of them.
//
// [policy.Policy]: https://pkg.go.dev/github.com/endpointcache/endpointcache/policy#Policy
type Policy struct {
	CacheControl         bool     `yaml:"cache_control"`
	StaleIfError         Duration `yaml:"stale_if_error"`
	StaleWhileRevalidate Duration `yaml:"stale_while_revalidate"`
	SoftTimeout          Duration `yaml:"soft_timeout"`
	HardTimeout          Duration `yaml:"hard_timeout"`
	RefreshAhead         float64  `yaml:"refresh_ahead"`
}

// Duration is a time as files have it: "90s", "10m", "36h", "7d" or "never".
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := parseDuration(string(text))
	if err == nil {
		*d = Duration(parsed)
	}
	return err
}

func parseDuration(text string) (time.Duration, error) {
	if text == "never" {
		return settings.NeverExpire, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 100_000 {
			return 0, fmt.Errorf("%q is not a number of days", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf(`%q is not a time, such as "90s", "10m", "36h", "7d" or "never"`, text)
	}
	return d, nil
}

// ReadConfig reads a configuration, which is YAML or JSON. The error is a [ConfigError];
// fields that are not known are errors, too. An empty file is the zero [Config].
func ReadConfig(r io.Reader) (Config, error) {
	var c Config
	if r == nil {
		return c, nil
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return c, &ConfigError{Err: err}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	err = decoder.Decode(&c)
	switch {
	case errors.Is(err, io.EOF):
		return Config{}, nil
	case err != nil:
		return Config{}, configError(err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Config{}, &ConfigError{Err: errors.New("it has more than one document")}
	}
	err = c.validate()
	if wrong := (*ConfigError)(nil); errors.As(err, &wrong) {
		wrong.Line, _ = parseTree(data).position(wrong.pointer)
	}
	return c, err
}

func configError(err error) error {
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &several) && len(several.Errors) > 0:
		one = several.Errors[0]
	case !errors.As(err, &one):
		return &ConfigError{Err: err}
	}
	message := unknownField.ReplaceAllString(one.Message, "there is no field $1")
	return &ConfigError{Line: one.Mark.Line, Err: errors.New(message)}
}

// unknownField is how the YAML library tells a field that is not known: with a type of Go.
var unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)

// over is what o says, and under where o says nothing.
func (o Operation) over(under Operation) Operation {
	o.Skip = o.Skip || under.Skip
	o.Cache = o.Cache || under.Cache
	o.NoBatch = o.NoBatch || under.NoBatch
	o.Ignore = slices.Concat(o.Ignore, under.Ignore) // new lists, as several operations have what a rule says
	o.Omit = slices.Concat(o.Omit, under.Omit)
	for _, text := range [][2]*string{
		{&o.Name, &under.Name}, {&o.Repository, &under.Repository}, {&o.Payload, &under.Payload},
		{&o.NameOf, &under.NameOf}, {&o.Scope, &under.Scope}, {&o.Span, &under.Span},
	} {
		if *text[0] == "" {
			*text[0] = *text[1]
		}
	}
	if o.Expire == 0 {
		o.Expire = under.Expire
	}
	if o.ExpireAbsent == 0 {
		o.ExpireAbsent = under.ExpireAbsent
	}
	if o.Pages == (Pages{}) {
		o.Pages = under.Pages
	}
	if o.Policy == (Policy{}) {
		o.Policy = under.Policy
	}
	return o
}

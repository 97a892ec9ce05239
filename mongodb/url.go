package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// clientOptions are the driver's, from the url.
func clientOptions(text string) (*options.ClientOptions, error) {
	config := options.Client().ApplyURI(text)
	if err := config.Validate(); err != nil {
		return nil, urlError(err)
	}
	if !config.WriteConcern.Acknowledged() {
		return nil, errUnacknowledged
	}
	if config.AppName == nil {
		config.SetAppName("endpointcache")
	}
	return config, nil
}

// urlError tells what is wrong with a url, and of the url itself only the name of a
// parameter: where it is malformed, nobody knows which part of it is the password.
func urlError(err error) error {
	reason := strings.TrimPrefix(err.Error(), "error parsing uri: ")
	if before, _, found := strings.Cut(reason, "unknown read preference"); found {
		reason = before + "unknown read preference"
	}
	reason = quoted.ReplaceAllStringFunc(reason, func(part string) string {
		if strings.HasPrefix(part, "for ") || part == `"mongodb"` || part == `"mongodb+srv"` {
			return part
		}
		return `"…"`
	})
	return fmt.Errorf("the url cannot be used: %s", reason)
}

var quoted = regexp.MustCompile(`(for )?"[^"]*"`)

// databaseIn returns the name of the database in a url that the driver takes: what
// stands between the hosts and the parameters.
func databaseIn(text string) (string, error) {
	_, rest, _ := strings.Cut(text, "://")
	rest, _, _ = strings.Cut(rest, "?")
	_, path, _ := strings.Cut(rest, "/")
	name, err := url.PathUnescape(path)
	switch {
	case err != nil:
		return "", errors.New("the url cannot be used: the name of the database is malformed")
	case name == "":
		return defaultDatabase, nil
	case !isDatabase(name):
		return "", errors.New("the url cannot be used: what it has behind the hosts is no name of a database")
	}
	return name, nil
}

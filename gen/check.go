package gen

import (
	"errors"
	"fmt"
	"net/textproto"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

var (
	packageName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	importPath  = regexp.MustCompile(`^[A-Za-z0-9._~/+-]+$`)
)

// check is what is wrong with a field, nil for nothing.
type check struct {
	field string
	err   error
}

func (c *Config) validate() error {
	for _, check := range []check{
		{"package", checkPackage(c.Package)},
		{"prefix", checkTable(c.Prefix)},
		{"server", checkServer(c.Server)},
		{"client/import", checkImport(c.Client.Import)},
		{"client/package", checkPackage(c.Client.Package)},
		{"scope", checkScope(c.Scope)},
		{"ignore_query", checkNames(c.IgnoreQuery)},
		{"batch_size", checkBatchSize(c.BatchSize)},
		{"policy", c.Policy.validate()},
	} {
		if check.err != nil {
			return invalid(check.err, strings.Split(check.field, "/")...)
		}
	}
	for i, name := range c.Headers {
		if !isToken(name) || slices.Contains(unsent, textproto.CanonicalMIMEHeaderKey(name)) {
			return &ConfigError{pointer: pointer("headers", strconv.Itoa(i)), Err: fmt.Errorf("headers: %q cannot be part of a key", name)}
		}
	}
	for _, schema := range sortedKeys(c.Types) {
		if _, err := parseType(c.Types[schema]); err != nil {
			return invalid(err, "types", schema)
		}
	}
	for _, schema := range sortedKeys(c.Client.Types) {
		if name := c.Client.Types[schema]; name != "-" && !isIdentifier(name) {
			return invalid(fmt.Errorf("%q is not a name in Go", name), "client", "types", schema)
		}
	}
	for i, rule := range c.Rules {
		err := rule.validate()
		switch {
		case rule.Match == "":
			return &ConfigError{pointer: pointer("rules", strconv.Itoa(i)), Err: errors.New("rules: a rule has no match")}
		case err != nil:
			return &ConfigError{pointer: pointer("rules", strconv.Itoa(i)), Err: fmt.Errorf("rules: %s: %w", rule.Match, err)}
		}
	}
	for _, name := range sortedKeys(c.Operations) {
		o := c.Operations[name]
		if err := o.validate(); err != nil {
			return invalid(err, "operations", name)
		}
	}
	return nil
}

// invalid is an error about a field, which the names of members lead to.
func invalid(err error, names ...string) error {
	return &ConfigError{pointer: pointer(names...), Err: fmt.Errorf("%s: %w", strings.Join(names, ": "), err)}
}

// pointer is the JSON pointer that names of members are.
func pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("/" + escapePointer(name))
	}
	return b.String()
}

func (o *Operation) validate() error {
	for _, check := range []check{
		{"scope", checkScope(o.Scope)}, {"repository", checkTable(o.Repository)}, {"ignore", checkNames(o.Ignore)}, {"omit", checkNames(o.Omit)},
		{"policy", o.Policy.validate()},
	} {
		if check.err != nil {
			return fmt.Errorf("%s: %w", check.field, check.err)
		}
	}
	if o.Name != "" && (!isIdentifier(o.Name) || !isExported(o.Name)) {
		return fmt.Errorf("name: %q is not an exported name in Go", o.Name)
	}
	if o.Payload != "" && o.Payload != "raw" {
		if _, err := parseType(o.Payload); err != nil {
			return fmt.Errorf("payload: %w", err)
		}
	}
	if o.Pages.First != nil && *o.Pages.First != 0 && *o.Pages.First != 1 {
		return fmt.Errorf("pages: first is %d: pages are numbered from 0 or 1", *o.Pages.First)
	}
	switch o.Pages.Style {
	case "", "none", styleLink, styleURL, styleCursor, styleOffset, styleNumber:
		return nil
	default:
		return fmt.Errorf("pages: style %q is not link, url, cursor, offset, number or none", o.Pages.Style)
	}
}

func (p *Policy) validate() error {
	if min(p.StaleIfError, p.StaleWhileRevalidate, p.SoftTimeout, p.HardTimeout) < 0 {
		return errors.New("a time of a policy has an end")
	}
	if !(p.RefreshAhead >= 0 && p.RefreshAhead < 1) { // NaN is not, either
		return fmt.Errorf("refresh_ahead is %v, which is not a share below 1", p.RefreshAhead)
	}
	return nil
}

func checkPackage(name string) error {
	switch {
	case name == "":
	case !packageName.MatchString(name), !isIdentifier(name), name == "main", name == "init": // a keyword, or what nobody can import
		return fmt.Errorf("%q is not a package's name", name)
	}
	return nil
}

func checkImport(name string) error {
	if name != "" && (!importPath.MatchString(name) || path.Clean(name) != name || name[0] == '/' || name[0] == '.') {
		return fmt.Errorf("%q is not an import path", name)
	}
	return nil
}

// checkTable reports a part of a table's name that no store takes.
func checkTable(name string) error {
	if strings.ContainsFunc(name, isControl) {
		return fmt.Errorf("%q has a character that the name of a table cannot have", name)
	}
	return nil
}

func checkServer(text string) error {
	if text == "" {
		return nil
	}
	_, err := serverURL(&openapi3.Server{URL: text}, nil)
	return err
}

func checkBatchSize(size int) error {
	if size < 0 || size == 1 {
		return fmt.Errorf("it is %d: a batch is for 2 keys or more", size)
	}
	return nil
}

// checkNames reports a "*" that is not at the end of a parameter's name.
func checkNames(names []string) error {
	for _, name := range names {
		if strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			return fmt.Errorf(`%q has a "*" that is not at its end`, name)
		}
	}
	return nil
}

func checkScope(scope string) error {
	switch scope {
	case "", scopeShared, scopePerIdentity, scopeUndeclared:
		return nil
	default:
		return fmt.Errorf("scope %q is not shared, per identity or undeclared", scope)
	}
}

package gen

import (
	"net/textproto"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/endpointcache/endpointcache/internal/secret"
)

// The scopes of a configuration.
const (
	scopeShared      = "shared"
	scopePerIdentity = "per identity"
	scopeUndeclared  = "undeclared"
)

// security is who may ask, and with what.
type security struct {
	scope   string
	why     string
	headers []string // with credentials, in canonical form
	query   []string // parameters with credentials
	cookies []string

	// Those of them which the library does not take for credentials by their names.
	unknownHeaders, unknownQuery []string
}

func (s security) hasCookie(name string) bool { return slices.Contains(s.cookies, name) }

// credentialParams are parameters that are credentials even if no security scheme says so.
var credentialParams = []string{"access_token", "api_key", "apikey", "api-key", "apiKey", "auth_token"}

// securityOf reads the security requirements of an operation.
func (p *plan) securityOf(o *operation) security {
	requirements := p.doc.Security
	if o.Security != nil {
		requirements = *o.Security
	}
	var s security
	var needs, optional bool
	for _, requirement := range requirements {
		if len(requirement) == 0 {
			optional = true
		}
		for _, name := range sortedKeys(requirement) {
			needs = true
			if p.doc.Components == nil {
				continue
			}
			if ref := p.doc.Components.SecuritySchemes[name]; ref != nil && ref.Value != nil {
				s.add(ref.Value)
				if ref.Value.Type == "mutualTLS" {
					o.note("requests are cached on behalf of an identity that their context names, as a certificate is the credential")
				}
			}
		}
	}
	switch {
	case needs && optional:
		s.scope, s.why = scopePerIdentity, "requests may carry credentials"
		o.note("requests without credentials are not cached, as its security is optional")
	case needs:
		s.scope, s.why = scopePerIdentity, "requests carry credentials"
	default:
		s.scope, s.why = scopeUndeclared, "the document has no security requirement for it"
		p.addUnrequired(&s)
	}
	s.addParameters(o)
	if given := o.config.Scope; given != "" {
		s.scope, s.why = given, "by the configuration"
	} else if p.config.Scope != "" {
		s.scope, s.why = p.config.Scope, "by the configuration"
	}
	if s.scope == scopeUndeclared && len(s.unknownHeaders)+len(s.unknownQuery) > 0 {
		// The library would not see that requests carry credentials.
		s.scope, s.why = scopePerIdentity, "its credentials have names that do not tell what they are"
	}
	return s
}

// saysSecurity tells whether the document says anywhere what needs credentials, or that
// nothing does.
func (p *plan) saysSecurity() bool {
	return p.doc.Security != nil ||
		slices.ContainsFunc(p.operations, func(o *operation) bool { return o.Security != nil })
}

// addUnrequired notes credentials of which the document says nowhere what needs them, as
// clients may send them with any request, and the library cannot tell them by their names.
func (p *plan) addUnrequired(s *security) {
	if p.securityTold || p.doc.Components == nil {
		return
	}
	schemes := p.doc.Components.SecuritySchemes
	for _, name := range sortedKeys(schemes) {
		ref := schemes[name]
		if ref == nil || ref.Value == nil || ref.Value.Type != "apiKey" {
			continue
		}
		if in := ref.Value.In; in == "header" && !secret.Header(ref.Value.Name) || in == "query" && !secret.Param(ref.Value.Name) {
			s.add(ref.Value)
		}
	}
}

// add notes where the credentials of a scheme are.
func (s *security) add(scheme *openapi3.SecurityScheme) {
	switch scheme.Type {
	case "apiKey":
	case "mutualTLS":
		return // no request has it
	default:
		s.addHeader("Authorization")
		return
	}
	switch scheme.In {
	case "header":
		s.addHeader(scheme.Name)
	case "query":
		s.addQuery(scheme.Name)
	case "cookie":
		s.cookies = append(s.cookies, scheme.Name)
	}
}

func (s *security) addHeader(name string) {
	name = textproto.CanonicalMIMEHeaderKey(name)
	if !isToken(name) || slices.Contains(s.headers, name) {
		return
	}
	s.headers = append(s.headers, name)
	if !secret.Header(name) {
		s.unknownHeaders = append(s.unknownHeaders, name)
	}
}

func (s *security) addQuery(name string) {
	if name == "" || strings.HasSuffix(name, "*") || slices.Contains(s.query, name) {
		return
	}
	s.query = append(s.query, name)
	if !secret.Param(name) {
		s.unknownQuery = append(s.unknownQuery, name)
	}
}

// addParameters notes credentials that the document describes as parameters.
func (s *security) addParameters(o *operation) {
	before := len(s.headers) + len(s.query)
	for _, param := range o.parameters {
		switch name := textproto.CanonicalMIMEHeaderKey(param.Name); {
		case param.In == "header" && secret.Header(name) && noDifference[name] == "":
			s.addHeader(name)
		case param.In == "query" && slices.Contains(credentialParams, param.Name):
			s.addQuery(param.Name)
		}
	}
	if len(s.headers)+len(s.query) > before && s.scope == scopeUndeclared {
		s.scope, s.why = scopePerIdentity, "a parameter is a credential"
	}
}

package transport

import "github.com/endpointcache/endpointcache/policy"

// The names of package policy, as they were when they were declared here.
type (
	Policy    = policy.Policy
	Use       = policy.Use
	Switch    = policy.Switch
	Expiry    = policy.Expiry
	URLExpiry = policy.URLExpiry
	Exchange  = policy.Exchange
)

// The constants of package policy.
const (
	UseCache     = policy.UseCache
	Revalidate   = policy.Revalidate
	Reload       = policy.Reload
	OnlyIfCached = policy.OnlyIfCached
	Offline      = policy.Offline
	Disabled     = policy.Disabled

	On  = policy.On
	Off = policy.Off
)

// The functions of package policy.
var (
	WithPolicy = policy.With
	After      = policy.After
	At         = policy.At
	Never      = policy.Never
	DoNotCache = policy.DoNotCache
)

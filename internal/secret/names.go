package secret

import (
	"bytes"
	"slices"
)

// tails are words at the end of a name that say nothing of what the value is.
var tails = setOf("v", "value", "val", "confirm", "confirmation", "confirmed", "again", "repeat", "verify",
	"new", "old", "current", "hash", "hashed", "hint", "base", "b64", "enc", "encoded", "encrypted", "raw",
	"header", "string", "str", "data", "input", "sha", "md")

// vague are words that are secrets by themselves, but not with such a tail.
var vague = setOf("key", "code", "sign", "mac", "pin", "session", "phone", "tel", "mail", "email", "login")

// lastWords are words that make a name that of a secret as its last word, except after
// those that are listed.
var lastWords = map[string][]string{
	"auth": nil, "authentication": nil, "authn": nil, "authz": nil, "basicauth": nil, "oauth": nil, "otc": nil,
	"cred": nil, "creds": nil, "mac": nil, "pin": nil, "psk": nil, "psw": nil, "pw": nil, "sig": nil, "tkn": nil,
	"tok":  nil,
	"sign": {"call", "dollar", "road", "star", "stop", "sun", "traffic", "zodiac"},
	"2fa":  nil, "mfa": nil, "tfa": nil,
	"pass":    {"all", "band", "boarding", "high", "low", "season", "single"},
	"session": nil, "usersession": nil, "phpsession": nil,
	"ticket":   nil,
	"userpass": nil, "dbpass": nil,

	// a person's
	"mail": nil, "mobile": nil, "phones": nil, "tel": nil, "msisdn": nil, "ssn": nil, "iban": nil, "cvv": nil, "cvc": nil,

	// Most keys are credentials, but for those of data, of listings and of caches.
	"key": {
		"aggregation", "arrow", "asset", "attr", "attribute", "blob", "board", "bundle", "cache", "category",
		"column", "component", "composite", "content", "continuation", "correlation", "cursor", "dashboard",
		"after", "before", "data", "dedup", "dedupe", "deduplication", "doc", "document", "end", "entity",
		"evaluated", "event", "facet",
		"feature", "field", "file", "filter", "first", "flag", "foreign", "group", "hash", "hot", "idempotency",
		"image", "index", "issue", "item", "label", "last", "layer", "limit", "locale", "lookup", "map", "marker",
		"max", "media", "menu", "message", "meta", "metadata", "min", "msg", "musical", "natural", "next",
		"object", "order", "page", "param", "parent", "partition", "prev", "previous", "primary", "product",
		"project", "property", "public", "range", "record", "routing", "row", "search", "setting", "shard",
		"sharding", "sheet", "skip", "sort", "space", "start", "surrogate", "table", "tag", "target", "team",
		"trace", "translation", "type", "unique", "version", "websocket",
	},
}

// ending is the end of a name that makes it a secret's, whether it is a word of its own or
// not, except after some.
type ending struct {
	text   string
	except []string
}

func (e *ending) exempts(before []byte) bool {
	return slices.ContainsFunc(e.except, func(word string) bool { return string(before) == word }) ||
		e.text == "token" && bytes.HasSuffix(before, []byte("page"))
}

// endings are by their last byte.
var endings = func() (by [256][]ending) {
	add := func(text string, except ...string) {
		last := text[len(text)-1]
		by[last] = append(by[last], ending{text, except})
	}
	// Where in a listing to go on, what was seen of a collection, what makes a request one;
	// of a language model.
	add("token", "after", "before", "bookmark", "iterator", "marker", "seek", "sort", "change", "checkpoint", "continuation", "continue", "cursor",
		"delta", "idempotency", "next", "nextsync", "offset", "page", "pagination", "paging", "position", "prev",
		"previous", "resume", "resumption", "scroll", "skip", "start", "starting", "sync",
		"bos", "eos", "mask", "max", "min", "pad", "stop")
	add("signature", "accept", "key", "time")
	for _, text := range []string{
		"secret", "secrets", "password", "passwords", "passwd", "pswd", "pwd", "passphrase", "passcode", "passkey",
		"passwordhash", "passwordconfirmation",
		"apikeys", "accesstokens", "authtokens", "devicetokens", "mnemonic", "seedphrase", "secretid",
		"captcha", "loginchallenge", "consentchallenge", "logoutchallenge",
		"credential", "credentials", "authorization", "bearer", "jwt", "assertion", "verifier",
		"apikey", "sessionid", "sessid", "sessionstate", "accesskeyid", "googleaccessid", "cookie",
		"csrf", "xsrf", "nonce", "hmac", "otp", "dpop", "codechallenge",
		"samlrequest", "samlresponse", "samlart", "relaystate",
		"authticket", "ssoticket", "captcharesponse", "turnstileresponse",
		// a person's
		"email", "emails", "phone", "phonenumbers", "socialsecurity", "creditcard", "cardno", "accountnumber",
		"emailaddress", "mailaddress", "loginhint", "phonenumber", "mobilenumber", "cardnumber",
		"passportnumber",
	} {
		add(text)
	}
	return by
}()

// keysOf are what "key" follows, in one word with it, where it is a credential; of other
// such words, a monkey is none.
var keysOf = []string{
	"access", "account", "admin", "api", "app", "application", "apps", "auth", "client", "consumer", "customer",
	"dev", "developer", "encryption", "login", "sess", "function", "functions", "host", "integration", "licence", "license",
	"master", "merchant", "partner", "pass", "private", "root", "secret", "security", "server", "service",
	"session", "shared", "signing", "subscription", "token", "user", "write",
}

// codesOf are what "code" follows where it is a credential, not a country's or an error's.
var codesOf = []string{
	"2fa", "access", "activation", "app", "approval", "auth", "authentication", "authorization", "backup", "claim",
	"confirm", "confirmation", "device", "email", "gift", "invitation", "invite", "login", "mfa", "onetime",
	"otp", "pairing", "pass", "phone", "pin", "recovery", "redeem", "redemption", "registration", "reset",
	"secret", "security", "sms", "unlock", "user", "verification", "verify", "voucher",
}

// wholeNames are parameters' names that are secrets' if nothing stands before them.
var wholeNames = setOf("ak", "akey", "appid", "authsid", "cfid", "code", "connectsid", "cookies", "hdnea", "hdntl", "hdnts",
	"pgt", "pgtid", "pgtiou", "sid", "sk", "skey", "sso", "wresult")

// documentNames are names of members that are hardly ever secrets' in documents.
var documentNames = setOf("key", "mac", "mobile", "pass", "phone", "phones", "pin", "session", "sign", "tel", "ticket")

// commonHeaders are headers that most messages have, and that are no secrets': they need not
// be looked at more closely.
var commonHeaders = setOf("Accept", "Accept-Encoding", "Accept-Language", "Accept-Ranges", "Age", "Alt-Svc",
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cache-Control", "Connection", "Content-Encoding",
	"Content-Language", "Content-Length", "Content-Location", "Content-Security-Policy", "Content-Type", "Date", "Etag",
	"Expires", "Last-Modified", "Link", "Location", "Pragma", "Range", "Referrer-Policy", "Server", "Server-Timing",
	"Strict-Transport-Security", "Transfer-Encoding", "User-Agent", "Vary", "Via", "X-Cache", "X-Content-Type-Options",
	"X-Frame-Options", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Request-Id", "X-Total-Count",
	"X-Xss-Protection")

// headerNames are headers, without "X-", that carry credentials, or what a proxy says of
// who is asking, without a tail.
var headerNames = setOf("amznoidc", "amznoidcidentity", "authenticateduser", "authenticateduserid",
	"authenticationinfo", "cfaccessclientid", "clientcert", "clientcertchain", "clientcertificate",
	"forwardedclientcert", "forwardedpreferredusername", "forwardeduser", "msclientprincipal",
	"msclientprincipalid", "msclientprincipalname", "proxyauthenticationinfo", "registryconfig", "remoteuser",
	"sectokenbinding", "sslclientcert", "sslcert", "webauthuser",
	"consumercustomid", "consumerid", "consumerusername", "impersonateuid", "impersonateuser", "onbehalfof", "sid",
	"userid", "userinfo", "wsse")

// aboutAPI are last words of headers that begin with "X-Api-" and tell of the API.
var aboutAPI = setOf("cache", "calls", "client", "count", "deprecated", "deprecation", "duration", "format", "id",
	"info", "lang", "language", "limit", "mode", "name", "quota", "region", "remaining", "reset", "server",
	"status", "sunset", "time", "type", "used", "version", "versions", "warn", "warning", "warnings")

// signatures are last words of the names of headers that secure the message they are in.
var signatures = setOf("hmac", "mac", "sig", "sign", "signature")

// further are words that make tokens and keys those of a listing, whatever else is said
// of them.
var further = setOf("next", "prev", "previous", "continuation", "pagination", "paging")

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

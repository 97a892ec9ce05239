package secret_test

import (
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/secret"
)

func TestParameters(t *testing.T) {
	check(t, secret.Param, `
		token access_token accessToken ACCESS-TOKEN accesstoken private_token job_token bearer_token deploy_token
		token_v2 tokenV2 token2 tok auth_tok refresh_token id_token id_token_hint user_token csrf_token csrftoken
		xsrf-token oauth_token subject_token client_token page_access_token exchange_token __cld_token__ cftoken
		user_key userKey userkey USERKEY application_key api_key apikey apiKey APIKey X-Api-Key key app_key appkey
		access_key accesskey consumer_key oauth_consumer_key subscription-key license_key secret_key private_key
		AWSAccessKeyId api_key_2 encryption_key master_key resource_key myapikey backend_key
		password passwd pwd pass user_pass userpass passphrase pass_phrase passcode new_password password2
		password_confirmation passwordConfirm password_hash user[password] user.password data[api_key] pw psw_pwd
		secret client_secret clientsecret secret_value shared_secret app_secret
		code access_code accesscode auth_code authorization_code device_code verification_code sms_code 2fa_code
		invite_code pincode code_verifier code_challenge security_code
		PHPSESSID JSESSIONID jsessionid sessionid session_id session user_session sid connect.sid
		ASP.NET_SessionId session_state sessid
		otp totp user_otp otp_code pin mfa 2fa tfa
		SAMLResponse SAMLRequest samlresponse SAMLart RelayState assertion client_assertion wresult
		ticket service_ticket hmac mac csrf _csrf xsrf nonce _wpnonce
		sig sign signature X-Amz-Signature X-Amz-Credential X-Amz-Security-Token GoogleAccessId credentials creds
		jwt bearer auth basic_auth authorization cookie dpop oauth_verifier appid app_id hdnts
		g-recaptcha-response h-captcha-response captcha hapikey sharedaccesssignature SharedAccessKey sesskey wstoken
		authenticity_token csrfmiddlewaretoken __RequestVerificationToken nonce_str app_sign paySign sso ak sk secret_id
		app_code activation_key auth_data token_data psk otc login_challenge authz X-Goog-Credential vp_token ticket
		emails cellphone mobile credit_card account_number
		email user_email e_mail email_address emailAddress login_hint phone phone_number tel cvv card_number ssn iban
	`, `
		q query page per_page limit offset cursor after before marker since until sort order order_by fields include
		page_token pageToken pagetoken next_page_token nextPageToken nextpagetoken next_token NextToken
		continuationToken continuation-token NextContinuationToken resumptionToken syncToken sync_token nextSyncToken
		$skiptoken $deltatoken starting_token idempotency_token stop_token
		keyword keywords key_word monkey turkey keys keyspace key_type sort_key sortKey partition_key primary_key
		startkey endkey start_key exclusive_start_key issueKey projectKey space_key public_key cache_key target_key
		token_type token_type_hint token_count max_tokens tokens tokenize tokenizer token_id
		country_code countrycode language_code zip_code postcode zipcode currency_code status_code error_code barcode
		qrcode encode decode codec unicode source_code code_challenge_method code_type
		state status name user username user_id uid client_id id ids account_sid CallSid kid key_id
		passenger passengers passport compass bypass low_pass secretary passwordless password_policy
		author authors authority auth_type session_count sessions season spin pinned pins signal design assign
		time_signature call_sign key_signature emails_count email_verified has_mails sidebar side
		lang locale market country ids[] filter[name] filter[state] response_type redirect_uri scope grant_type
		client_assertion_type hash format type version v v2 callback ticket_id macos nonces_count hint value new
		nextForwardToken next_results_token NextRowKey LastEvaluatedKey after_key search_after zodiac_sign metadata
		saml_provider authorid tokenizer_name keyboard codes signs phone_type mobile_app mailbox smartphones data input
		__ [] ü
	`)
}

func TestHeaders(t *testing.T) {
	check(t, secret.Header, `
		Authorization authorization Proxy-Authorization Cookie Cookie2 Set-Cookie Set-Cookie2 Authentication-Info
		Proxy-Authentication-Info X-Auth-Token X-Auth-User X-Auth-Key X-Auth-Request-Email X-Auth X-Auth-Signature
		X-Api-Key X-Apikey Api-Key Apikey X-Api-Token X-Api-Secret X-Api-User X-Api-Sig X-Access-Token Refresh-Token
		X-Refresh-Token X-Csrf-Token X-Csrftoken X-XSRF-TOKEN DPoP DPoP-Nonce X-Amz-Security-Token X-Goog-Api-Key
		X-Functions-Key Ocp-Apim-Subscription-Key Private-Token Job-Token Deploy-Token X-Vault-Token Fastly-Key
		X-Shopify-Access-Token X-Shopify-Hmac-Sha256 X-Session-Token X-Session-Id Mcp-Session-Id Session
		Cf-Access-Client-Secret Cf-Access-Client-Id Cf-Access-Jwt-Assertion X-Goog-Iap-Jwt-Assertion
		X-Amzn-Oidc-Data X-Amzn-Oidc-Accesstoken X-Forwarded-Access-Token X-Forwarded-User X-Forwarded-Email
		Remote-User X-Remote-User X-Userinfo X-User-Id X-Consumer-Username Impersonate-User X-On-Behalf-Of X-Wsse X-Sid X-Webauth-User X-Ms-Client-Principal X-Forwarded-Client-Cert X-Ssl-Client-Cert
		X-Registry-Auth X-Registry-Config X-Sentry-Auth X-Tableau-Auth X-Emby-Authorization DD-API-KEY
		DD-APPLICATION-KEY X-Rapidapi-Key Signature X-Signature X-Hub-Signature-256 Token X-Token Secret X-Secret-Key
		X-Amz-Server-Side-Encryption-Customer-Key X-User-Email X-Client-Secret X-Password X-Otp X-Guest-Token
	`, `
		Accept Accept-Language Accept-Encoding Accept-Charset Range If-None-Match If-Modified-Since Content-Type
		Content-Length Content-Encoding Content-Language Content-Disposition Content-Digest Digest Etag Last-Modified
		Date Expires Cache-Control Age Vary Link Location Server Via Warning Allow Www-Authenticate Retry-After
		Idempotency-Key Sec-Websocket-Key Sec-Websocket-Accept Surrogate-Key X-Surrogate-Key Cache-Key X-Cache-Key
		X-Akamai-Cache-Key Xkey Cache-Tag Public-Key-Pins X-Rate-Limit-Limit X-Rate-Limit-Remaining X-Ratelimit-Reset
		X-Ratelimit-Limit-Tokens Ratelimit-Policy X-Request-Id X-Correlation-Id X-Total-Count X-Next-Page
		X-Next-Page-Token X-Ms-Continuationtoken X-Continuation-Token X-Api-Version Api-Version X-Api-Request-Id
		X-Api-Warning X-Github-Api-Version X-Requested-With X-Forwarded-For Forwarded Origin Referer User-Agent
		X-Amz-Request-Id X-Amz-Id-2 X-Amz-Date X-Amz-Content-Sha256 Server-Timing Strict-Transport-Security
		X-Content-Type-Options X-Author Authority X-Authors Last-Event-Id Sec-Fetch-User Accept-Signature
		X-Tenant X-Org-Id Host Connection Te X-Keyword X-Monkey Key-Id X-Apis Session-Count
	`)
}

// The signature of a response is for whoever gets it, which other credentials are not.
func TestHeadersOfResponses(t *testing.T) {
	check(t, secret.Response, `
		Authorization Set-Cookie Authentication-Info X-Auth-Token Refresh-Token X-Csrf-Token X-Session-Id DPoP-Nonce
	`, `
		Signature Content-Signature X-Signature-256 X-Shopify-Hmac-Sha256 Etag Www-Authenticate Surrogate-Key
	`)
}

func TestMembers(t *testing.T) {
	check(t, secret.Member, `
		token accessToken refresh_token password clientSecret apiKey private_key email sessionId otp jwt authCode
	`, `
		key code pass session pin state ticket nextPageToken sortKey tokens keywords name id countryCode title
	`)
}

func check(t *testing.T, of func(string) bool, secrets, others string) {
	t.Helper()
	for name := range strings.FieldsSeq(secrets) {
		if !of(name) {
			t.Errorf("%q is no secret's name", name)
		}
	}
	for name := range strings.FieldsSeq(others) {
		if of(name) {
			t.Errorf("%q is a secret's name", name)
		}
	}
}

// Case, "_" and "-" make no difference to names that have a word for a secret.
func TestSpelling(t *testing.T) {
	for _, words := range []string{"access token", "api key", "user key", "client secret", "next page token", "auth code", "country code"} {
		want := secret.Param(words)
		for _, joint := range []string{"_", "-", ".", ""} {
			name := strings.ReplaceAll(words, " ", joint)
			for _, name := range []string{name, strings.ToUpper(name), "_" + name, name + "_"} {
				if secret.Param(name) != want {
					t.Errorf("%q: %t, but %q: %t", name, !want, words, want)
				}
			}
		}
	}
}

func TestFold(t *testing.T) {
	if got := secret.Fold("My_X-Key 2!"); got != "myxkey2" {
		t.Errorf("Fold = %q", got)
	}
}

func TestNamesOfUsualLengthTakeNoMemory(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		secret.Param("filter[next_page_token]")
		secret.Header("X-Amz-Server-Side-Encryption-Customer-Key")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("user[access_token_v2]")
	f.Add("v2")
	f.Fuzz(func(_ *testing.T, name string) {
		secret.Param(name)
		secret.Member(name)
		secret.Header(name)
		secret.Response(name)
	})
}

func TestTextWithSecrets(t *testing.T) {
	for _, text := range []string{
		"https://h/?token=a", "/a?b=1&api_key=x", "https%3A%2F%2Fh%2F%3Ftoken%3Da", "https%253A%252F%252Fh%252F%253Ftoken%253Da",
		`{"password":"x"}`, `{"a":{"access_token" : "x"}}`, `{\"token\":\"x\"}`, "https://user:pass@h/", "https://user@h",
		"a=1 token=b", "https://h/a;jsessionid=1", "#access_token=a", `<https://h/?sig=a>; rel="next"`, "0; url=/a?token=b",
		"a%25252525253D",
	} {
		if !secret.In(text) {
			t.Errorf("%q: none", text)
		}
	}
	for _, text := range []string{
		"", "=", "%", "token", "token=", "?page_token=a", "https://h/?a=1&b=@", "https://h/@user", "a:b", `{"name":"token"}`,
		`"token"`, `"token",`, "YWJj==", "mailto:a@b", "2026-01-02T03:04:05%2B01:00", `<https://h/?page=2>; rel="next"`, "100%",
	} {
		if secret.In(text) {
			t.Errorf("%q: there is one", text)
		}
	}
}

// What is known beforehand is what the words of a name say, too.
func TestCommonHeadersAreNoSecrets(t *testing.T) {
	for name := range secret.CommonHeaders() {
		if secret.Header(strings.ToLower(name)) {
			t.Errorf("%s is a secret's name", name)
		}
	}
}

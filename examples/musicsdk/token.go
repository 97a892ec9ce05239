package musicsdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/origin"
)

// TokenSource returns the token to send, and until when it holds. It is called before
// the first request, when the token has expired and when the API has refused old, one
// call at a time. An error that would only come again is best one of [origin.Permanent].
// [origin.Static] makes one of a token that does not change.
type TokenSource func(ctx context.Context, old string) (origin.Token, error)

// ClientCredentials gets tokens from the API for a program's id and secret. The
// requests are made by transport, nil for [http.DefaultTransport].
func ClientCredentials(baseURL, id, secret string, transport http.RoundTripper) TokenSource {
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	return func(ctx context.Context, _ string) (origin.Token, error) {
		token, err := requestToken(ctx, client, baseURL, id, secret)
		if err != nil {
			return origin.Token{}, fmt.Errorf("musicsdk: get a token: %w", err)
		}
		return token, nil
	}
}

// early is how long before it expires a token is replaced: requests take a while.
const early = 10 * time.Second

func requestToken(ctx context.Context, client *http.Client, baseURL, id, secret string) (origin.Token, error) {
	location, err := url.JoinPath(baseURL, "token")
	if err != nil {
		return origin.Token{}, errors.New("the base URL cannot be parsed")
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, location, strings.NewReader(form.Encode()))
	if err != nil {
		return origin.Token{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) // RFC 6749, 2.3.1
	resp, err := client.Do(req)
	if err != nil {
		return origin.Token{}, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return origin.Token{}, origin.Permanent(fmt.Errorf("%w: %s", ErrUnauthorized, resp.Status))
	default:
		return origin.Token{}, fmt.Errorf("%w: %s", ErrUnavailable, resp.Status)
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int    `json:"expires_in"` // seconds; 0: it is not told
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return origin.Token{}, err
	}
	token := origin.Token{Value: answer.Token}
	if answer.ExpiresIn > 0 {
		token.Expires = time.Now().Add(time.Duration(answer.ExpiresIn)*time.Second - early)
	}
	return token, nil
}

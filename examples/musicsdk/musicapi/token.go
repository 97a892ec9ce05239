package musicapi

import (
	"crypto/rand"
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// serveToken gives a token for the client's credentials, which come by basic
// authentication or in the form (RFC 6749, 4.4).
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	id, secret := clientOf(r)
	switch {
	case r.PostFormValue("grant_type") != "client_credentials":
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "unsupported_grant_type"})
	case !equal(id, s.opts.ClientID), !equal(secret, s.opts.ClientSecret):
		w.Header().Set("WWW-Authenticate", "Basic")
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": s.newToken(),
			"token_type":   "Bearer",
			"expires_in":   int(s.opts.TokenLifetime.Seconds()),
		})
	}
}

// clientOf returns the credentials of the client. In basic authentication they are
// escaped as in a form.
func clientOf(r *http.Request) (id, secret string) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		return r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if text, err := url.QueryUnescape(id); err == nil {
		id = text
	}
	if text, err := url.QueryUnescape(secret); err == nil {
		secret = text
	}
	return id, secret
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) newToken() string {
	now := s.opts.Now()
	token := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sessions, func(_ string, old *session) bool { return !now.Before(old.expires) })
	s.sessions[token] = &session{expires: now.Add(s.opts.TokenLifetime), limiter: s.newLimiter()}
	return token
}

// RevokeTokens ends all tokens at once, as if they had expired.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// session returns that of the request's token.
func (s *Server) session(r *http.Request, now time.Time) (*session, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sessions[token]
	if known == nil || !strings.EqualFold(scheme, "Bearer") || !now.Before(known.expires) {
		return nil, &apiError{Status: http.StatusUnauthorized, Code: "invalid_token", Message: "the token is missing or has expired"}
	}
	return known, nil
}

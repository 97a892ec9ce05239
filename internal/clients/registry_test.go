package clients_test

import (
	"bytes"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/endpointcache/endpointcache/cache"
	"github.com/endpointcache/endpointcache/policy"
)

// containerRegistry is one that asks for credentials: "Basic", "Bearer", or "" for none.
func containerRegistry(scheme string) func() http.Handler {
	return func() http.Handler {
		images := validated(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		if scheme == "" {
			return images
		}
		challenge := map[string]string{
			"Basic":  `Basic realm="images"`,
			"Bearer": `Bearer realm="https://` + host + `/token",service="images"`,
		}[scheme]
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, basic := r.BasicAuth()
			known := user == "alice" && password == "secret"
			switch {
			case r.URL.Path == "/token" && known:
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, `{"token":"t0k3n for `+r.FormValue("scope")+`"}`)
			case scheme == "Basic" && basic && known, strings.HasPrefix(r.Header.Get("Authorization"), "Bearer t0k3n"):
				images.ServeHTTP(w, r)
			default:
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
	}
}

// validated adds what registries say of caching: blobs never change, and the digest tells
// whether a manifest has.
func validated(images http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		blob := strings.Contains(r.URL.Path, "/blobs/sha256:")
		if r.Method != http.MethodGet && r.Method != http.MethodHead || !blob && !strings.Contains(r.URL.Path, "/manifests/") {
			images.ServeHTTP(w, r)
			return
		}
		head := r.Clone(r.Context())
		head.Method = http.MethodHead
		found := httptest.NewRecorder()
		images.ServeHTTP(found, head)
		if found.Code == http.StatusOK {
			tag := `"` + found.Header().Get("Docker-Content-Digest") + `"`
			w.Header().Set("ETag", tag)
			if blob {
				w.Header().Set("Cache-Control", "max-age=31536000, immutable")
				w.Header().Set("Content-Type", "application/octet-stream") // which net/http would add for GET alone
			}
			if r.Header.Get("If-None-Match") == tag {
				w.Header().Del("Content-Type")
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		images.ServeHTTP(w, r)
	})
}

// image is one with layers of these sizes, always the same.
func image(t testing.TB, seed byte, sizes ...int) v1.Image {
	t.Helper()
	image := empty.Image
	for i, size := range sizes {
		layer := make([]byte, size)
		rand.NewChaCha8([32]byte{seed, byte(i)}).Read(layer)
		var err error
		image, err = mutate.AppendLayers(image, static.NewLayer(layer, types.DockerLayer))
		check(t, err)
	}
	return image
}

// images is a client of a registry, and what it has read.
type images struct {
	t    testing.TB
	opts []remote.Option
	read []any
}

func newImages(t testing.TB, via http.RoundTripper, auth authn.Authenticator) *images {
	t.Helper()
	return &images{t: t, opts: []remote.Option{
		remote.WithContext(t.Context()), remote.WithTransport(via), remote.WithAuth(auth), remote.WithJobs(1),
	}}
}

func (c *images) ref(text string) name.Reference {
	c.t.Helper()
	ref, err := name.ParseReference(host + "/" + text)
	check(c.t, err)
	return ref
}

func (c *images) push(ref string, image v1.Image) {
	c.t.Helper()
	c.read = append(c.read, said(remote.Write(c.ref(ref), image, c.opts...)))
}

// pull reads an image by GET and HEAD, with its layers.
func (c *images) pull(ref string) {
	c.t.Helper()
	head, err := remote.Head(c.ref(ref), c.opts...)
	c.read = append(c.read, head, said(err))
	pulled, err := remote.Image(c.ref(ref), c.opts...)
	if c.read = append(c.read, said(err)); err != nil {
		return
	}
	digest, err := pulled.Digest()
	check(c.t, err)
	config, err := pulled.ConfigFile()
	c.read = append(c.read, digest.String(), config, said(err))
	layers, err := pulled.Layers()
	check(c.t, err)
	for _, layer := range layers {
		blob, err := layer.Compressed()
		check(c.t, err)
		var all bytes.Buffer
		_, err = io.Copy(&all, blob) // which checks the digest
		check(c.t, err)
		check(c.t, blob.Close())
		c.read = append(c.read, all.Len())
	}
}

func (c *images) list(repository string) {
	c.t.Helper()
	tags, err := remote.List(c.ref(repository).Context(), c.opts...)
	c.read = append(c.read, tags, said(err))
}

// uploads are the random names of uploads.
var uploads = regexp.MustCompile(`/uploads/\d+`)

func maskUploads(text string) string { return uploads.ReplaceAllString(text, "/uploads/…") }

// Blobs of up to a MiB are cached; longer ones are streamed.
var limited = cache.Options{MaxBody: 1 << 20, Policy: policy.Policy{
	// What a push changes beside its own URL.
	ExpireURLs: []policy.URLExpiry{{URL: host + "/v2/*/tags/list", Expire: policy.DoNotCache()}},
}}

func TestRegistry(t *testing.T) {
	alice := authn.FromConfig(authn.AuthConfig{Username: "alice", Password: "secret"})
	for _, test := range []struct {
		scheme  string
		auth    authn.Authenticator
		policy  asked
		control asked
	}{
		{
			"", authn.Anonymous,
			asked{cold: reached{47, 0}, warm: reached{10, 0}, expired: reached{23, 12}},
			asked{cold: reached{69, 4}, warm: reached{41, 12}, expired: reached{41, 12}},
		},
		{
			"Basic", alice,
			asked{cold: reached{62, 0}, warm: reached{30, 0}, expired: reached{38, 8}},
			asked{cold: reached{66, 4}, warm: reached{40, 10}, expired: reached{40, 10}},
		},
		{
			"Bearer", alice,
			asked{cold: reached{64, 0}, warm: reached{32, 0}, expired: reached{42, 10}},
			asked{cold: reached{82, 4}, warm: reached{56, 8}, expired: reached{56, 10}},
		},
	} {
		t.Run("auth "+test.scheme, func(t *testing.T) {
			(&scene{
				origin: containerRegistry(test.scheme), tls: true, mask: maskUploads, options: limited,
				client: func(t testing.TB, _ int, via http.RoundTripper) any {
					c := newImages(t, via, test.auth)
					c.push("app:v1", image(t, 1, 10<<10, 2<<20))
					c.push("app:v2", image(t, 2, 20<<10))
					for range 2 {
						c.pull("app:v1")
						c.pull("app:v2")
						c.pull("app:v3")
						c.list("app")
					}
					mallory := newImages(t, via, authn.FromConfig(authn.AuthConfig{Username: "mallory", Password: "guess"}))
					mallory.pull("app:v1")
					mallory.list("app")
					return append(c.read, mallory.read...)
				},
				policy: test.policy, control: test.control,
			}).compare(t)
		})
	}
}

func TestRegistryTagsThatMove(t *testing.T) {
	(&scene{
		origin: containerRegistry(""), tls: true, mask: maskUploads, options: limited,
		client: func(t testing.TB, _ int, via http.RoundTripper) any {
			c := newImages(t, via, authn.Anonymous)
			for seed := range byte(2) {
				c.push("app:latest", image(t, seed, 10<<10))
				c.pull("app:latest")
				c.pull("app:latest")
				c.list("app")
			}
			c.push("app:v1", image(t, 3, 1<<10))
			c.pull("app:v1")
			c.list("app")
			c.read = append(c.read, said(remote.Delete(c.ref("app:v1"), c.opts...)))
			c.pull("app:v1")
			c.list("app")
			return c.read
		},
		policy:  asked{cold: reached{49, 0}, warm: reached{17, 0}, expired: reached{31, 7}},
		control: asked{cold: reached{73, 5}, warm: reached{43, 6}, expired: reached{43, 6}},
	}).compare(t)
}

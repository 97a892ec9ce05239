package inspectortest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/endpointcache/endpointcache/examples/musicsdk"
	"github.com/endpointcache/endpointcache/examples/musicsdk/musicapi"
	"github.com/endpointcache/endpointcache/inspector"
	"github.com/endpointcache/endpointcache/internal/waitfor"
	"github.com/endpointcache/endpointcache/policy"
	"github.com/endpointcache/endpointcache/prefetch"
	"github.com/endpointcache/endpointcache/repository"
)

// The same can be done with JavaScript and without it.
func TestSearchOpenDiffExpireDelete(t *testing.T) {
	for name, l := range map[string]look{"with JavaScript": {}, "without JavaScript": {noScript: true}} {
		t.Run(name, func(t *testing.T) {
			m := newMusic(t, 0, policy.Policy{}, inspector.Options{AllowChanges: true})
			m.fill(t.Context(), t, 40)
			key := musicsdk.TrackKey{ID: musicapi.TrackID(7), Market: "DE"}
			m.change(t, key)

			b := open(t, m.pages.URL, l)
			b.visit("")
			b.shows("music", "sqlite", "tracks", "albums", "artists")
			b.follow("tracks")
			b.shows("Responses of tracks", key.ID+" / DE")

			b.fill("name", "Another ti*")
			b.follow("Search")
			b.shows(key.ID, "Another title")
			b.hides("no. 8")
			b.follow("Clear")
			b.fill("key-0", key.ID)
			b.follow("Search")
			if n := b.count("tbody tr"); n != 1 {
				t.Fatalf("%d responses are found, want 1", n)
			}

			b.follow(key.ID + " / DE")
			b.shows("Another title", "GET "+m.api.URL+"/v1/tracks/"+key.ID+"?market=DE", "served from the store", `"number": 8`, "Content-Type")
			b.follow("Compare with the origin")
			b.shows("2 parts differ", "header Etag", "body /title", `"Another title"`, `"Lantern Hollow, no. 7"`)
			b.follow(key.ID + " / DE")
			b.follow("Expire now")
			b.shows("The response has expired now", "fetched from the origin")
			b.do(chromedp.Click(chromedp.CSS(".confirm summary")))
			b.follow("Delete it")
			b.shows("The response was deleted.")
			b.hides(key.ID)
			if there, err := m.tracks.Repository().Contains(t.Context(), key); err != nil || there {
				t.Errorf("it is still there: %v, %v", there, err)
			}
		})
	}
}

// Of forms that come without encryption from another name than this machine's, browsers tell less.
func TestFormsByAnotherName(t *testing.T) {
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{AllowChanges: true, Hosts: []string{"cache.test"}})
	m.fill(t.Context(), t, 1)
	b := open(t, strings.Replace(m.pages.URL, "127.0.0.1", "cache.test", 1), look{})
	b.visit("lookup")
	b.fill("url", m.api.URL+"/v1/tracks/"+musicapi.TrackID(0)+"?market=DE")
	b.follow("Look it up")
	b.shows("It is stored")
	b.follow(musicapi.TrackID(0) + " / DE")
	b.follow("Expire now")
	b.shows("The response has expired now")
}

// change makes a stored track differ from the API's.
func (m *music) change(t *testing.T, key musicsdk.TrackKey) {
	t.Helper()
	repo := m.tracks.Repository()
	e, ok, err := repo.GetEntry(t.Context(), key)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	h, err := e.Head()
	must(t, err)
	changed, err := repository.NewEntry(e.Status, h, []byte(strings.Replace(string(e.Payload), "Lantern Hollow, no. 7", "Another title", 1)))
	must(t, err)
	must(t, repo.SaveEntry(t.Context(), key, changed))
}

func TestLookUpARequest(t *testing.T) {
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{})
	m.fill(t.Context(), t, 20)
	b := open(t, m.pages.URL, look{noScript: true})
	b.visit("lookup")
	b.fill("url", m.api.URL+"/v1/tracks/"+musicapi.TrackID(3)+"?market=FR")
	b.follow("Look it up")
	b.shows("It is not stored", "FR", "Stored under keys that differ in one column", musicapi.TrackID(3)+" / DE")
	b.fill("url", m.api.URL+"/v1/tracks/"+musicapi.TrackID(3)+"?market=DE")
	b.follow("Look it up")
	b.shows("It is stored", "served from the store")
	if address := get(b, chromedp.Location()); strings.Contains(address, "?") {
		t.Errorf("the URL that was asked for stays in the history: %s", address)
	}
}

// The plots are there without JavaScript, and are kept up with it.
func TestPlots(t *testing.T) {
	m := newMusic(t, time.Millisecond, policy.Policy{}, inspector.Options{})
	m.fill(t.Context(), t, 100)
	m.fill(t.Context(), t, 100)
	plain := open(t, m.pages.URL, look{noScript: true})
	plain.visit("live")
	plain.shows("Hit rate", "Origin requests", "Latency", "Stored", "Refresh", "50.0 %")
	for _, id := range []string{"hits", "answers", "origin", "latency", "received", "size"} {
		if n := plain.count("section[aria-labelledby=" + id + "-title] svg path"); n == 0 {
			t.Errorf("the plot %q is empty", id)
		}
	}
	plain.do(chromedp.Click(chromedp.CSS("#answers-numbers summary")))
	plain.shows("Answers, keys a second, in steps of 5s")
	plain.follow("1 hour")
	plain.shows("Hit rate", "1h ago")

	b := open(t, m.pages.URL, look{})
	b.visit("live")
	b.hides("Refresh")
	b.do(chromedp.Click(chromedp.CSS("#answers-numbers summary")))
	before := m.cache.Stats().Hits
	m.fill(t.Context(), t, 100)
	if m.cache.Stats().Hits == before {
		t.Fatal("nothing was answered from the store")
	}
	waitfor.True(t, "a page with the new numbers", func() bool { return strings.Contains(b.text(), "66.7 %") })
	if b.count("#answers-numbers[open]") != 1 {
		t.Error("what was unfolded is folded again")
	}
}

func TestPrefetchesInProgress(t *testing.T) {
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{})
	b := open(t, m.pages.URL, look{})
	proceed := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		_, err := prefetch.Run(t.Context(), m.tracks, func(yield func(musicsdk.TrackKey) bool) {
			for i := range 200 {
				if i == 120 {
					<-proceed
				}
				if !yield(musicsdk.TrackKey{ID: musicapi.TrackID(i), Market: "DE"}) {
					return
				}
			}
		}, &prefetch.Options{Total: 200})
		done <- err
	}()
	b.visit("live")
	waitfor.True(t, "the run", func() bool { return b.count("progress[max='200']") == 1 && strings.Contains(b.text(), "of 200") })
	close(proceed)
	must(t, waitfor.Receive(t, "the end of the run", done))
	waitfor.True(t, "the run's end", func() bool { return strings.Contains(b.text(), "200 done in") })
}

// All can be done with the keyboard alone.
func TestKeyboardAlone(t *testing.T) {
	m := newMusic(t, 0, policy.Policy{}, inspector.Options{AllowChanges: true})
	m.fill(t.Context(), t, 20)
	id := musicapi.TrackID(5)
	b := open(t, m.pages.URL, look{})
	b.visit("")
	b.press(kb.Tab)
	if got := b.focused(); got != "Skip to the content" {
		t.Errorf("the first is %q", got)
	}
	b.press(kb.Enter)
	b.tabTo("tracks")
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.tabTo("id")
	b.do(chromedp.KeyEvent(id))
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.shows(id + " / DE")
	b.tabTo(id + " / DE")
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.shows("Lantern Folded, no. 5")
	b.tabTo("Delete…")
	b.press(kb.Enter)
	b.tabTo("Delete it")
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.shows("The response was deleted.")
}

func (b *tab) press(key string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(key))
}

// focused is the label of what has the focus.
func (b *tab) focused() string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string](`((e) => (e.labels && e.labels[0] || e).textContent.trim())(document.activeElement)`))
}

// tabTo presses Tab until what has that label is focused, and checks that the focus can be seen.
func (b *tab) tabTo(label string) {
	b.t.Helper()
	var passed []string
	for range 60 {
		b.press(kb.Tab)
		got := b.focused()
		if outline := get(b, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)); outline == "none" {
			b.t.Errorf("the focus on %q cannot be seen", got)
		}
		if got == label {
			return
		}
		passed = append(passed, got)
	}
	b.t.Fatalf("Tab does not lead to %q, but to %q", label, passed)
}

// What the tests rely on is seen where it happens.
func TestWhatPagesMustNotDoIsCaught(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	mux := http.NewServeMux()
	mux.HandleFunc(mounted+"policy", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, `<!DOCTYPE html><script>alert(1)</script>`)
	})
	mux.HandleFunc(mounted+"style", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		fmt.Fprint(w, `<!DOCTYPE html><p style="color:red">x`)
	})
	mux.HandleFunc(mounted+"dialog", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!DOCTYPE html><img src=x onerror="alert('it runs')">`)
	})
	mux.HandleFunc(mounted+"elsewhere", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<!DOCTYPE html><img src="%s/x.png">`, other.URL)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	b := open(t, server.URL, look{})
	for page, want := range map[string]string{
		"policy": "Content Security Policy", "style": "Content Security Policy", "dialog": `a dialog: "it runs"`, "elsewhere": "a request to elsewhere",
	} {
		b.visit(page)
		var all string
		waitfor.True(t, "what "+page+" does", func() bool {
			all += strings.Join(b.caught(), "\n")
			return strings.Contains(all, want)
		})
	}
	b.caught()
}

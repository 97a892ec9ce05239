package inspectortest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/endpointcache/endpointcache/internal/testenv"
)

// hang is how long a step in the browser takes at most, on a machine that has much else to do.
const hang = 2 * time.Minute

// browser is the one of all tests; its tabs have cookies and storage of their own.
type browser struct {
	ctx  context.Context
	stop func()
	err  error
}

var (
	startOnce sync.Once
	started   *browser // nil: no test needs one
)

func newBrowser(path string) *browser {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WSURLReadTimeout(hang),
		chromedp.Flag("host-resolver-rules", "MAP cache.test 127.0.0.1"))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // root has none
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	return &browser{ctx, func() { cancel(); stop() }, chromedp.Do(ctx)}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		started.stop()
	}
	os.Exit(code)
}

// look is how a tab shows a page.
type look struct {
	width, height int     // 0: 1280 by 900
	scale         float64 // 0: 1
	dark          bool
	noScript      bool
}

// tab is a page in the browser. What pages must never do is a failure of the test: a dialog, a request to
// another host, an error, something that the Content-Security-Policy forbids.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of the pages

	mu       sync.Mutex
	problems []string
}

func (b *tab) problem(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

// caught returns the problems so far, and forgets them.
func (b *tab) caught() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	caught := b.problems
	b.problems = nil
	return caught
}

// open opens a tab for the pages of a server.
func open(t *testing.T, server string, l look) *tab {
	t.Helper()
	path := testenv.URL(t, "CHROMIUM_TEST_PATH")
	startOnce.Do(func() { started = newBrowser(path) })
	must(t, started.err)
	home, err := url.Parse(server)
	must(t, err)
	b := &tab{t: t, base: server + mounted}
	dialogs := make(chan struct{}, 100)
	ctx, cancel := chromedp.NewContext(started.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *page.EventJavascriptDialogOpening:
			b.problem("a dialog: %q", e.Message)
			dialogs <- struct{}{}
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != home.Host {
				b.problem("a request to elsewhere: %s", e.Request.URL)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError && !isHarmless(e.Entry) {
				b.problem("the browser logs: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.problem("an exception: %v", e.ExceptionDetails)
		}
	}))
	b.ctx = ctx
	go func() { // a dialog holds up the page
		for range dialogs {
			_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}
	}()
	t.Cleanup(func() {
		for _, problem := range b.caught() {
			t.Error(problem)
		}
		cancel()
		close(dialogs)
	})
	must(t, chromedp.Do(ctx)) // the first one's context is that of the tab's life
	b.show(l)
	return b
}

// isHarmless reports whether a line of the log only tells that a page has an error's status, or that a header has no
// effect without encryption.
func isHarmless(e *log.Entry) bool {
	return e.Source == log.EntrySourceNetwork && strings.Contains(e.Text, "responded with a status of 4") ||
		strings.HasPrefix(e.Text, "The Cross-Origin-Opener-Policy header has been ignored")
}

func (b *tab) show(l look) {
	b.t.Helper()
	width, height, scheme := l.width, l.height, "light"
	if width == 0 {
		width = 1280
	}
	if height == 0 {
		height = 900
	}
	if l.dark {
		scheme = "dark"
	}
	b.do(chromedp.EmulateViewport(int64(width), int64(height), chromedp.EmulateScale(max(l.scale, 1))))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: l.noScript})
}

func call[P, R any](b *tab, c cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	r, err := chromedp.Call(ctx, c, params)
	must(b.t, err)
	return r
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	must(b.t, chromedp.Do(ctx, steps...))
}

func get[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	must(b.t, err)
	return v
}

// visit opens a page.
func (b *tab) visit(page string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + page))
}

// text is what the page shows.
func (b *tab) text() string {
	b.t.Helper()
	return get(b, chromedp.Text(chromedp.CSS("body")))
}

// shows fails the test unless the page shows each of the texts.
func (b *tab) shows(texts ...string) {
	b.t.Helper()
	all := b.text()
	for _, text := range texts {
		if !strings.Contains(all, text) {
			b.t.Errorf("the page does not show %q:\n%s", text, all)
		}
	}
}

// hides fails the test if the page shows one of the texts.
func (b *tab) hides(texts ...string) {
	b.t.Helper()
	all := b.text()
	for _, text := range texts {
		if strings.Contains(all, text) {
			b.t.Errorf("the page shows %q:\n%s", text, all)
		}
	}
}

// leave does something that leads to another page, and waits for that.
func (b *tab) leave(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, steps...)
	must(b.t, err)
}

// follow clicks on the link or button with that text.
func (b *tab) follow(text string) {
	b.t.Helper()
	b.leave(chromedp.Click(fmt.Sprintf(`//a[normalize-space()=%[1]q] | //button[normalize-space()=%[1]q]`, text)))
}

// fill sets a field.
func (b *tab) fill(id, value string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS("#"+id), value))
}

// count is how many elements of the page a selector has.
func (b *tab) count(selector string) int {
	b.t.Helper()
	return get(b, chromedp.Evaluate[int](fmt.Sprintf("document.querySelectorAll(%q).length", selector)))
}

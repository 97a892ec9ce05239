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

// browser starts the one browser of all tests; each tab has cookies and storage of its own.
var browser = sync.OnceValues(func() (context.Context, context.CancelFunc) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(os.Getenv("CHROMIUM_TEST_PATH")), chromedp.WSURLReadTimeout(hang))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // root has no sandbox
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	return ctx, func() { cancel(); stop() }
})

// look is how a tab shows a page.
type look struct {
	width    int // 0: 1280
	height   int // 0: 900
	scale    float64
	dark     bool
	scripted bool
}

// tab is a page in the browser. What pages must never do is a failure of the test: a dialog, a request to
// another host, an error, something that the Content-Security-Policy forbids.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of the pages
}

// open opens a tab for the pages at base.
func open(t *testing.T, base string, l look) *tab {
	t.Helper()
	testenv.URL(t, "CHROMIUM_TEST_PATH")
	parent, _ := browser()
	must(t, chromedp.Run(parent)) // it is started by the first test
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t, ctx, base + mounted}
	home, err := url.Parse(base)
	must(t, err)
	chromedp.ListenTarget(ctx, func(event any) {
		switch e := event.(type) {
		case *page.EventJavascriptDialogOpening:
			t.Errorf("a dialog: %q", e.Message)
			go func() { _ = chromedp.Run(ctx, page.HandleJavaScriptDialog(true)) }()
		case *network.EventRequestWillBeSent:
			if u, err := url.Parse(e.Request.URL); err != nil || u.Host != home.Host {
				t.Errorf("a request to elsewhere: %s", e.Request.URL)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError && !expected(e.Entry) {
				t.Errorf("the browser logs: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("an exception: %s", e.ExceptionDetails.Error())
		}
	})
	if l.width == 0 {
		l.width = 1280
	}
	if l.height == 0 {
		l.height = 900
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	b.run(
		network.Enable(), log.Enable(), page.Enable(),
		chromedp.EmulateViewport(int64(l.width), int64(l.height), chromedp.EmulateScale(max(l.scale, 1))),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		emulation.SetScriptExecutionDisabled(!l.scripted),
	)
	return b
}

// expected reports whether a line of the log is no fault: the status of an error page is also logged.
func expected(e *log.Entry) bool {
	return e.Source == log.SourceNetwork && strings.Contains(e.Text, "responded with a status of 4")
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// visit opens a page.
func (b *tab) visit(page string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + page))
}

// text is what the page shows.
func (b *tab) text() string {
	b.t.Helper()
	var text string
	b.run(chromedp.Text("body", &text, chromedp.ByQuery))
	return text
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

// click clicks on what has that selector and waits for the page that it leads to.
func (b *tab) click(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.Click(selector, chromedp.ByQuery))
	if err != nil {
		b.t.Fatalf("click on %s: %v", selector, err)
	}
}

// follow clicks on the link or button with that text.
func (b *tab) follow(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, hang)
	defer cancel()
	path := fmt.Sprintf(`//a[normalize-space()=%[1]q] | //button[normalize-space()=%[1]q]`, text)
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(path, chromedp.BySearch)); err != nil {
		b.t.Fatalf("follow %s: %v", text, err)
	}
}

// type_ sets the field with that id.
func (b *tab) set(id, value string) {
	b.t.Helper()
	b.run(chromedp.SetValue("#"+id, value, chromedp.ByQuery))
}

// eval is what an expression gives.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	var v T
	b.run(chromedp.Evaluate(expression, &v, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	return v
}

func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv("CHROMIUM_TEST_PATH") != "" {
		_, stop := browser()
		stop()
	}
	os.Exit(code)
}

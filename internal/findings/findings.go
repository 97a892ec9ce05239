// Package findings gathers what stores tell of themselves, and words what those with a server have
// in common.
package findings

import (
	"fmt"
	"time"

	"github.com/endpointcache/endpointcache/driver"
	"github.com/endpointcache/endpointcache/internal/human"
)

// List are findings in the order in which they are told.
type List []driver.Finding

// Good adds a fact.
func (l *List) Good(subject, format string, args ...any) {
	*l = append(*l, driver.Finding{Subject: subject, Value: fmt.Sprintf(format, args...), Level: driver.Good})
}

// Warning adds what works, but may not last or is slow.
func (l *List) Warning(subject, value, advice string) {
	*l = append(*l, driver.Finding{Subject: subject, Value: value, Level: driver.Warning, Advice: advice})
}

// Fault adds what does not work, or loses data.
func (l *List) Fault(subject, value, advice string) {
	*l = append(*l, driver.Finding{Subject: subject, Value: value, Level: driver.Fault, Advice: advice})
}

// Judge adds a fact that is of that level, with advice unless it is good.
func (l *List) Judge(level driver.Level, subject, value, advice string) {
	if level == driver.Good {
		advice = ""
	}
	*l = append(*l, driver.Finding{Subject: subject, Value: value, Level: level, Advice: advice})
}

// Unknown adds that the server does not tell, because this user may not ask or it knows no such
// question.
func (l *List) Unknown(subject string) { l.Good(subject, "not told to this user by this server") }

// agrees is how far clocks may be apart.
const agrees = time.Second

// Clock compares a server's clock with this machine's, which was asked before and after.
func (l *List) Clock(server, before, after time.Time) {
	const subject = "clock"
	var apart time.Duration
	switch {
	case server.Before(before):
		apart = before.Sub(server)
	case server.After(after):
		apart = server.Sub(after)
	}
	if apart <= agrees {
		l.Good(subject, "agrees with this machine's to %v", agrees)
		return
	}
	direction := "ahead of"
	if server.Before(before) {
		direction = "behind"
	}
	l.Warning(subject, fmt.Sprintf("%s %s this machine's", human.Precise(apart), direction),
		"Set the clocks of the server and of all programs by NTP: what has expired is judged by them.")
}

// Encryption tells whether what is sent to a server can be read on the way.
func (l *List) Encryption(encrypted, toThisMachine bool) {
	const subject = "connection"
	switch {
	case encrypted:
		l.Good(subject, "encrypted")
	case toThisMachine:
		l.Good(subject, "not encrypted, within this machine")
	default:
		l.Warning(subject, "not encrypted, over a network",
			"Whoever is on the way can read what is stored, and the password: use TLS, as the store's page tells.")
	}
}

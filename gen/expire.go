package gen

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/endpointcache/endpointcache/settings"
)

// The expiries where the configuration has none.
const (
	defaultItem   = Duration(time.Hour)
	defaultList   = Duration(10 * time.Minute)
	defaultOther  = Duration(time.Hour)
	defaultAbsent = Duration(time.Minute)
)

// readExpiry sets how long responses live.
func (p *plan) readExpiry(e *endpoint) {
	expire := p.config.Expire
	switch {
	case e.config.Expire != 0:
		e.expire = e.config.Expire
	case e.template.endsInWildcard():
		e.expire = orDefault(expire.Item, defaultItem)
	case e.lists():
		e.expire = orDefault(expire.List, defaultList)
	default:
		e.expire = orDefault(expire.Other, defaultOther)
	}
	switch {
	case e.config.ExpireAbsent != 0:
		e.absent = e.config.ExpireAbsent
	case e.payload.absent:
		e.absent = orDefault(expire.Absent, defaultAbsent)
	}
	e.absent = max(e.absent, 0)
}

func orDefault(d, other Duration) Duration {
	if d == 0 {
		return other
	}
	return d
}

// lists tells whether the answer is a listing: an array, or an object with one.
func (e *endpoint) lists() bool {
	if e.pages != nil {
		return true
	}
	_, ok, _ := itemsOf(e)
	return ok
}

// goDuration is the expression of a time.
func goDuration(d Duration) string {
	t := time.Duration(d)
	if t == settings.NeverExpire {
		return "settings.NeverExpire"
	}
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"}, {time.Millisecond, "Millisecond"}} {
		if t == unit.of {
			return "time." + unit.name
		}
		if t%unit.of == 0 {
			return strconv.FormatInt(int64(t/unit.of), 10) + " * time." + unit.name
		}
	}
	return fmt.Sprintf("%d * time.Nanosecond", t)
}

// showDuration is a time for people.
func showDuration(d Duration) string {
	switch t := time.Duration(d); t {
	case 0:
		return ""
	case settings.NeverExpire:
		return "never"
	default:
		text := t.String()
		if short, ok := strings.CutSuffix(text, "m0s"); ok {
			text = short + "m"
		}
		if short, ok := strings.CutSuffix(text, "h0m"); ok {
			text = short + "h"
		}
		return text
	}
}

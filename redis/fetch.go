package redis

import (
	"context"
	"strings"

	"github.com/redis/rueidis"

	"github.com/endpointcache/endpointcache/driver"
)

const (
	maxMget  = 200   // keys of one command; several are sent at once
	metaHead = 1_024 // bytes that the headers of most entries fit into
)

// visitor is called for each place that is fetched with its string, or the beginning of
// it, and told whether there is an entry that is selected.
type visitor = func(p *place, value []byte, e driver.Entry, ok bool) error

// fetch reads entries and returns how many bytes it read.
func (t *table) fetch(ctx context.Context, places []place, sel driver.Selection, found visitor) (size int, err error) {
	if sel.Parts&driver.Payload == 0 {
		return t.fetchHeads(ctx, places, sel, found)
	}
	f := newFilter(sel.Filter)
	visit := func(p *place, message *rueidis.RedisMessage) error {
		value, err := message.AsBytes()
		if rueidis.IsRedisNil(err) {
			return found(p, nil, driver.Entry{}, false)
		}
		if err != nil {
			return err
		}
		size += len(value)
		selected, err := f.match(value)
		if err == nil && !selected {
			return found(p, nil, driver.Entry{}, false)
		}
		e, needed, unread := read(value, sel.Parts)
		if err != nil || unread != nil || needed > 0 {
			e = damaged()
		}
		e.Size = p.size(len(value))
		return found(p, value, e, true)
	}
	client := t.store.client
	if len(places) == 1 {
		message, err := client.Do(ctx, resendable(client.B().Get().Key(places[0].name).Build())).ToMessage()
		if isNoString(err) { // of which MGET says that it is not there
			return 0, found(&places[0], nil, driver.Entry{}, false)
		}
		if err != nil && !rueidis.IsRedisNil(err) {
			return 0, err
		}
		return size, visit(&places[0], &message)
	}
	names := make([]string, len(places))
	for i := range places {
		names[i] = places[i].name
	}
	var commands rueidis.Commands
	for from := 0; from < len(places); {
		end := from + 1
		for end < len(places) && end-from < maxMget && places[end].bucket == places[from].bucket {
			end++
		}
		commands = append(commands, resendable(client.B().Mget().Key(names[from:end]...).Build()))
		from = end
	}
	at := 0
	for _, result := range client.DoMulti(ctx, commands...) {
		messages, err := result.ToArray()
		if err != nil {
			return size, err
		}
		for i := range messages {
			if err := visit(&places[at], &messages[i]); err != nil {
				return size, err
			}
			at++
		}
	}
	return size, nil
}

// fetchHeads reads the beginnings of entries: first as much as will do for most. The server
// tells the sizes of the rest where they are wanted.
func (t *table) fetchHeads(ctx context.Context, places []place, sel driver.Selection, found visitor) (size int, err error) {
	f := newFilter(sel.Filter)
	lengths := make([]int, len(places))
	for i := range lengths {
		lengths[i] = maxHead
		if sel.Parts&driver.Meta != 0 {
			lengths[i] = metaHead
		}
	}
	client := t.store.client
	for len(places) > 0 {
		commands := make(rueidis.Commands, 0, 2*len(places))
		for i := range places {
			commands = append(commands, resendable(client.B().Getrange().Key(places[i].name).Start(0).End(int64(lengths[i]-1)).Build()))
		}
		if sel.Parts&driver.Usage != 0 {
			commands = append(commands, t.strlens(places)...)
		}
		results := client.DoMulti(ctx, commands...)
		var longer []place
		var longerLengths []int
		for i := range places {
			p := &places[i]
			value, err := results[i].AsBytes()
			if err != nil && !isNoString(err) {
				return size, err
			}
			size += len(value)
			if len(value) == 0 {
				if err := found(p, nil, driver.Entry{}, false); err != nil {
					return size, err
				}
				continue
			}
			selected, err := f.match(value)
			e, needed, unread := read(value, sel.Parts)
			if err != nil || unread != nil || needed > 0 && needed <= lengths[i] {
				e, needed, selected = damaged(), 0, err != nil || selected
			}
			if sel.Parts&driver.Usage != 0 {
				if e.Size, err = p.sizeFrom(results[len(places)+i]); err != nil {
					return size, err
				}
			}
			switch {
			case !selected:
				err = found(p, nil, driver.Entry{}, false)
			case needed > lengths[i]:
				longer, longerLengths = append(longer, *p), append(longerLengths, needed)
			default:
				err = found(p, value, e, true)
			}
			if err != nil {
				return size, err
			}
		}
		places, lengths = longer, longerLengths
	}
	return size, nil
}

// isNoString reports whether a server has refused to read a key as it has a value of another type than a string.
func isNoString(err error) bool {
	refusal, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(refusal.Error(), "WRONGTYPE")
}

// damaged is what is found where a string is no entry: one whose sums are wrong, in any state.
func damaged() driver.Entry {
	return driver.Entry{MetaSum: driver.WrongSum, PayloadSum: driver.WrongSum}
}
